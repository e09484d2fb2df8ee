// Clipping by the norm over a whole flat buffer:  g *= limit / |g| where |g| > limit.           Pascanu et al. 2013, algorithm 1
// One pass for the norm; what uses g takes the factor along (AdamW::gradient_scale), so that no pass only multiplies.
#pragma once

#include <span>

#include "wu/ops/reference.hpp"

namespace wu {

/// Sum of squares in double; NaN and infinity stay visible in it.
template <class T>
double squared_norm(reference&, std::span<const T> values) {
  double sum = 0;
  for (const T v : values) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

/// What brings a buffer of this norm to the limit: limit / norm, and 1 where it is no longer than that or the norm is NaN.
inline double clip_factor(double norm, double limit) { return norm > limit ? limit / norm : 1; }

}  // namespace wu
