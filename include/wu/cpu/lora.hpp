// The per-sample low-rank product on the CPU, through products made for a small rank. Rows are split over threads; adapter
// gradients are split by adapter and column, so that no two threads add to the same entry. The order of every sum is fixed by
// the sizes: the number of threads changes no bit.
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>
#include <utility>

#include "wu/cpu/context.hpp"
#include "wu/cpu/skinny.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/lora.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
/// Rows that are worked on together, so that they are still near when they are used again.
inline constexpr Index lora_block = 64;
/// A sample of fewer rows than this does not repay packing its adapter.
inline constexpr Index lora_few_rows = 8;
/// Columns of an adapter's gradient that one thread sums at a time.
inline constexpr Index lora_columns = 64;

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

/// y (rows, to) += scale (x V) U        x: (rows, from)   V: (from, R)   U: (R, to)
/// One thread's, with the adapter that it has packed last.
template <class T>
class LowRank {
 public:
  using Products = Skinny<T>;
  using Word = typename Products::Word;
  static constexpr Index packed_words(Index from, Index to, Index R) {
    return Products::tall_words(from, R) + Products::wide_words(R, to);
  }
  static constexpr Index block_values(Index R) { return detail::lora_block * Products::width(R); }

  /// words: packed_words   block: block_values
  LowRank(Word* words, T* block, Index from, Index to, Index R)
      : from_(from), to_(to), R_(R), V_(words), U_(words + Products::tall_words(from, R)), block_(block) {}

  /// Packs adapter k as forward reads it, V = A^T and U = B^T; does nothing if that was the last one.
  void forward(AdapterSet<const T> adapters, Index k) {
    if (std::exchange(packed_, k) == k) return;
    Products::pack_tall_transposed(V_, adapters.A + k * adapters.stride, from_, R_);
    Products::pack_wide_transposed(U_, adapters.B + k * adapters.stride, R_, to_);
  }
  /// As backward does: V = B and U = A.
  void backward(AdapterSet<const T> adapters, Index k) {
    if (std::exchange(packed_, k) == k) return;
    Products::pack_tall(V_, adapters.B + k * adapters.stride, from_, R_);
    Products::pack_wide(U_, adapters.A + k * adapters.stride, R_, to_);
  }
  /// low (rows, R) = x V, rounded; y may be null.
  void run(T* y, T* low, const T* x, Index rows, typename Products::Sum scale) {
    const Index width = Products::width(R_);
    const bool whole = width == R_;
    for (Index first = 0; first < rows; first += detail::lora_block) {
      const Index count = std::min(detail::lora_block, rows - first);
      T* const p = whole ? low + first * R_ : block_;
      Products::project(p, x + first * from_, V_, R_, from_, count);
      for (Index r = 0; r < count && !whole; ++r) std::copy_n(p + r * width, R_, low + (first + r) * R_);
      if (y) Products::expand(y + first * to_, p, U_, R_, to_, count, scale);
    }
  }

 private:
  Index from_, to_, R_, packed_ = no_adapter;
  Word *V_, *U_;
  T* block_;
};

template <class T>
struct Lora {
  using Sum = accumulator_t<T>;
  static void forward(Context& ctx, Workspace& ws, T* y, T* xa, const T* x, AdapterSet<const T> adapters,
                      std::span<const Index> which, Sum scale, LoraSizes sizes);
  /// g (rows, R) = dy B, without the scale. dx may be null.
  static void backward(Context& ctx, Workspace& ws, T* dx, T* g, const T* dy, AdapterSet<const T> adapters,
                       std::span<const Index> which, Sum scale, LoraSizes sizes);

 private:
  static void few_rows(T* y, T* xa, const T* x, const T* A, const T* B, Sum scale, Index count, LoraSizes sizes);
};

/// The gradients of adapters of T, held in G.
template <class T, class G>
struct LoraGradients {
  using Sum = accumulator_t<T>;
  static void add(Context& ctx, Workspace& ws, AdapterSet<G> gradients, const T* g, const T* xa, const T* dy, const T* x,
                  std::span<const Index> which, Sum scale, LoraSizes sizes);
};

/// y += scale (x A^T) B^T where nothing repays preparation.
template <class T>
void Lora<T>::few_rows(T* y, T* xa, const T* x, const T* A, const T* B, Sum scale, Index count, LoraSizes sizes) {
  const Index In = sizes.In, Out = sizes.Out, R = sizes.R;
  for (Index s = 0; s < count; ++s) {
    const T* const in = x + s * In;
    T* const low = xa + s * R;
    for (Index j = 0; j < R; ++j)
      low[j] = static_cast<T>(detail::lane_sum<Sum>(
          In, [in, a = A + j * In](Index i) { return static_cast<Sum>(in[i]) * static_cast<Sum>(a[i]); }));
    for (Index o = 0; o < Out; ++o) {
      Sum sum = 0;
      for (Index j = 0; j < R; ++j) sum += static_cast<Sum>(low[j]) * static_cast<Sum>(B[o * R + j]);
      y[s * Out + o] += scale * sum;
    }
  }
}

template <class T>
void Lora<T>::forward(Context& ctx, Workspace& ws, T* y, T* xa, const T* x, AdapterSet<const T> adapters,
                      std::span<const Index> which, Sum scale, LoraSizes sizes) {
  using Low = LowRank<T>;
  const Index In = sizes.In, Out = sizes.Out, R = sizes.R, words = Low::packed_words(In, Out, R);
  const Workspace::Scope scope(ws);
  auto* const packed = ws.take_values<typename Low::Word>(words * ctx.threads());
  T* const blocks = ws.take_values<T>(Low::block_values(R) * ctx.threads());
  // Parts of samples, so that one sample alone keeps all threads busy too.
  ctx.split(sizes.rows, (In + Out) * R, [&](int thread, Index begin, Index end) {
    Low low(packed + thread * words, blocks + thread * Low::block_values(R), In, Out, R);
    detail::each_adapted_run(begin, end, sizes.rows_per_sample, which, [&](Index r, Index count, Index k) {
      if (sizes.rows_per_sample < detail::lora_few_rows)
        return few_rows(y + r * Out, xa + r * R, x + r * In, adapters.A + k * adapters.stride,
                        adapters.B + k * adapters.stride, scale, count, sizes);
      low.forward(adapters, k);
      low.run(y + r * Out, xa + r * R, x + r * In, count, scale);
    });
  });
}

template <class T>
void Lora<T>::backward(Context& ctx, Workspace& ws, T* dx, T* g, const T* dy, AdapterSet<const T> adapters,
                       std::span<const Index> which, Sum scale, LoraSizes sizes) {
  using Low = LowRank<T>;
  const Index In = sizes.In, Out = sizes.Out, R = sizes.R, words = Low::packed_words(Out, In, R);
  const Workspace::Scope scope(ws);
  auto* const packed = ws.take_values<typename Low::Word>(words * ctx.threads());
  T* const blocks = ws.take_values<T>(Low::block_values(R) * ctx.threads());
  ctx.split(sizes.rows, (In + Out) * R, [&](int thread, Index begin, Index end) {
    Low low(packed + thread * words, blocks + thread * Low::block_values(R), Out, In, R);
    detail::each_adapted_run(begin, end, sizes.rows_per_sample, which, [&](Index r, Index count, Index k) {
      low.backward(adapters, k);
      low.run(dx ? dx + r * In : nullptr, g + r * R, dy + r * Out, count, scale);
    });
  });
}

template <class T, class G>
void LoraGradients<T, G>::add(Context& ctx, Workspace& ws, AdapterSet<G> gradients, const T* g, const T* xa, const T* dy,
                              const T* x, std::span<const Index> which, Sum scale, LoraSizes sizes) {
  using Products = Skinny<T>;
  const Index In = sizes.In, Out = sizes.Out, R = sizes.R, rows = sizes.rows_per_sample, width = Products::width(R);
  // One item is a few columns of one adapter's dA or of the transpose of its dB. A thread takes as many of one matrix together
  // as have their sums, and the rows that it reads for them, in the second cache.
  constexpr Index few = detail::lora_columns, cached = 1 << 17;
  const Index pieces_A = (In + few - 1) / few, pieces_B = (Out + few - 1) / few, pieces = pieces_A + pieces_B;
  const Index most = std::clamp(cached / (width * Index{sizeof(Sum)}) / few, Index{1}, std::max(pieces_A, pieces_B)) * few,
              block = std::clamp(cached / (most * Index{sizeof(T)}) / 16 * 16, Index{16}, Products::most_rows);
  const Workspace::Scope scope(ws);
  Sum* const all_sums = ws.take_values<Sum>(width * most * ctx.threads());
  auto* const all_low = ws.take_values<typename Products::Word>(Products::low_words(block, R) * ctx.threads());
  ctx.split(gradients.count * pieces, sizes.rows / gradients.count * R * few, [&](int thread, Index begin, Index end) {
    Sum* const sums = all_sums + thread * width * most;
    auto* const low = all_low + thread * Products::low_words(block, R);
    // Columns first .. last-1 of P^T X over the rows of adapter k, in parts: add(first, columns) reads `columns` of them in sums.
    const auto reduce = [&](Index k, const T* P, const T* X, Index N, Index first, Index last, const auto& add) {
      for (; first < last; first += most) {
        const Index columns = std::min(most, last - first);
        std::fill_n(sums, width * Products::up_to(Products::panel, columns), Sum(0));
        for (std::size_t sample = 0; sample < which.size(); ++sample) {
          if (which[sample] != k) continue;
          const Index start = static_cast<Index>(sample) * rows;
          for (Index s = start; s < start + rows; s += block) {
            const Index count = std::min(block, start + rows - s);
            Products::pack_low(low, P + s * R, count, R);
            Products::reduce(sums, low, X + s * N + first, N, R, columns, count);
          }
        }
        add(first, columns, Products::up_to(Products::panel, columns));
      }
    };
    for (Index k = begin / pieces; k * pieces < end; ++k) {
      const Index from = std::max(begin - k * pieces, Index{0}), to = std::min(end - k * pieces, pieces);
      G *const dA = gradients.A + k * gradients.stride, *const dB = gradients.B + k * gradients.stride;
      reduce(k, g, x, In, from * few, std::min(to * few, In), [&](Index first, Index columns, Index row) {
        for (Index j = 0; j < R; ++j)
          for (Index i = 0; i < columns; ++i) dA[j * In + first + i] += scale * sums[j * row + i];
      });
      reduce(k, xa, dy, Out, std::max(from - pieces_A, Index{0}) * few, std::min((to - pieces_A) * few, Out),
             [&](Index first, Index columns, Index row) {
               for (Index o = 0; o < columns; ++o)
                 for (Index j = 0; j < R; ++j) dB[(first + o) * R + j] += scale * sums[j * row + o];
             });
    }
  });
}
}  // namespace kernel

/// ops/lora.hpp's, on all threads. For float, double and bfloat16.
void lora_forward(Context& ctx, Workspace& ws, auto y /* += */, auto xa, auto x, auto adapter, std::span<const Index> which,
                  double scale)
  requires detail::one_type<decltype(y), decltype(xa), decltype(x), decltype(adapter)> &&
           (detail::one_native_type<decltype(x)> || std::is_same_v<value_of<decltype(x)>, bfloat16>)
{
  detail::check_contiguous(y, xa, x);
  using W = detail::LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, y.width, xa.width>;
  using T = value_of<decltype(x)>;
  check_rows("lora", x, y, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  kernel::Lora<T>::forward(ctx, ws, y.data, xa.data, x.data, {adapter.A, adapter.B, adapter.stride, adapter.count}, which,
                           static_cast<sum_of<decltype(x)>>(scale), {W::in, W::out, W::rank, x.rows(), rows});
}

/// ops/lora.hpp's, on all threads. For float, double and bfloat16, whose adapters' gradients may be of float. x's type holds g =
/// dy B between the two products, so in bfloat16 it is rounded.
void lora_backward(Context& ctx, Workspace& ws, auto dx /* += */, auto dadapter /* += */, auto dy, auto x, auto xa,
                   auto adapter, std::span<const Index> which, double scale)
  requires detail::one_type<decltype(dx), decltype(dy), decltype(x), decltype(xa), decltype(adapter)> &&
           (detail::one_native_type<decltype(x)> || std::is_same_v<value_of<decltype(x)>, bfloat16>) &&
           (detail::one_type<decltype(x), decltype(dadapter)> ||
            std::is_same_v<sum_of<decltype(x)>, value_of<decltype(dadapter)>>)
{
  detail::check_contiguous(dx, dy, x, xa);
  using W = detail::LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, dy.width, xa.width>;
  static_assert(detail::LoraGradients<W::in, W::out, W::rank, dx.width, dadapter.in, dadapter.out, dadapter.rank>::fit);
  using T = value_of<decltype(x)>;
  check_rows("lora backward", x, dy, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  detail::check_lora_gradients(dx, dadapter, x, adapter);
  const kernel::LoraSizes sizes{W::in, W::out, W::rank, x.rows(), rows};
  const auto factor = static_cast<sum_of<decltype(x)>>(scale);
  const Workspace::Scope scope(ws);
  T* const g = ws.take_values<T>(x.rows() * W::rank);
  kernel::Lora<T>::backward(ctx, ws, dx.data, g, dy.data, {adapter.A, adapter.B, adapter.stride, adapter.count}, which,
                            factor, sizes);
  if (dadapter.A && dadapter.count > 0)
    kernel::LoraGradients<T, value_of<decltype(dadapter)>>::add(ctx, ws,
                                                                {dadapter.A, dadapter.B, dadapter.stride, dadapter.count}, g,
                                                                xa.data, dy.data, x.data, which, factor, sizes);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
