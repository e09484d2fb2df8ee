// Elementwise activations; same extents everywhere; dx may be dy's memory. Backward overwrites.
//     SiLU:  y = x s,  s = 1 / (1 + exp(-x))            dx = dy s (1 + x (1 - s))
//     GELU:  y = x (1 + t) / 2,  t = tanh(k (x + 0.044715 x^3)),  k = sqrt(2 / pi)           Hendrycks & Gimpel 2016, tanh form
//            dx = dy ((1 + t) / 2 + x (1 - t^2) k (1 + 3 * 0.044715 x^2) / 2)
#pragma once

#include <algorithm>
#include <cmath>

#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
inline constexpr double gelu_k = 0.79788456080286535588, gelu_cube = 0.044715;
/// Beyond this the derivative is 0 or 1 to the last bit, and its factor 1 - t^2 is 0; the other is kept from infinity, for 0 times
/// that is NaN.
inline constexpr double gelu_far = 100;
}  // namespace detail

/// SiLU. y, x: equal extents. Throws ShapeError if they differ in size.
void silu_forward(reference&, auto y, auto x) {
  detail::check_contiguous(y, x);
  using Sum = sum_of<decltype(x)>;
  detail::check_sizes("silu", x.size(), y.size());
  for (Index k = 0; k < x.size(); ++k) y[k] = static_cast<value_of<decltype(y)>>(Sum(x[k]) / (1 + std::exp(-Sum(x[k]))));
}

/// dx, dy, x: equal extents; dx may be null, or dy's memory. Throws ShapeError if they differ in size.
void silu_backward(reference&, auto dx, auto dy, auto x) {
  detail::check_contiguous(dx, dy, x);
  using Sum = sum_of<decltype(x)>;
  if (!dx.data) return;
  detail::check_sizes("silu backward", x.size(), dy.size());
  detail::check_sizes("silu backward", x.size(), dx.size());
  for (Index k = 0; k < x.size(); ++k) {
    const Sum v = x[k], s = 1 / (1 + std::exp(-v));
    dx[k] = static_cast<value_of<decltype(dx)>>(Sum(dy[k]) * s * (1 + v * (1 - s)));
  }
}

/// GELU in its tanh form. y, x: equal extents. Throws ShapeError if they differ in size.
void gelu_forward(reference&, auto y, auto x) {
  detail::check_contiguous(y, x);
  using Sum = sum_of<decltype(x)>;
  detail::check_sizes("gelu", x.size(), y.size());
  for (Index k = 0; k < x.size(); ++k) {
    const Sum v = x[k],
              t = std::tanh(static_cast<Sum>(detail::gelu_k) * (v + static_cast<Sum>(detail::gelu_cube) * v * v * v));
    y[k] = static_cast<value_of<decltype(y)>>(v * (1 + t) / 2);
  }
}

/// dx, dy, x: equal extents; dx may be null, or dy's memory. Throws ShapeError if they differ in size.
void gelu_backward(reference&, auto dx, auto dy, auto x) {
  detail::check_contiguous(dx, dy, x);
  using Sum = sum_of<decltype(x)>;
  if (!dx.data) return;
  detail::check_sizes("gelu backward", x.size(), dy.size());
  detail::check_sizes("gelu backward", x.size(), dx.size());
  for (Index i = 0; i < x.size(); ++i) {
    const Sum v = x[i], k = static_cast<Sum>(detail::gelu_k), a = static_cast<Sum>(detail::gelu_cube),
              t = std::tanh(k * (v + a * v * v * v)), far = static_cast<Sum>(detail::gelu_far),
              near = std::clamp(v, -far, far);
    dx[i] = static_cast<value_of<decltype(dx)>>(Sum(dy[i]) *
                                                ((1 + t) / 2 + near * (1 - t * t) * k * (1 + 3 * a * near * near) / 2));
  }
}

}  // namespace wu
