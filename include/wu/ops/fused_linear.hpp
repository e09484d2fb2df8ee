// Linear layers together with what stands next to them in a network, so that a device can do both while a result is near.
//     linear_residual:  y = residual + x W^T + b
//     linear_silu:      up = x W^T + b,  activated = SiLU(up);            backward: dup = (dy W) SiLU'(up)
//     joint_linear:     y_i = x W_i^T + b_i,  i = 1 .. N: q, k and v of an attention;      dx = sum over i of dy_i W_i
// Shapes and gradients as in ops/linear.hpp. A residual's gradient is dy itself, so linear_residual has no backward of its own.
#pragma once

#include <array>

#include "wu/core/workspace.hpp"
#include "wu/ops/activations.hpp"
#include "wu/ops/elementwise.hpp"
#include "wu/ops/linear.hpp"

namespace wu {

/// residual: (rows, Out), not y's own memory. Throws ShapeError on other rows.
template <detail::Device Context>
void linear_residual_forward(Context& ctx, auto y, auto residual, auto x, auto W, auto b) {
  static_assert(detail::SameWidth<y.width, residual.width>::value == y.width);
  check_rows("linear", x, residual);
  linear_forward(ctx, y, x, W, b);
  add(ctx, y, residual);
}

/// up, activated: (rows, Out), not one memory. Throws ShapeError on other rows.
template <detail::Device Context>
void linear_silu_forward(Context& ctx, auto up, auto activated, auto x, auto W, auto b) {
  linear_forward(ctx, up, x, W, b);
  silu_forward(ctx, activated, as_const(up));
}

/// Of the layer that reads `activated`, and of the SiLU before it. dup, up, activated: (rows, In)   dy: (rows, Out). dup may be
/// where `activated` is if dW is null, and not null itself.
template <detail::Device Context>
void linear_silu_backward(Context& ctx, auto dup /* = */, auto dW /* += */, auto db /* += */, auto dy, auto activated,
                          auto up, auto W) {
  linear_backward(ctx, dup, dW, db, dy, activated, W);
  silu_backward(ctx, dup, as_const(dup), up);
}

/// x: (rows, In)   layers: N of one shape, each with weight (Out, In) and bias (Out)   y: N views (rows, Out). Throws ShapeError on
/// other rows.
template <detail::Device Context, class Y, class Layer, std::size_t N>
void joint_linear_forward(Context& ctx, const std::array<Y, N>& y, auto x, const std::array<Layer, N>& layers) {
  for (std::size_t i = 0; i < N; ++i) linear_forward(ctx, y[i], x, layers[i].weight, layers[i].bias);
}

/// dx, x: (rows, In)   dy: N views (rows, Out)   dlayers: the gradients of the layers; null views if not wanted. dx may be null;
/// add_to_dx: dx += instead of dx =. Throws ShapeError on other rows.
template <detail::Device Context, class DLayer, class DY, class Layer, std::size_t N>
void joint_linear_backward(Context& ctx, Workspace& ws, auto dx, bool add_to_dx,
                           const std::array<DLayer, N>& dlayers /* += */, const std::array<DY, N>& dy, auto x,
                           const std::array<Layer, N>& layers) {
  const Workspace::Scope scope(ws);
  using DX = decltype(dx);
  auto part = dx;
  if (dx.data && (N > 1 || add_to_dx)) part.data = ws.take_values<value_of<DX>>(dx.size());
  for (std::size_t i = 0; i < N; ++i) {
    const bool direct = !dx.data || (i == 0 && !add_to_dx);
    linear_backward(ctx, direct ? dx : part, dlayers[i].weight, dlayers[i].bias, dy[i], x, layers[i].weight);
    if (!direct) add(ctx, dx, part);
  }
}

}  // namespace wu
