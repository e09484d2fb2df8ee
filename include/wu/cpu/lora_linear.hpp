// A frozen linear layer with its adapters on the CPU: ops/lora_linear.hpp's. x A^T is computed first; the product with B is added to
// the layer's sums tile by tile while they are in the cache, before they are rounded and written. Backward likewise.
#pragma once

#include <algorithm>
#include <span>
#include <utility>

#include "wu/cpu/linear.hpp"
#include "wu/cpu/lora.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/lora_linear.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
/// scale (x V) U for all rows, of which a product adds a tile at a time to its own.
template <class T>
class LoraAddition {
 public:
  using Sum = accumulator_t<T>;

  /// Computes low (rows, R) = x V, rounded, and packs U. What it holds is in the workspace.
  LoraAddition(Context& ctx, Workspace& ws, T* low, const T* x, const LoraFactors<T>& factors, std::span<const Index> which,
               Sum scale);
  operator GemmAddition<Sum>() const { return {this, &add}; }

 private:
  using Products = Skinny<T>;
  using Word = typename Products::Word;
  /// Of an adapter that is used: the first sample that has it, and where its U lies.
  struct Place {
    Index sample = -1, at = 0;
  };

  static void add(const void* of, Sum* sums, Index sums_row, Index row, Index rows, Index column, Index columns);

  LoraFactors<T> factors_;
  std::span<const Index> which_;
  Sum scale_;
  Place* places_;
  T* P_;  // (rows, width)
  Word* U_;
};

template <class T>
LoraAddition<T>::LoraAddition(Context& ctx, Workspace& ws, T* low, const T* x, const LoraFactors<T>& factors,
                              std::span<const Index> which, Sum scale)
    : factors_(factors), which_(which), scale_(scale) {
  const LoraSizes& sizes = factors.sizes;
  const Index from = factors.from(), R = sizes.R, width = Products::width(R), per_sample = sizes.rows_per_sample;
  places_ = ws.take_values<Place>(factors.adapters.count);
  std::fill_n(places_, factors.adapters.count, Place());
  Index used = 0;
  for (std::size_t s = 0; s < which.size(); ++s)
    if (which[s] != no_adapter && places_[which[s]].sample < 0)
      places_[which[s]] = {static_cast<Index>(s), used++ * factors.words_of_U()};
  U_ = ws.take_values<Word>(used * factors.words_of_U());
  P_ = width == R ? low : ws.take_values<T>(sizes.rows * width);
  Word* const packed = ws.take_values<Word>(factors.words_of_V() * ctx.threads());
  ctx.split(sizes.rows, from * R, [&](int thread, Index begin, Index end) {
    Word* const V = packed + thread * factors.words_of_V();
    Index last = no_adapter;
    detail::each_adapted_run(begin, end, per_sample, which, [&](Index r, Index count, Index k) {
      if (r == places_[k].sample * per_sample) factors.pack_U(U_ + places_[k].at, k);
      if (std::exchange(last, k) != k) factors.pack_V(V, k);
      Products::project(P_ + r * width, x + r * from, V, R, from, count);
      for (Index i = r; i < r + count && width != R; ++i) std::copy_n(P_ + i * width, R, low + i * R);
    });
  });
}

template <class T>
void LoraAddition<T>::add(const void* of, Sum* sums, Index sums_row, Index row, Index rows, Index column, Index columns) {
  const auto& self = *static_cast<const LoraAddition*>(of);
  const LoraSizes& sizes = self.factors_.sizes;
  const Index width = Products::width(sizes.R), panels = Products::up_to(Products::panel, columns) / Products::panel;
  detail::each_adapted_run(row, row + rows, sizes.rows_per_sample, self.which_, [&](Index r, Index count, Index k) {
    const Word* const U = self.U_ + self.places_[k].at + column * Products::words(width);
    Products::expand_sums(sums + (r - row) * sums_row, sums_row, self.P_ + r * width, U, sizes.R, panels, count,
                          self.scale_);
  });
}
}  // namespace kernel

/// ops/lora_linear.hpp's, on all threads. For float, double and bfloat16. y is rounded once, after the adapter's part.
void lora_linear_forward(Context& ctx, Workspace& ws, auto y, auto xa, auto x, auto W, auto b, auto adapter,
                         std::span<const Index> which, double scale)
  requires detail::one_product_type<decltype(y), decltype(xa), decltype(x), decltype(W), decltype(b), decltype(adapter)>
{
  using T = value_of<decltype(x)>;
  detail::check_contiguous(y, xa, x, W, b);
  using Layer = detail::LinearWidths<W.extents[0], W.width, x.width, y.width, b.width>;
  using Adapter = detail::LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, y.width, xa.width>;
  static_assert(Adapter::in == Layer::in);
  if (!adapter.A) return linear_forward(ctx, y, x, W, b);
  check_rows("linear", x, y);
  check_rows("lora", x, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  if (rows < detail::lora_few_rows) {
    linear_forward(ctx, y, x, W, b);
    return lora_forward(ctx, ws, y, xa, x, adapter, which, scale);
  }
  const Workspace::Scope scope(ws);
  const kernel::LoraAddition<T> addition(ctx, ws, xa.data, x.data,
                                         kernel::lora_factors<T>(adapter, x.rows(), rows, kernel::LoraWay::forward), which,
                                         static_cast<sum_of<decltype(x)>>(scale));
  kernel::Linear<T>::forward(ctx, x.data, {{{W.data, b.data, y.data, nullptr, nullptr, addition}}}, 1,
                             {x.rows(), Layer::in, Layer::out});
}

/// ops/lora_linear.hpp's, on all threads. For float, double and bfloat16. dx is rounded once, after the adapter's part.
void lora_linear_backward(Context& ctx, Workspace& ws, auto dx /* = */, auto dW /* += */, auto db /* += */,
                          auto dadapter /* += */, auto dy, auto x, auto xa, auto W, auto adapter,
                          std::span<const Index> which, double scale)
  requires detail::one_product_type<decltype(dx), decltype(dy), decltype(x), decltype(xa), decltype(W), decltype(adapter)> &&
           detail::summed_as<decltype(x), decltype(dW), decltype(db)> &&
           detail::are_lora_gradients<decltype(x), decltype(dadapter)>
{
  using T = value_of<decltype(x)>;
  detail::check_contiguous(dx, dW, db, dy, x, xa, W);
  using Layer = detail::LinearWidths<W.extents[0], W.width, x.width, dy.width, W.extents[0]>;
  static_assert(detail::LinearGradients<Layer::out, Layer::in, dx.width, dW.extents[0], dW.width, db.width>::fit);
  using Adapter = detail::LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, dy.width, xa.width>;
  static_assert(detail::LoraGradients<Adapter::in, Adapter::out, Adapter::rank, dx.width, dadapter.in, dadapter.out,
                                      dadapter.rank>::fit);
  if (!adapter.A) return linear_backward(ctx, dx, dW, db, dy, x, W);
  detail::check_linear_backward(dx, dy, x);
  check_rows("lora backward", x, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  detail::check_lora_gradients(dx, dadapter, x, adapter);
  if (!dx.data || rows < detail::lora_few_rows) {
    linear_backward(ctx, dx, dW, db, dy, x, W);
    return lora_backward(ctx, ws, dx, dadapter, dy, x, xa, adapter, which, scale);
  }
  const auto factors = kernel::lora_factors<T>(adapter, x.rows(), rows, kernel::LoraWay::backward);
  const auto factor = static_cast<sum_of<decltype(x)>>(scale);
  const Workspace::Scope scope(ws);
  T* const g = ws.take_values<T>(x.rows() * Adapter::rank);
  {
    const Workspace::Scope of_addition(ws);
    const kernel::LoraAddition<T> addition(ctx, ws, g, dy.data, factors, which, factor);
    kernel::Linear<T>::backward(ctx, dx.data, false, nullptr, x.data, {{{dy.data, W.data, dW.data, db.data}}}, 1,
                                {dy.rows(), Layer::in, Layer::out}, addition);
  }
  kernel::add_lora_gradients<T>(ctx, ws, dadapter, g, xa, dy, x, which, factor, factors.sizes);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
