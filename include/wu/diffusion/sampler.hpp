// Euler's method along the velocity:  x_{k+1} = x_k + v(x_k, k / steps) / steps,   k = 0 .. steps-1.
#pragma once

#include "wu/core/workspace.hpp"
#include "wu/ops/path.hpp"

namespace wu::diffusion {

/// Moves x from t = 0 to t = 1. velocity(v, x, t) fills v, of the same extents as x.
template <class T, Index... E, class Velocity>
void sample_euler(auto& ctx, Workspace& ws, View<T, E...> x, Index steps, Velocity&& velocity) {
  if (steps < 1) throw ShapeError(message("sampler: expected at least one step, found ", steps));
  const Workspace::Scope scope(ws);
  const View<T, E...> v(ws.take_values<T>(x.size()), x.dynamic);
  for (Index k = 0; k < steps; ++k) {
    velocity(v, as_const(x), static_cast<double>(k) / static_cast<double>(steps));
    path_step(ctx, x, as_const(v), static_cast<double>(T(1) / static_cast<T>(steps)));
  }
}

}  // namespace wu::diffusion
