// Adaptive modulation on the GPU, by cuda/kernels/modulate.hpp.
#pragma once

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/modulate.hpp"
#include "wu/cuda/rows.hpp"
#include "wu/ops/modulate.hpp"

namespace wu::cuda {

namespace detail {
/// plain and product: one row for each group of `rows` rows of dy and x.
template <class T>
void group_sums(Context& ctx, kernel::Strided<T> plain, kernel::Strided<T> product, const T* dy, const T* x, Index groups,
                Index width, Index rows) {
  if (!plain.data && !product.data) return;
  const kernel::GroupSums<T> body{plain, product, dy, x, width, rows};
  ctx.run_blocks(body, {groups * body.column_blocks(), kernel::GroupSums<T>::threads, kernel::GroupSums<T>::shared_bytes});
}
}  // namespace detail

/// ops/modulate.hpp's.
void modulate_forward(Context& ctx, auto y, auto x, auto shift, auto scale) {
  detail::check_contiguous(y, x);
  constexpr Index C = detail::SameWidth<x.width, y.width, shift.width, scale.width>::value;
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y, shift, scale);
  check_rows("modulate", x, y);
  check_rows("modulate", shift, scale);
  const Index k = detail::group_rows("modulate", x.rows(), scale.rows());
  ctx.run(kernel::Modulate<T>{y.data, x.data, detail::readable(shift), detail::readable(scale), x.size(), C, k}, x.size());
}

/// ops/modulate.hpp's.
void modulate_backward(Context& ctx, auto dx /* = */, auto dshift /* = */, auto dscale /* = */, auto dy, auto x,
                       auto scale) {
  detail::check_contiguous(dx, dy, x);
  constexpr Index C = detail::SameWidth<x.width, dy.width, dx.width, scale.width, dshift.width, dscale.width>::value;
  using T = value_of<decltype(x)>;
  detail::check_types<T>(dx, dshift, dscale, dy, scale);
  check_rows("modulate backward", x, dy);
  if (dx.data) check_rows("modulate backward", x, dx);
  if (dshift.data) check_rows("modulate backward", scale, dshift);
  if (dscale.data) check_rows("modulate backward", scale, dscale);
  const Index k = detail::group_rows("modulate backward", x.rows(), scale.rows());
  detail::group_sums<T>(ctx, detail::strided(dshift), detail::strided(dscale), dy.data, x.data, scale.rows(), C, k);
  if (dx.data) ctx.run(kernel::ModulateBackward<T>{dx.data, dy.data, detail::readable(scale), x.size(), C, k, 1}, x.size());
}

/// ops/modulate.hpp's.
void gated_add_forward(Context& ctx, auto y /* += */, auto h, auto gate) {
  detail::check_contiguous(y, h);
  constexpr Index C = detail::SameWidth<h.width, y.width, gate.width>::value;
  using T = value_of<decltype(h)>;
  detail::check_types<T>(y, gate);
  check_rows("gated add", h, y);
  const Index k = detail::group_rows("gated add", h.rows(), gate.rows());
  ctx.run(kernel::GatedAdd<T>{y.data, h.data, detail::readable(gate), h.size(), C, k}, h.size());
}

/// ops/modulate.hpp's.
void gated_add_backward(Context& ctx, auto dh /* = */, auto dgate /* = */, auto dy, auto h, auto gate) {
  detail::check_contiguous(dh, dy, h);
  constexpr Index C = detail::SameWidth<h.width, dy.width, dh.width, gate.width, dgate.width>::value;
  using T = value_of<decltype(h)>;
  detail::check_types<T>(dh, dgate, dy, gate);
  check_rows("gated add backward", h, dy);
  if (dh.data) check_rows("gated add backward", h, dh);
  if (dgate.data) check_rows("gated add backward", gate, dgate);
  const Index k = detail::group_rows("gated add backward", h.rows(), gate.rows());
  detail::group_sums<T>(ctx, {}, detail::strided(dgate), dy.data, h.data, gate.rows(), C, k);
  if (dh.data) ctx.run(kernel::ModulateBackward<T>{dh.data, dy.data, detail::readable(gate), h.size(), C, k, 0}, h.size());
}

}  // namespace wu::cuda
