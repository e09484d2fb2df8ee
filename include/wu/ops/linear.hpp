// y = x W^T + b                                        x: (rows, In)   W: (Out, In)   b: (Out)   y: (rows, Out)
// dx = dy W      dW += dy^T x      db += sum over rows of dy
// Backward overwrites dx and adds to dW and db.
#pragma once

#include "wu/core/fits.hpp"
#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
/// W: (Out, In), beside it x: (rows, In), y: (rows, Out), b: (Out).
template <Index Out, Index In, Index WidthOfX, Index WidthOfY, Index WidthOfB>
struct LinearWidths {
  static_assert(
      fits<(WidthOfX == In), "linear: W is (", Out, In, "), so expected x (rows, ", In, "), found (rows, ", WidthOfX, ")">);
  static_assert(fits<(WidthOfY == Out && WidthOfB == Out), "linear: W is (", Out, In, "), so expected y (rows, ", Out,
                     ") and b (", Out, "), found y (rows, ", WidthOfY, ") and b (", WidthOfB, ")">);
  static constexpr Index in = In, out = Out;
};
/// Gradients have the extents of what they are the gradients of.
template <Index Out, Index In, Index WidthOfDx, Index RowsOfDW, Index WidthOfDW, Index WidthOfDb>
struct LinearGradients {
  static_assert(fits<(RowsOfDW == Out && WidthOfDW == In), "linear backward: W is (", Out, In, "), so expected dW (", Out,
                     In, "), found (", RowsOfDW, WidthOfDW, ")">);
  static_assert(fits<(WidthOfDx == In && WidthOfDb == Out), "linear backward: W is (", Out, In, "), so expected dx (rows, ",
                     In, ") and db (", Out, "), found dx (rows, ", WidthOfDx, ") and db (", WidthOfDb, ")">);
  static constexpr bool fit = true;
};
/// Throws unless x, dx and dy have equally many rows.
void check_linear_backward(auto dx, auto dy, auto x) {
  check_rows("linear backward", x, dy);
  if (dx.data) check_rows("linear backward", x, dx);
}
}  // namespace detail

/// b may be null: no bias.
void linear_forward(reference&, auto y, auto x, auto W, auto b) {
  detail::check_contiguous(y, x, W, b);
  detail::check_scalars(x, W);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, y.width, b.width>;
  constexpr Index In = Widths::in, Out = Widths::out;
  check_rows("linear", x, y);
  const Index rows = x.rows();
  for (Index s = 0; s < rows; ++s)
    for (Index o = 0; o < Out; ++o) {
      auto sum = b.data ? sum_of<decltype(x)>(b[o]) : sum_of<decltype(x)>(0);
      for (Index i = 0; i < In; ++i) sum += sum_of<decltype(x)>(x[s * In + i]) * sum_of<decltype(x)>(W[o * In + i]);
      y[s * Out + o] = static_cast<value_of<decltype(y)>>(sum);
    }
}

/// dx, dW and db may each be null. Throws ShapeError unless x, dx and dy have equally many rows.
void linear_backward(reference&, auto dx /* = */, auto dW /* += */, auto db /* += */, auto dy, auto x, auto W) {
  detail::check_contiguous(dx, dW, db, dy, x, W);
  detail::check_scalars(x, W);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, dy.width, W.extents[0]>;
  constexpr Index In = Widths::in, Out = Widths::out;
  static_assert(detail::LinearGradients<Out, In, dx.width, dW.extents[0], dW.width, db.width>::fit);
  using Sum = sum_of<decltype(x)>;
  detail::check_linear_backward(dx, dy, x);
  const Index rows = dy.rows();
  if (dx.data)
    for (Index s = 0; s < rows; ++s)
      for (Index i = 0; i < In; ++i) {
        Sum sum = 0;
        for (Index o = 0; o < Out; ++o) sum += Sum(dy[s * Out + o]) * Sum(W[o * In + i]);
        dx[s * In + i] = static_cast<value_of<decltype(dx)>>(sum);
      }
  if (dW.data)
    for (Index o = 0; o < Out; ++o)
      for (Index i = 0; i < In; ++i) {
        Sum sum = 0;
        for (Index s = 0; s < rows; ++s) sum += Sum(dy[s * Out + o]) * Sum(x[s * In + i]);
        dW[o * In + i] += sum;
      }
  if (db.data)
    for (Index o = 0; o < Out; ++o) {
      Sum sum = 0;
      for (Index s = 0; s < rows; ++s) sum += Sum(dy[s * Out + o]);
      db[o] += sum;
    }
}

}  // namespace wu
