// The per-sample low-rank product on the CPU, through products made for a small rank. Rows are split over threads; adapter
// gradients are split by adapter and column, so that no two threads add to the same entry. The order of every sum is fixed by
// the sizes: the number of threads changes no bit.
#pragma once

#include <algorithm>
#include <span>
#include <utility>

#include "wu/cpu/context.hpp"
#include "wu/cpu/skinny.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/lora.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
/// Gradients of adapters in the type of the activations, or in the one that it is summed in.
template <class First, class Gradient>
inline constexpr bool are_lora_gradients = one_type<First, Gradient> || summed_as<First, Gradient>;
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

/// forward: y += scale (x A^T) B^T        backward: dx += scale (dy B) A
/// Both are y (rows, to) += scale (x V) U, with V (from, R) and U (R, to).
enum class LoraWay { forward, backward };

/// How an adapter is packed for one way.
template <class T>
struct LoraFactors {
  using Products = Skinny<T>;
  using Word = typename Products::Word;
  AdapterSet<const T> adapters;
  LoraSizes sizes;
  LoraWay way;

  Index from() const { return way == LoraWay::forward ? sizes.In : sizes.Out; }
  Index to() const { return way == LoraWay::forward ? sizes.Out : sizes.In; }
  Index words_of_V() const { return Products::tall_words(from(), sizes.R); }
  Index words_of_U() const { return Products::wide_words(sizes.R, to()); }
  void pack_V(Word* words, Index k) const {
    const Index offset = k * adapters.stride;
    if (way == LoraWay::forward) Products::pack_tall_transposed(words, adapters.A + offset, from(), sizes.R);
    else Products::pack_tall(words, adapters.B + offset, from(), sizes.R);
  }
  void pack_U(Word* words, Index k) const {
    const Index offset = k * adapters.stride;
    if (way == LoraWay::forward) Products::pack_wide_transposed(words, adapters.B + offset, sizes.R, to());
    else Products::pack_wide(words, adapters.A + offset, sizes.R, to());
  }
};

/// Those of an AdapterView beside `rows` rows.
template <class T>
LoraFactors<T> lora_factors(auto adapter, Index rows, Index rows_per_sample, LoraWay way) {
  return {{adapter.A, adapter.B, adapter.stride, adapter.count},
          {adapter.in, adapter.out, adapter.rank, rows, rows_per_sample},
          way};
}

template <class T>
struct Lora {
  using Sum = accumulator_t<T>;
  /// low (rows, R) = x V, rounded; y may be null.
  static void add(Context& ctx, Workspace& ws, T* y, T* low, const T* x, const LoraFactors<T>& factors,
                  std::span<const Index> which, Sum scale);

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
void Lora<T>::add(Context& ctx, Workspace& ws, T* y, T* low, const T* x, const LoraFactors<T>& factors,
                  std::span<const Index> which, Sum scale) {
  using Products = Skinny<T>;
  using Word = typename Products::Word;
  const AdapterSet<const T>& adapters = factors.adapters;
  const LoraSizes& sizes = factors.sizes;
  const Index from = factors.from(), to = factors.to(), R = sizes.R, width = Products::width(R),
              words = factors.words_of_V() + factors.words_of_U(), block_values = detail::lora_block * width;
  const bool whole = width == R, few = factors.way == LoraWay::forward && sizes.rows_per_sample < detail::lora_few_rows;
  const Workspace::Scope scope(ws);
  Word* const packed = ws.take_values<Word>(words * ctx.threads());
  T* const blocks = ws.take_values<T>(block_values * ctx.threads());
  // Parts of samples, so that one sample alone keeps all threads busy too.
  ctx.split(sizes.rows, (from + to) * R, [&](int thread, Index begin, Index end) {
    Word *const V = packed + thread * words, *const U = V + factors.words_of_V();
    Index last = no_adapter;
    detail::each_adapted_run(begin, end, sizes.rows_per_sample, which, [&](Index first, Index count, Index k) {
      if (few)
        return few_rows(y + first * to, low + first * R, x + first * from, adapters.A + k * adapters.stride,
                        adapters.B + k * adapters.stride, scale, count, sizes);
      if (std::exchange(last, k) != k) {
        factors.pack_V(V, k);
        if (y) factors.pack_U(U, k);
      }
      for (Index r = first; r < first + count; r += detail::lora_block) {
        const Index some = std::min(detail::lora_block, first + count - r);
        T* const P = whole ? low + r * R : blocks + thread * block_values;
        Products::project(P, x + r * from, V, R, from, some);
        for (Index i = 0; i < some && !whole; ++i) std::copy_n(P + i * width, R, low + (r + i) * R);
        if (y) Products::expand(y + r * to, P, U, R, to, some, scale);
      }
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

/// The same for an AdapterView, where it wants gradients.
template <class T>
void add_lora_gradients(Context& ctx, Workspace& ws, auto gradients, const T* g, auto xa, auto dy, auto x,
                        std::span<const Index> which, accumulator_t<T> scale, LoraSizes sizes) {
  if (gradients.A && gradients.count > 0)
    LoraGradients<T, value_of<decltype(gradients)>>::add(ctx, ws,
                                                         {gradients.A, gradients.B, gradients.stride, gradients.count}, g,
                                                         xa.data, dy.data, x.data, which, scale, sizes);
}
}  // namespace kernel

/// ops/lora.hpp's, on all threads. For float, double and bfloat16.
void lora_forward(Context& ctx, Workspace& ws, auto y /* += */, auto xa, auto x, auto adapter, std::span<const Index> which,
                  double scale)
  requires detail::one_product_type<decltype(y), decltype(xa), decltype(x), decltype(adapter)>
{
  detail::check_contiguous(y, xa, x);
  using W = detail::LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, y.width, xa.width>;
  using T = value_of<decltype(x)>;
  check_rows("lora", x, y, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  static_assert(W::rank == adapter.rank);
  kernel::Lora<T>::add(ctx, ws, y.data, xa.data, x.data,
                       kernel::lora_factors<T>(adapter, x.rows(), rows, kernel::LoraWay::forward), which,
                       static_cast<sum_of<decltype(x)>>(scale));
}

/// ops/lora.hpp's, on all threads. For float, double and bfloat16, whose adapters' gradients may be of float. x's type holds g =
/// dy B between the two products, so in bfloat16 it is rounded.
void lora_backward(Context& ctx, Workspace& ws, auto dx /* += */, auto dadapter /* += */, auto dy, auto x, auto xa,
                   auto adapter, std::span<const Index> which, double scale)
  requires detail::one_product_type<decltype(dx), decltype(dy), decltype(x), decltype(xa), decltype(adapter)> &&
           detail::are_lora_gradients<decltype(x), decltype(dadapter)>
{
  detail::check_contiguous(dx, dy, x, xa);
  using W = detail::LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, dy.width, xa.width>;
  static_assert(detail::LoraGradients<W::in, W::out, W::rank, dx.width, dadapter.in, dadapter.out, dadapter.rank>::fit);
  using T = value_of<decltype(x)>;
  check_rows("lora backward", x, dy, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  detail::check_lora_gradients(dx, dadapter, x, adapter);
  const auto factors = kernel::lora_factors<T>(adapter, x.rows(), rows, kernel::LoraWay::backward);
  const auto factor = static_cast<sum_of<decltype(x)>>(scale);
  const Workspace::Scope scope(ws);
  T* const g = ws.take_values<T>(x.rows() * W::rank);
  kernel::Lora<T>::add(ctx, ws, dx.data, g, dy.data, factors, which, factor);
  kernel::add_lora_gradients<T>(ctx, ws, dadapter, g, xa, dy, x, which, factor, factors.sizes);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
