// The gradient check that every operation and module gets: central differences in float64 against the hand-written
// backward, contracted with a random cotangent (a plain sum of the outputs hides errors: softmax, norms).
#pragma once

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wu/core/random.hpp"
#include "wu/core/view.hpp"
#include "wu/train/gradient_check.hpp"

namespace wu::test {

inline constexpr std::uint64_t seed = 20240611;

/// n values in (-1, 1) that depend only on `purpose`.
inline std::vector<double> random_values(Index n, std::string_view purpose) {
  Random random(seed, purpose);
  std::vector<double> values(static_cast<std::size_t>(n));
  for (double& v : values) v = random.uniform(-1, 1);
  return values;
}

/// For outputs: whatever the operation forgets to write shows up as NaN.
inline std::vector<double> poisoned(Index n) { return std::vector<double>(static_cast<std::size_t>(n), std::nan("")); }

inline double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

using wu::gradient_error;

template <class Loss>
void check_gradient(std::string_view name, std::span<double> argument, std::span<const double> gradient, Loss&& loss,
                    double tolerance = 1e-7, std::size_t most = 400) {
  const std::string error = gradient_error(name, argument, gradient, loss, tolerance, most);
  BOOST_CHECK_MESSAGE(error.empty(), error);
}

/// Largest |a - b| relative to the largest |b|; NaN if any entry of either is, which no tolerance lets pass.
template <class A, class B>
double relative_error(const A& a, const B& b) {
  double worst = 0, scale = 0;
  for (std::size_t k = 0; k < b.size(); ++k) {
    const double error = std::fabs(static_cast<double>(a[k]) - static_cast<double>(b[k]));
    if (std::isnan(error)) return error;
    worst = std::max(worst, error);
    scale = std::max(scale, std::fabs(static_cast<double>(b[k])));
  }
  return worst / (scale > 0 ? scale : 1);
}

}  // namespace wu::test
