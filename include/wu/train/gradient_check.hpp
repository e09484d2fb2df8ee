// Is a hand-written backward right? Its gradient against central differences of the forward, in float64. A test's tool: it calls
// the loss twice for every entry that it tries.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wu/core/parameters.hpp"
#include "wu/core/random.hpp"

namespace wu {

namespace detail {
/// Which of n entries are tried: all, or `most` different ones. Drawn, not evenly spaced, for a stride that shares a factor with
/// the width of a row would try a few columns alone.
inline std::vector<std::size_t> some_entries(std::size_t n, std::size_t most, std::string_view purpose) {
  std::vector<std::size_t> entries(n);
  std::iota(entries.begin(), entries.end(), std::size_t{0});
  if (n <= most) return entries;
  Random random(20240611, purpose);
  for (std::size_t k = 0; k < most; ++k) std::swap(entries[k], entries[k + random.below(static_cast<std::uint32_t>(n - k))]);
  entries.resize(most);
  return entries;
}
}  // namespace detail

/// What is wrong with `gradient`, in a sentence, or nothing: its entries against the central differences of loss() with respect to
/// `argument`. Errors count relative to the largest entry, beyond what the rounding of the loss itself makes of a difference. An
/// argument whose whole gradient is below a hundred times that cannot be checked, and says so. At most `most` entries are tried,
/// but a NaN is found anywhere.
template <class Loss>
std::string gradient_error(std::string_view name, std::span<double> argument, std::span<const double> gradient, Loss&& loss,
                           double tolerance = 1e-7, std::size_t most = 400) {
  if (argument.size() != gradient.size())
    return message(name, ": expected a gradient of ", argument.size(), " entries, found ", gradient.size());
  for (std::size_t k = 0; k < gradient.size(); ++k)
    if (!std::isfinite(gradient[k])) return message(name, ": the gradient is ", gradient[k], " at entry ", k);
  constexpr double epsilon = std::numeric_limits<double>::epsilon();
  const double h = std::cbrt(epsilon);
  double worst = 0, scale = 0, largest_loss = 0;
  std::size_t where = 0;
  for (const std::size_t k : detail::some_entries(argument.size(), most, name)) {
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

/// The same for every parameter of a module: a line for each that is wrong, or nothing. loss() reads `weights`, each of whose
/// entries is changed and put back.
template <class Module, class Loss>
std::string gradient_error(Weights<Module, double>& weights, const Weights<Module, double>& gradients, Loss&& loss,
                           double tolerance = 1e-7, std::size_t most = 400) {
  std::string errors;
  auto p = weights.view();
  for_each_parameter(p, [&](std::string_view name, auto& view) {
    const auto at = static_cast<std::size_t>(view.data - weights.flat().data()), n = static_cast<std::size_t>(view.size());
    const std::string error = gradient_error(name, {view.data, n}, gradients.flat().subspan(at, n), loss, tolerance, most);
    if (!error.empty()) errors += error + "\n";
  });
  return errors;
}

}  // namespace wu
