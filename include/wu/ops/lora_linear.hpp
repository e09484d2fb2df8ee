// A frozen linear layer and the adapters beside it in one call, so that a device can add the adapters' part while a result is near.
//     y_s = x_s W^T + b + scale * (x_s A_k^T) B_k^T        k = which[s]
//     dx_s = dy_s W + scale * (dy_s B_k) A_k               the other gradients as in ops/linear.hpp and ops/lora.hpp
// Shapes as there. Without adapters (null A) it is the linear layer alone, bit for bit, and so are the rows of a sample without one.
#pragma once

#include "wu/ops/linear.hpp"
#include "wu/ops/lora.hpp"

namespace wu {

/// b may be null: no bias. xa's rows of samples without an adapter are left as they are.
template <detail::Device Context>
void lora_linear_forward(Context& ctx, Workspace& ws, auto y, auto xa, auto x, auto W, auto b, auto adapter,
                         std::span<const Index> which, double scale) {
  linear_forward(ctx, y, x, W, b);
  if (adapter.A) lora_forward(ctx, ws, y, xa, x, adapter, which, scale);
}

/// dx, dW, db, and the A and B of dadapter may be null.
template <detail::Device Context>
void lora_linear_backward(Context& ctx, Workspace& ws, auto dx /* = */, auto dW /* += */, auto db /* += */,
                          auto dadapter /* += */, auto dy, auto x, auto xa, auto W, auto adapter,
                          std::span<const Index> which, double scale) {
  linear_backward(ctx, dx, dW, db, dy, x, W);
  if (adapter.A) lora_backward(ctx, ws, dx, dadapter, dy, x, xa, adapter, which, scale);
}

}  // namespace wu
