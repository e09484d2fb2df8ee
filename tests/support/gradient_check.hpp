// The gradient check that every operation and module gets: central differences in float64 against the hand-written
// backward, contracted with a random cotangent (a plain sum of the outputs hides errors: softmax, norms).
#pragma once

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
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

/// Which of n entries are tried: all, or `most` different ones. Drawn, not evenly spaced, for a stride that shares a factor with
/// the width of a row would try a few columns alone.
inline std::vector<std::size_t> some_entries(std::size_t n, std::size_t most, const std::string& purpose) {
  std::vector<std::size_t> entries(n);
  std::iota(entries.begin(), entries.end(), std::size_t{0});
  if (n <= most) return entries;
  Random random(seed, purpose);
  for (std::size_t k = 0; k < most; ++k) std::swap(entries[k], entries[k + random.below(static_cast<std::uint32_t>(n - k))]);
  entries.resize(most);
  return entries;
}

/// What is wrong with `gradient`, in a sentence, or nothing: its entries against the central differences of loss() with respect to
/// `argument`. Errors count relative to the largest entry, beyond what the rounding of the loss itself makes of a difference. An
/// argument whose whole gradient is below a hundred times that cannot be checked, and says so. At most `most` entries are tried,
/// but a NaN is found anywhere.
template <class Loss>
std::string gradient_error(const std::string& name, std::span<double> argument, std::span<const double> gradient,
                           Loss&& loss, double tolerance, std::size_t most) {
  if (argument.size() != gradient.size())
    return message(name, ": expected a gradient of ", argument.size(), " entries, found ", gradient.size());
  for (std::size_t k = 0; k < gradient.size(); ++k)
    if (!std::isfinite(gradient[k])) return message(name, ": the gradient is ", gradient[k], " at entry ", k);
  constexpr double epsilon = std::numeric_limits<double>::epsilon();
  const double h = std::cbrt(epsilon);
  double worst = 0, scale = 0, largest_loss = 0;
  std::size_t where = 0;
  for (const std::size_t k : some_entries(argument.size(), most, name)) {
    const double keep = argument[k];
    argument[k] = keep + h;
    const double up = loss();
    argument[k] = keep - h;
    const double down = loss();
    argument[k] = keep;
    const double expected = (up - down) / (2 * h), error = std::fabs(expected - gradient[k]);
    if (!std::isfinite(expected)) return message(name, ": the loss is not finite around entry ", k);
    scale = std::max(scale, std::fabs(expected));
    largest_loss = std::max(largest_loss, std::fabs(up));
    if (error > worst) worst = error, where = k;
  }
  const double rounding = 4 * epsilon * largest_loss / h;
  if (!(scale > 100 * rounding)) return message(name, ": the gradient is nowhere above ", scale, ", so this checks nothing");
  if (worst > tolerance * scale + rounding)
    return message(name, ": gradient off by ", worst, " at entry ", where, " (largest entry ", scale, ")");
  return {};
}

template <class Loss>
void check_gradient(const std::string& name, std::span<double> argument, std::span<const double> gradient, Loss&& loss,
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
