// y = (x - mean) * inv_std * gain + bias,   inv_std = 1 / sqrt(variance + eps)       x, y: (rows, C)   gain, bias: (C) or null
// With n = (x - mean) inv_std and g = dy gain:   dx = inv_std (g - mean(g) - n mean(g n))      dgain += dy n      dbias += dy
// Ba et al. 2016, eq. 4. Without gain and bias the norm is not affine. Backward overwrites dx, adds to dgain and dbias; for a
// residual stream there is a backward that adds to dx as well.
#pragma once

#include <cmath>

#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
void check_layer_norm_backward(auto dx, auto dy, auto x, auto mean, auto inv_std) {
  check_rows("layer norm backward", x, dy);
  if (dx.data) check_rows("layer norm backward", x, dx);
  check_sizes("layer norm backward, mean", x.rows(), mean.size());
  check_sizes("layer norm backward, inv_std", x.rows(), inv_std.size());
}
/// dx = or, if Add, dx +=
template <bool Add>
void layer_norm_back(auto dx, auto dgain, auto dbias, auto dy, auto x, auto mean, auto inv_std, auto gain) {
  check_contiguous(dx, dgain, dbias, dy, x, mean, inv_std, gain);
  constexpr Index C = SameWidth<x.width, dy.width, gain.width, dx.width, dgain.width, dbias.width>::value;
  using Sum = sum_of<decltype(x)>;
  check_layer_norm_backward(dx, dy, x, mean, inv_std);
  for (Index r = 0; r < x.rows(); ++r) {
    const Sum m = mean[r], inverse = inv_std[r];
    auto normed = [&](Index c) { return (Sum(x[r * C + c]) - m) * inverse; };
    auto scaled = [&](Index c) { return Sum(dy[r * C + c]) * (gain.data ? Sum(gain[c]) : Sum(1)); };
    Sum sum = 0, along = 0;
    for (Index c = 0; c < C; ++c) sum += scaled(c), along += scaled(c) * normed(c);
    for (Index c = 0; c < C && dx.data; ++c)
      dx[r * C + c] = static_cast<value_of<decltype(dx)>>(
          (Add ? Sum(dx[r * C + c]) : Sum(0)) +
          inverse * (scaled(c) - sum / static_cast<Sum>(C) - normed(c) * along / static_cast<Sum>(C)));
  }
  for (Index c = 0; c < C && (dgain.data || dbias.data); ++c) {
    Sum along = 0, sum = 0;
    for (Index r = 0; r < x.rows(); ++r) {
      along += Sum(dy[r * C + c]) * ((Sum(x[r * C + c]) - Sum(mean[r])) * Sum(inv_std[r]));
      sum += Sum(dy[r * C + c]);
    }
    if (dgain.data) dgain[c] += along;
    if (dbias.data) dbias[c] += sum;
  }
}
}  // namespace detail

/// y, x: (rows, C)   mean, inv_std: (rows), kept for backward   gain, bias: (C), each may be null. Throws ShapeError on
/// other sizes.
void layer_norm_forward(reference&, auto y, auto mean, auto inv_std, auto x, auto gain, auto bias, double eps = 1e-6) {
  detail::check_contiguous(y, mean, inv_std, x, gain, bias);
  constexpr Index C = detail::SameWidth<x.width, y.width, gain.width, bias.width>::value;
  using Sum = sum_of<decltype(x)>;
  check_rows("layer norm", x, y);
  detail::check_sizes("layer norm, mean", x.rows(), mean.size());
  detail::check_sizes("layer norm, inv_std", x.rows(), inv_std.size());
  for (Index r = 0; r < x.rows(); ++r) {
    Sum sum = 0, square = 0;
    for (Index c = 0; c < C; ++c) sum += Sum(x[r * C + c]);
    sum /= static_cast<Sum>(C);
    for (Index c = 0; c < C; ++c) square += (Sum(x[r * C + c]) - sum) * (Sum(x[r * C + c]) - sum);
    const Sum inverse = 1 / std::sqrt(square / static_cast<Sum>(C) + static_cast<Sum>(eps));
    mean[r] = sum, inv_std[r] = inverse;
    for (Index c = 0; c < C; ++c)
      y[r * C + c] = static_cast<value_of<decltype(y)>>(
          (Sum(x[r * C + c]) - sum) * inverse * (gain.data ? Sum(gain[c]) : Sum(1)) + (bias.data ? Sum(bias[c]) : Sum(0)));
  }
}

/// dx, dy, x: (rows, C)   dgain, dbias, gain: (C)   mean, inv_std: (rows). All gradients and gain may be null. Throws
/// ShapeError on other sizes.
void layer_norm_backward(reference&, auto dx /* = */, auto dgain /* += */, auto dbias /* += */, auto dy, auto x, auto mean,
                         auto inv_std, auto gain) {
  detail::layer_norm_back<false>(dx, dgain, dbias, dy, x, mean, inv_std, gain);
}

/// layer_norm_backward, but adds to dx: what a residual stream's gradient is, with the norm's part to come.
void layer_norm_backward_add(reference&, auto dx /* += */, auto dgain /* += */, auto dbias /* += */, auto dy, auto x,
                             auto mean, auto inv_std, auto gain) {
  detail::layer_norm_back<true>(dx, dgain, dbias, dy, x, mean, inv_std, gain);
}

}  // namespace wu
