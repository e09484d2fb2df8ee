// Adaptive modulation.                                                                      Peebles & Xie 2023, section 3.2
//     modulate:    y = x (1 + scale_g) + shift_g       dx = dy (1 + scale_g)   dshift_g = sum dy   dscale_g = sum dy x
//     gated add:   y += gate_g h                       dh = dy gate_g          dgate_g = sum dy h
// x has G groups of equally many rows, one after the other; shift, scale and gate have one row for each group and may be columns
// of a wider matrix. Sums go over the rows of the group. Backward overwrites; the gated add's dy is also the gradient of its old y.
#pragma once

#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
/// Rows of x in each group.
inline Index group_rows(const char* what, Index rows, Index groups) {
  if (groups < 1 || rows % groups != 0)
    throw ShapeError(message(what, ": expected a multiple of ", groups, " groups' rows, found ", rows));
  return rows / groups;
}

template <Index C, class T>
void modulate_row(T* y, const T* x, const T* shift, const T* scale) {
  using Sum = accumulator_t<T>;
  for (Index c = 0; c < C; ++c) y[c] = static_cast<T>(Sum(x[c]) * (1 + Sum(scale[c])) + Sum(shift[c]));
}
/// All rows of one group. A null pointer stands for a gradient that is not wanted.
template <Index C, class T>
void modulate_back(T* dx, T* dshift, T* dscale, const T* dy, const T* x, const T* scale, Index rows) {
  using Sum = accumulator_t<T>;
  Sum shift_sum[C] = {}, scale_sum[C] = {};
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < C; ++c) {
      const Sum g = dy[r * C + c];
      shift_sum[c] += g;
      scale_sum[c] += g * Sum(x[r * C + c]);
      if (dx) dx[r * C + c] = static_cast<T>(g * (1 + Sum(scale[c])));
    }
  for (Index c = 0; c < C && dshift; ++c) dshift[c] = static_cast<T>(shift_sum[c]);
  for (Index c = 0; c < C && dscale; ++c) dscale[c] = static_cast<T>(scale_sum[c]);
}
template <Index C, class T>
void gate_row(T* y, const T* h, const T* gate) {
  using Sum = accumulator_t<T>;
  for (Index c = 0; c < C; ++c) y[c] = static_cast<T>(Sum(y[c]) + Sum(gate[c]) * Sum(h[c]));
}
template <Index C, class T>
void gate_back(T* dh, T* dgate, const T* dy, const T* h, const T* gate, Index rows) {
  using Sum = accumulator_t<T>;
  Sum sum[C] = {};
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < C; ++c) {
      const Sum g = dy[r * C + c];
      sum[c] += g * Sum(h[r * C + c]);
      if (dh) dh[r * C + c] = static_cast<T>(g * Sum(gate[c]));
    }
  for (Index c = 0; c < C && dgate; ++c) dgate[c] = static_cast<T>(sum[c]);
}
/// Row r of a gradient, or null if it is not wanted.
inline auto wanted_row(auto gradient, Index r) { return gradient.data ? gradient.row(r) : nullptr; }
}  // namespace detail

/// y, x: (G k, C)   shift, scale: (G, C), Views or Columns. Throws ShapeError unless G divides the rows.
void modulate_forward(reference&, auto y, auto x, auto shift, auto scale) {
  detail::check_contiguous(y, x);
  constexpr Index C = detail::SameWidth<x.width, y.width, shift.width, scale.width>::value;
  check_rows("modulate", x, y);
  check_rows("modulate", shift, scale);
  const Index k = detail::group_rows("modulate", x.rows(), scale.rows());
  for (Index r = 0; r < x.rows(); ++r)
    detail::modulate_row<C, value_of<decltype(y)>>(y.row(r), x.row(r), shift.row(r / k), scale.row(r / k));
}

/// dx, dy, x: (G k, C)   dshift, dscale, scale: (G, C). Each gradient may be null. Throws ShapeError as forward does.
void modulate_backward(reference&, auto dx /* = */, auto dshift /* = */, auto dscale /* = */, auto dy, auto x, auto scale) {
  detail::check_contiguous(dx, dy, x);
  constexpr Index C = detail::SameWidth<x.width, dy.width, dx.width, scale.width, dshift.width, dscale.width>::value;
  check_rows("modulate backward", x, dy);
  if (dx.data) check_rows("modulate backward", x, dx);
  if (dshift.data) check_rows("modulate backward", scale, dshift);
  if (dscale.data) check_rows("modulate backward", scale, dscale);
  const Index k = detail::group_rows("modulate backward", x.rows(), scale.rows());
  for (Index g = 0; g < scale.rows(); ++g)
    detail::modulate_back<C, value_of<decltype(dx)>>(detail::wanted_row(dx, g * k), detail::wanted_row(dshift, g),
                                                     detail::wanted_row(dscale, g), dy.row(g * k), x.row(g * k),
                                                     scale.row(g), k);
}

/// y, h: (G k, C)   gate: (G, C), View or Columns. Throws ShapeError unless G divides the rows.
void gated_add_forward(reference&, auto y /* += */, auto h, auto gate) {
  detail::check_contiguous(y, h);
  constexpr Index C = detail::SameWidth<h.width, y.width, gate.width>::value;
  check_rows("gated add", h, y);
  const Index k = detail::group_rows("gated add", h.rows(), gate.rows());
  for (Index r = 0; r < h.rows(); ++r) detail::gate_row<C, value_of<decltype(y)>>(y.row(r), h.row(r), gate.row(r / k));
}

/// dh, dy, h: (G k, C)   dgate, gate: (G, C). Each gradient may be null. Throws ShapeError as forward does.
void gated_add_backward(reference&, auto dh /* = */, auto dgate /* = */, auto dy, auto h, auto gate) {
  detail::check_contiguous(dh, dy, h);
  constexpr Index C = detail::SameWidth<h.width, dy.width, dh.width, gate.width, dgate.width>::value;
  check_rows("gated add backward", h, dy);
  if (dh.data) check_rows("gated add backward", h, dh);
  if (dgate.data) check_rows("gated add backward", gate, dgate);
  const Index k = detail::group_rows("gated add backward", h.rows(), gate.rows());
  for (Index g = 0; g < gate.rows(); ++g)
    detail::gate_back<C, value_of<decltype(dh)>>(detail::wanted_row(dh, g * k), detail::wanted_row(dgate, g), dy.row(g * k),
                                                 h.row(g * k), gate.row(g), k);
}

}  // namespace wu
