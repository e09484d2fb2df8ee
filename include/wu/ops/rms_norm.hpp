// y = x * inv_rms * gain,   inv_rms = 1 / sqrt(mean(x^2) + eps)                 x, y: (rows, C)   gain: (C)   inv_rms: (rows)
// dx = inv_rms (dy gain - x inv_rms^2 mean(dy gain x))      dgain += sum over rows of dy x inv_rms
// Zhang & Sennrich 2019, eq. 4; eps inside the root. Statistics in at least float32. Backward overwrites dx, adds to dgain.
// For a residual stream there is a backward that adds to dx as well.
#pragma once

#include <cmath>

#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
void check_rms_norm_backward(auto dx, auto dy, auto x, auto inv_rms) {
  check_rows("rms norm backward", x, dy);
  if (dx.data) check_rows("rms norm backward", x, dx);
  check_sizes("rms norm backward, inv_rms", x.rows(), inv_rms.size());
}
/// dx = or, if Add, dx +=
template <bool Add>
void rms_norm_back(auto dx, auto dgain, auto dy, auto x, auto inv_rms, auto gain) {
  check_contiguous(dx, dgain, dy, x, inv_rms, gain);
  constexpr Index C = SameWidth<x.width, dy.width, gain.width, dx.width, dgain.width>::value;
  using Sum = sum_of<decltype(x)>;
  check_rms_norm_backward(dx, dy, x, inv_rms);
  for (Index r = 0; r < x.rows(); ++r) {
    const Sum inverse = inv_rms[r];
    Sum along = 0;
    for (Index c = 0; c < C; ++c) along += Sum(dy[r * C + c]) * Sum(gain[c]) * Sum(x[r * C + c]);
    along *= inverse * inverse / static_cast<Sum>(C);
    for (Index k = r * C; k < (r + 1) * C && dx.data; ++k)
      dx[k] = static_cast<value_of<decltype(dx)>>((Add ? Sum(dx[k]) : Sum(0)) +
                                                  inverse * (Sum(dy[k]) * Sum(gain[k % C]) - Sum(x[k]) * along));
  }
  for (Index c = 0; c < C && dgain.data; ++c) {
    Sum sum = 0;
    for (Index r = 0; r < x.rows(); ++r) sum += Sum(dy[r * C + c]) * Sum(x[r * C + c]) * Sum(inv_rms[r]);
    dgain[c] += sum;
  }
}
}  // namespace detail

/// y, x: (rows, C)   inv_rms: (rows), kept for backward   gain: (C). Throws ShapeError on other sizes.
void rms_norm_forward(reference&, auto y, auto inv_rms, auto x, auto gain, double eps = 1e-6) {
  detail::check_contiguous(y, inv_rms, x, gain);
  constexpr Index C = detail::SameWidth<x.width, y.width, gain.width>::value;
  using Sum = sum_of<decltype(x)>;
  check_rows("rms norm", x, y);
  detail::check_sizes("rms norm, inv_rms", x.rows(), inv_rms.size());
  for (Index r = 0; r < x.rows(); ++r) {
    Sum square = 0;
    for (Index c = 0; c < C; ++c) square += Sum(x[r * C + c]) * Sum(x[r * C + c]);
    const Sum inverse = 1 / std::sqrt(square / static_cast<Sum>(C) + static_cast<Sum>(eps));
    inv_rms[r] = inverse;
    for (Index c = 0; c < C; ++c)
      y[r * C + c] = static_cast<value_of<decltype(y)>>(Sum(x[r * C + c]) * inverse * Sum(gain[c]));
  }
}

/// dx, dy, x: (rows, C)   dgain, gain: (C)   inv_rms: (rows). dx and dgain may be null. Throws ShapeError on other sizes.
void rms_norm_backward(reference&, auto dx /* = */, auto dgain /* += */, auto dy, auto x, auto inv_rms, auto gain) {
  detail::rms_norm_back<false>(dx, dgain, dy, x, inv_rms, gain);
}

/// rms_norm_backward, but adds to dx: what a residual stream's gradient is, with the norm's part to come.
void rms_norm_backward_add(reference&, auto dx /* += */, auto dgain /* += */, auto dy, auto x, auto inv_rms, auto gain) {
  detail::rms_norm_back<true>(dx, dgain, dy, x, inv_rms, gain);
}

}  // namespace wu
