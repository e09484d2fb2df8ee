// Moving, repeating and adding up rows on the GPU, by cuda/kernels/rows.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "wu/cuda/context.hpp"
#include "wu/cuda/factors.hpp"
#include "wu/cuda/kernels/rows.hpp"
#include "wu/ops/elementwise.hpp"
#include "wu/ops/embedding.hpp"
#include "wu/ops/patches.hpp"

namespace wu::cuda {

namespace detail {
/// Rows as kernels read them, whether View or Columns.
template <class V>
auto strided(V rows) {
  using T = typename V::element_type;
  const Columns<T, V::width> all(rows);
  return kernel::Strided<T>{all.data, all.stride};
}
/// The same, not to be written through.
template <class V>
kernel::Strided<const value_of<V>> readable(V rows) {
  const auto all = strided(rows);
  return {all.data, all.stride};
}
/// The same without const, for kernels that go both ways.
template <class T>
kernel::Strided<T> writable(kernel::Strided<const T> rows) {
  return {const_cast<T*>(rows.data), rows.stride};
}
template <class T>
kernel::Strided<T> writable(kernel::Strided<T> rows) {
  return rows;
}
/// A gradient is held in the values' type, or in that of their sums.
template <class T, class D>
constexpr void check_gradient_type() {
  static_assert(fits<(std::is_same_v<D, T> || std::is_same_v<D, accumulator_t<T>>), "wu::cuda: expected gradients of ",
                     type<accumulator_t<T>>, " or ", type<T>, ", found ", type<D>>);
}
}  // namespace detail

/// ops/elementwise.hpp's.
void broadcast_rows_forward(Context& ctx, auto y, auto x) {
  detail::check_contiguous(y, x);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y);
  detail::check_copies("broadcast rows", y.size(), x.size());
  ctx.run(kernel::Broadcast<T>{y.data, x.data, y.size(), x.size()}, y.size());
}

/// ops/elementwise.hpp's.
void broadcast_rows_backward(Context& ctx, auto dx /* += */, auto dy) {
  detail::check_contiguous(dx, dy);
  using T = value_of<decltype(dy)>;
  using D = value_of<decltype(dx)>;
  detail::check_gradient_type<T, D>();
  if (!dx.data) return;
  detail::check_copies("broadcast rows backward", dy.size(), dx.size());
  ctx.run(kernel::BroadcastBackward<D, T>{dx.data, dy.data, dy.size(), dx.size()}, dx.size());
}

/// ops/elementwise.hpp's.
void mean_rows_forward(Context& ctx, auto y, auto x) {
  detail::check_contiguous(y, x);
  constexpr Index C = detail::SameWidth<x.width, y.width>::value;
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y);
  detail::check_groups("mean rows", x.rows(), y.rows());
  ctx.run(kernel::MeanRows<T>{y.data, x.data, y.size(), C, x.rows() / y.rows()}, y.size());
}

/// ops/elementwise.hpp's.
void mean_rows_backward(Context& ctx, auto dx /* = */, auto dy) {
  detail::check_contiguous(dx, dy);
  constexpr Index C = detail::SameWidth<dx.width, dy.width>::value;
  using T = value_of<decltype(dy)>;
  detail::check_types<T>(dx);
  if (!dx.data) return;
  detail::check_groups("mean rows backward", dx.rows(), dy.rows());
  ctx.run(kernel::MeanRowsBackward<T>{dx.data, dy.data, dx.size(), C, dx.rows() / dy.rows()}, dx.size());
}

/// ops/elementwise.hpp's.
void grid_sum_forward(Context& ctx, auto y, auto inner, auto outer) {
  detail::check_contiguous(y, inner, outer);
  constexpr Index C = detail::SameWidth<y.width, inner.width, outer.width>::value;
  using T = value_of<decltype(inner)>;
  detail::check_types<T>(y, outer);
  detail::check_grid_sum("grid sum", y, inner.rows(), outer.rows());
  ctx.run(kernel::GridSum<T>{y.data, inner.data, outer.data, y.size(), C, inner.rows()}, y.size());
}

/// ops/elementwise.hpp's.
void grid_sum_backward(Context& ctx, auto dinner /* += */, auto douter /* += */, auto dy) {
  detail::check_contiguous(dinner, douter, dy);
  constexpr Index C = detail::SameWidth<dy.width, dinner.width, douter.width>::value;
  using T = value_of<decltype(dy)>;
  using D = value_of<decltype(dinner)>;
  detail::check_gradient_type<T, D>();
  detail::check_gradient_type<T, value_of<decltype(douter)>>();
  const Index G = douter.rows(), K = dinner.rows();
  detail::check_grid_sum("grid sum backward", dy, K, G);
  ctx.run(kernel::SumRows<D, T>{dinner.data, dy.data, dinner.size(), C, 1, K, G}, dinner.size());
  ctx.run(kernel::SumRows<value_of<decltype(douter)>, T>{douter.data, dy.data, douter.size(), C, K, 1, K}, douter.size());
}

namespace detail {
void each_ids(std::span<const std::int32_t> ids, auto&& f) {
  each_factors<std::int32_t, kernel::Ids::most>(ids, std::identity(), f);
}
}  // namespace detail

/// ops/embedding.hpp's. The ids are the host's, and may change when it returns.
void embedding_forward(Context& ctx, auto y, std::span<const std::int32_t> ids, auto table) {
  constexpr Index C = detail::SameWidth<y.width, table.width>::value;
  using T = value_of<decltype(table)>;
  detail::check_types<T>(y);
  detail::check_ids(ids, y.rows(), table.rows());
  detail::each_ids(ids, [&](const kernel::Ids& some, Index first) {
    auto rows = detail::strided(y);
    rows.data += first * rows.stride;
    const kernel::Embed<T> body{rows, detail::readable(table), C, some};
    ctx.run(body, some.count * C);
  });
}

/// ops/embedding.hpp's.
void embedding_backward(Context& ctx, auto dtable /* += */, auto dy, std::span<const std::int32_t> ids) {
  constexpr Index C = detail::SameWidth<dy.width, dtable.width>::value;
  using T = value_of<decltype(dy)>;
  using D = value_of<decltype(dtable)>;
  detail::check_gradient_type<T, D>();
  detail::check_ids(ids, dy.rows(), dtable.rows());
  if (!dtable.data) return;
  detail::each_ids(ids, [&](const kernel::Ids& some, Index first) {
    const auto rows = detail::strided(dy);
    const kernel::EmbedBackward<D, T> body{detail::strided(dtable), {rows.data + first * rows.stride, rows.stride}, C, some};
    ctx.run(body, some.count * C);
  });
}

/// ops/patches.hpp's.
void patches_forward(Context& ctx, auto y, auto x) {
  detail::check_contiguous(x);
  constexpr Index P = detail::PatchSide<y.width, x.width>::value;
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y);
  detail::check_patches<P>(y, x);
  ctx.run(kernel::Patches<T>{detail::strided(y), const_cast<T*>(x.data), x.size(), P, x.extent(2), x.width, true}, x.size());
}

/// ops/patches.hpp's.
void patches_backward(Context& ctx, auto dx /* = */, auto dy) {
  detail::check_contiguous(dx);
  constexpr Index P = detail::PatchSide<dy.width, dx.width>::value;
  using T = value_of<decltype(dy)>;
  detail::check_types<T>(dx);
  if (!dx.data) return;
  detail::check_patches<P>(dy, dx);
  ctx.run(kernel::Patches<T>{detail::writable<T>(detail::strided(dy)), dx.data, dx.size(), P, dx.extent(2), dx.width, false},
          dx.size());
}

}  // namespace wu::cuda
