// y = x W^T + b                                        x: (rows, In)   W: (Out, In)   b: (Out)   y: (rows, Out)
// dx = dy W      dW += dy^T x      db += sum over rows of dy
// Backward overwrites dx and adds to dW and db.
#pragma once

#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
template <Index WidthOfX, Index WidthOfW>
struct LinearWidths {
  static_assert(WidthOfX == WidthOfW, "linear: x (rows, In) and W (Out, In) must agree on In, their last extent");
  static constexpr Index in = WidthOfX;
};
template <Index WidthOfY, Index RowsOfW>
struct LinearOutputs {
  static_assert(WidthOfY == RowsOfW, "linear: y (rows, Out), W (Out, In) and b (Out) must agree on Out");
  static constexpr Index out = WidthOfY;
};
/// Throws unless x, dx and dy have equally many rows. The other extents are those of the layer, gradients included, and checked as such.
void check_linear_backward(auto dx, auto dW, auto db, auto dy, auto x, auto W) {
  static_assert(LinearWidths<dx.width, W.width>::in == LinearWidths<x.width, dW.width>::in);
  static_assert(LinearOutputs<dy.width, dW.extents[0]>::out == LinearOutputs<db.width, W.extents[0]>::out);
  check_rows("linear backward", x, dy);
  if (dx.data) check_rows("linear backward", x, dx);
}
}  // namespace detail

/// b may be null: no bias.
void linear_forward(reference&, auto y, auto x, auto W, auto b) {
  detail::check_contiguous(y, x, W, b);
  constexpr Index In = detail::LinearWidths<x.width, W.width>::in, Out = detail::LinearOutputs<y.width, W.extents[0]>::out;
  static_assert(detail::LinearOutputs<b.width, Out>::out == Out);
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
  constexpr Index In = detail::LinearWidths<x.width, W.width>::in, Out = detail::LinearOutputs<dy.width, W.extents[0]>::out;
  using Sum = sum_of<decltype(x)>;
  detail::check_linear_backward(dx, dW, db, dy, x, W);
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
