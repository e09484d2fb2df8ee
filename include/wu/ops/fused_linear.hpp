// Linear layers together with what stands next to them in a network, so that a device can do both while a result is near.
//     linear_residual:  y = residual + x W^T + b
//     linear_silu:      up = x W^T + b,  activated = SiLU(up);            backward: dup = (dy W) SiLU'(up)
//     joint_linear:     y_i = x W_i^T + b_i,  i = 1 .. N: q, k and v of an attention;      dx = sum over i of dy_i W_i
// Shapes and gradients as in ops/linear.hpp. A residual's gradient is dy itself, so linear_residual has no backward of its own.
#pragma once

#include <array>

#include "wu/ops/activations.hpp"
#include "wu/ops/elementwise.hpp"
#include "wu/ops/linear.hpp"

namespace wu {

/// residual: (rows, Out), may be y's own memory. Throws ShapeError on other rows.
void linear_residual_forward(reference&, auto y, auto residual, auto x, auto W, auto b) {
  detail::check_contiguous(y, residual, x, W, b);
  detail::check_scalars(x, W);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, y.width, b.width>;
  constexpr Index In = Widths::in, Out = detail::SameWidth<Widths::out, residual.width>::value;
  check_rows("linear", x, y, residual);
  using Sum = sum_of<decltype(x)>;
  for (Index s = 0; s < x.rows(); ++s)
    for (Index o = 0; o < Out; ++o) {
      Sum sum = b.data ? Sum(b[o]) : Sum(0);
      for (Index i = 0; i < In; ++i) sum += Sum(x[s * In + i]) * Sum(W[o * In + i]);
      y[s * Out + o] = static_cast<value_of<decltype(y)>>(sum + Sum(residual[s * Out + o]));
    }
}

/// up, activated: (rows, Out).
void linear_silu_forward(reference& ctx, auto up, auto activated, auto x, auto W, auto b) {
  linear_forward(ctx, up, x, W, b);
  silu_forward(ctx, activated, as_const(up));
}

/// Of the layer that reads `activated`, and of the SiLU before it. dup, up, activated: (rows, In)   dy: (rows, Out). No null dup.
void linear_silu_backward(reference& ctx, auto dup /* = */, auto dW /* += */, auto db /* += */, auto dy, auto activated,
                          auto up, auto W) {
  linear_backward(ctx, dup, dW, db, dy, activated, W);
  silu_backward(ctx, dup, as_const(dup), up);
}

/// layers: N of one shape, each with weight (Out, In) and bias (Out)   y: N views (rows, Out).
template <class Y, class Layer, std::size_t N>
void joint_linear_forward(reference& ctx, const std::array<Y, N>& y, auto x, const std::array<Layer, N>& layers) {
  for (std::size_t i = 0; i < N; ++i) linear_forward(ctx, y[i], x, layers[i].weight, layers[i].bias);
}

/// dlayers: the gradients of the layers; null views if not wanted. dx may be null; `add`: dx += instead of dx =.
template <class DLayer, class DY, class Layer, std::size_t N>
void joint_linear_backward(reference& ctx, auto dx, bool add, const std::array<DLayer, N>& dlayers /* += */,
                           const std::array<DY, N>& dy, auto x, const std::array<Layer, N>& layers) {
  using DX = decltype(dx);
  constexpr Index In = DX::width;
  for (std::size_t i = 0; i < N; ++i) {
    detail::check_linear_backward(dx, dy[i], x);
    linear_backward(ctx, DX(), dlayers[i].weight, dlayers[i].bias, dy[i], x, layers[i].weight);
  }
  if (!dx.data) return;
  using Sum = sum_of<DX>;
  for (Index s = 0; s < x.rows(); ++s)
    for (Index k = 0; k < In; ++k) {
      Sum sum = 0;
      for (std::size_t i = 0; i < N; ++i)
        for (Index o = 0; o < DY::width; ++o) sum += Sum(dy[i][s * DY::width + o]) * Sum(layers[i].weight[o * In + k]);
      dx[s * In + k] = static_cast<value_of<DX>>(add ? sum + Sum(dx[s * In + k]) : sum);
    }
}

}  // namespace wu
