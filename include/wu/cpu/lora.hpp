// The per-sample low-rank product on the CPU, through products made for a small rank. Rows are split over threads; adapter
// gradients are split by adapter and column, so that no two threads add to the same entry and the order of the sums is fixed.
#pragma once

#include <algorithm>
#include <span>

#include "wu/cpu/context.hpp"
#include "wu/cpu/skinny.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/lora.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
/// Rows that are worked on together, so that their products with A or B are still near when they are used.
inline constexpr Index lora_block = 256;
/// With fewer rows than this a sample does not repay transposing its adapter.
inline constexpr Index lora_few_rows = 8;
/// Columns of an adapter's gradient that one thread sums at a time.
inline constexpr Index lora_columns = 32;

/// to (columns, rows) = scale * transpose(from (rows, columns)).
template <class T>
void transpose_scaled(T* to, const T* from, Index rows, Index columns, T scale) {
  for (Index c = 0; c < columns; ++c)
    for (Index r = 0; r < rows; ++r) to[c * rows + r] = scale * from[r * columns + c];
}

/// Calls f(first row, rows, adapter) on every run of rows begin .. end-1 that belongs to one sample with an adapter.
template <class F>
void each_adapted_run(Index begin, Index end, Index rows, std::span<const Index> which, F&& f) {
  for (Index r = begin; r < end;) {
    const Index sample = r / rows, k = which[static_cast<std::size_t>(sample)],
                count = std::min(end, (sample + 1) * rows) - r;
    if (k != no_adapter) f(r, count, k);
    r += count;
  }
}
}  // namespace detail

namespace kernel {
/// `count` adapters of one layer, as an AdapterView has them, and the layer's widths.
template <class T>
struct AdapterSet {
  T *A = nullptr, *B = nullptr;
  Index stride = 0, count = 0;
};
struct LoraSizes {
  Index In, Out, R, rows, rows_per_sample;
};

template <class T>
struct Lora {
  static void forward(Context& ctx, Workspace& ws, T* y, T* xa, const T* x, AdapterSet<const T> adapters,
                      std::span<const Index> which, T scale, LoraSizes sizes);
  /// dx may be null, and so may the gradients of the adapters.
  static void backward(Context& ctx, Workspace& ws, T* dx, AdapterSet<T> gradients, const T* dy, const T* x, const T* xa,
                       AdapterSet<const T> adapters, std::span<const Index> which, T scale, LoraSizes sizes);

 private:
  static void few_rows(T* y, T* xa, const T* x, const T* A, const T* B, T scale, Index count, LoraSizes sizes);
};

/// y += scale (x A^T) B^T where nothing repays preparation.
template <class T>
void Lora<T>::few_rows(T* y, T* xa, const T* x, const T* A, const T* B, T scale, Index count, LoraSizes sizes) {
  const Index In = sizes.In, Out = sizes.Out, R = sizes.R;
  for (Index s = 0; s < count; ++s) {
    const T* const in = x + s * In;
    T* const low = xa + s * R;
    for (Index j = 0; j < R; ++j) low[j] = detail::lane_sum<T>(In, [in, a = A + j * In](Index i) { return in[i] * a[i]; });
    for (Index o = 0; o < Out; ++o) {
      T sum = 0;
      for (Index j = 0; j < R; ++j) sum += low[j] * B[o * R + j];
      y[s * Out + o] += scale * sum;
    }
  }
}

template <class T>
void Lora<T>::forward(Context& ctx, Workspace& ws, T* y, T* xa, const T* x, AdapterSet<const T> adapters,
                      std::span<const Index> which, T scale, LoraSizes sizes) {
  const Index In = sizes.In, Out = sizes.Out, R = sizes.R;
  const Workspace::Scope scope(ws);
  T* const scratch = ws.take_values<T>((In + Out) * R * ctx.threads());
  // Parts of samples, so that one sample alone keeps all threads busy too.
  ctx.split(sizes.rows, (In + Out) * R, [&](int thread, Index begin, Index end) {
    T *const At = scratch + thread * (In + Out) * R, *const Bt = At + In * R;
    Index transposed = no_adapter;
    detail::each_adapted_run(begin, end, sizes.rows_per_sample, which, [&](Index r, Index count, Index k) {
      const T *const A = adapters.A + k * adapters.stride, *const B = adapters.B + k * adapters.stride;
      if (count < detail::lora_few_rows && transposed != k)
        return few_rows(y + r * Out, xa + r * R, x + r * In, A, B, scale, count, sizes);
      if (transposed != k) {
        detail::transpose_scaled(At, A, R, In, T(1));
        detail::transpose_scaled(Bt, B, Out, R, scale);
        transposed = k;
      }
      for (Index s = r; s < r + count; s += detail::lora_block) {
        const Index block = std::min(detail::lora_block, r + count - s);
        Skinny<T>::project(xa + s * R, x + s * In, At, R, In, block);
        Skinny<T>::expand(y + s * Out, xa + s * R, Bt, R, Out, block);
      }
    });
  });
}

template <class T>
void Lora<T>::backward(Context& ctx, Workspace& ws, T* dx, AdapterSet<T> gradients, const T* dy, const T* x, const T* xa,
                       AdapterSet<const T> adapters, std::span<const Index> which, T scale, LoraSizes sizes) {
  const Index In = sizes.In, Out = sizes.Out, R = sizes.R, rows = sizes.rows_per_sample;
  const Workspace::Scope scope(ws);
  T* const g = ws.take_values<T>(sizes.rows * R);
  ctx.split(sizes.rows, (In + Out) * R, [&](int, Index begin, Index end) {
    detail::each_adapted_run(begin, end, rows, which, [&](Index r, Index count, Index k) {
      const T *const A = adapters.A + k * adapters.stride, *const B = adapters.B + k * adapters.stride;
      for (Index s = r; s < r + count; s += detail::lora_block) {
        const Index block = std::min(detail::lora_block, r + count - s);
        Skinny<T>::project(g + s * R, dy + s * Out, B, R, Out, block);
        for (Index i = s * R; i < (s + block) * R; ++i) g[i] *= scale;
        if (dx) Skinny<T>::expand(dx + s * In, g + s * R, A, R, In, block);
      }
    });
  });
  if (!gradients.A || gradients.count == 0) return;
  T* const transposed = ws.take_values<T>(R * Out * ctx.threads());
  // One item is a few columns of one adapter's dA or of the transpose of its dB.
  constexpr Index few = detail::lora_columns;
  const Index pieces_A = (In + few - 1) / few, pieces_B = (Out + few - 1) / few, pieces = pieces_A + pieces_B;
  ctx.split(gradients.count * pieces, sizes.rows / gradients.count * R * few, [&](int thread, Index begin, Index end) {
    T* const dBt = transposed + thread * R * Out;
    for (Index k = begin / pieces; k * pieces < end; ++k) {
      const Index from = std::max(begin - k * pieces, Index{0}), to = std::min(end - k * pieces, pieces);
      T *const dA = gradients.A + k * gradients.stride, *const dB = gradients.B + k * gradients.stride;
      std::fill_n(dBt, R * Out, T(0));
      for (std::size_t sample = 0; sample < which.size(); ++sample) {
        if (which[sample] != k) continue;
        const Index first = static_cast<Index>(sample) * rows;
        for (Index s = first; s < first + rows; s += detail::lora_block) {
          const Index block = std::min(detail::lora_block, first + rows - s);
          for (Index piece = from; piece < std::min(to, pieces_A); ++piece)
            Skinny<T>::reduce(dA, g + s * R, x + s * In, R, In, block, piece * few, std::min(In, (piece + 1) * few));
          for (Index piece = std::max(from, pieces_A) - pieces_A; piece < to - pieces_A; ++piece)
            Skinny<T>::reduce(dBt, xa + s * R, dy + s * Out, R, Out, block, piece * few, std::min(Out, (piece + 1) * few));
        }
      }
      for (Index o = std::max(from - pieces_A, Index{0}) * few; o < std::min((to - pieces_A) * few, Out); ++o)
        for (Index j = 0; j < R; ++j) dB[o * R + j] += scale * dBt[j * Out + o];
    }
  });
}
}  // namespace kernel

/// ops/lora.hpp's, on all threads. For float and double.
void lora_forward(Context& ctx, Workspace& ws, auto y /* += */, auto xa, auto x, auto adapter, std::span<const Index> which,
                  double scale)
  requires detail::one_native_type<decltype(y), decltype(xa), decltype(x), decltype(adapter)>
{
  detail::check_contiguous(y, xa, x);
  using W = detail::LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, y.width, xa.width>;
  using T = value_of<decltype(x)>;
  check_rows("lora", x, y, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  kernel::Lora<T>::forward(ctx, ws, y.data, xa.data, x.data, {adapter.A, adapter.B, adapter.stride, adapter.count}, which,
                           static_cast<T>(scale), {W::in, W::out, W::rank, x.rows(), rows});
}

/// ops/lora.hpp's, on all threads. For float and double.
void lora_backward(Context& ctx, Workspace& ws, auto dx /* += */, auto dadapter /* += */, auto dy, auto x, auto xa,
                   auto adapter, std::span<const Index> which, double scale)
  requires detail::one_native_type<decltype(dx), decltype(dadapter), decltype(dy), decltype(x), decltype(xa),
                                   decltype(adapter)>
{
  detail::check_contiguous(dx, dy, x, xa);
  using W = detail::LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, dy.width, xa.width>;
  static_assert(detail::LoraGradients<W::in, W::out, W::rank, dx.width, dadapter.in, dadapter.out, dadapter.rank>::fit);
  using T = value_of<decltype(x)>;
  check_rows("lora backward", x, dy, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  detail::check_lora_gradients(dx, dadapter, x, adapter);
  kernel::Lora<T>::backward(ctx, ws, dx.data, {dadapter.A, dadapter.B, dadapter.stride, dadapter.count}, dy.data, x.data,
                            xa.data, {adapter.A, adapter.B, adapter.stride, adapter.count}, which, static_cast<T>(scale),
                            {W::in, W::out, W::rank, x.rows(), rows});
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
