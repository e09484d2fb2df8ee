// Clipping by the norm over a whole flat buffer:  g *= limit / |g| where |g| > limit.           Pascanu et al. 2013, algorithm 1
#pragma once

#include <cmath>
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

/// values *= factor.
template <class T>
void scale(reference&, std::span<T> values, double factor) {
  const auto f = static_cast<accumulator_t<T>>(factor);
  for (T& v : values) v = static_cast<T>(static_cast<accumulator_t<T>>(v) * f);
}

/// Returns the norm before clipping.
template <class T>
double clip_norm(auto& ctx, std::span<T> values, double limit) {
  const double norm = std::sqrt(squared_norm(ctx, std::span<const T>(values)));
  if (norm > limit) scale(ctx, values, limit / norm);
  return norm;
}

}  // namespace wu
