// The gradient check that every operation and module gets: central differences in float64 against the hand-written
// backward, contracted with a random cotangent (a plain sum of the outputs hides errors: softmax, norms).
#pragma once

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "wu/core/random.hpp"
#include "wu/core/view.hpp"

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

/// Compares `gradient` with the central differences of loss() with respect to `argument`, entry by entry, relative to the
/// largest entry. `name` is reported. At most `most` entries, evenly spread, are tried.
template <class Loss>
void check_gradient(const std::string& name, std::span<double> argument, std::span<const double> gradient, Loss&& loss,
                    double tolerance = 1e-7, std::size_t most = 400) {
  BOOST_REQUIRE_MESSAGE(argument.size() == gradient.size(), name << ": the gradient has another size");
  const double h = std::cbrt(2.2e-16);
  const std::size_t step = std::max<std::size_t>(1, argument.size() / most);
  double worst = 0, scale = 0;
  std::size_t where = 0;
  for (std::size_t k = 0; k < argument.size(); k += step) {
    const double keep = argument[k];
    argument[k] = keep + h;
    const double up = loss();
    argument[k] = keep - h;
    const double down = loss();
    argument[k] = keep;
    const double expected = (up - down) / (2 * h);
    const double error = std::fabs(expected - gradient[k]);
    scale = std::max(scale, std::fabs(expected));
    if (!(error <= worst)) worst = error, where = k;
  }
  BOOST_CHECK_MESSAGE(scale > 1e-9, name << ": the gradient is zero everywhere, so this checks nothing");
  BOOST_CHECK_MESSAGE(worst <= tolerance * std::max(1.0, scale),
                      name << ": gradient off by " << worst << " at entry " << where << " (largest entry " << scale << ")");
}

/// Largest |a - b| relative to the largest |b|.
template <class A, class B>
double relative_error(const A& a, const B& b) {
  double worst = 0, scale = 0;
  for (std::size_t k = 0; k < b.size(); ++k) {
    const double error = std::fabs(static_cast<double>(a[k]) - static_cast<double>(b[k]));
    if (!(error <= worst)) worst = error;
    scale = std::max(scale, std::fabs(static_cast<double>(b[k])));
  }
  return worst / (scale > 0 ? scale : 1);
}

}  // namespace wu::test
