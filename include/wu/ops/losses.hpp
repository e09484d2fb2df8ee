// The mean squared error of each sample:  e_s = mean over its values of (prediction - target)^2
// dprediction = weight_s * 2 (prediction - target) / values of a sample,   weight_s = d loss / d e_s.       Sums in double.
#pragma once

#include <span>

#include "wu/ops/activations.hpp"

namespace wu {

namespace detail {
/// Values per sample; throws unless there is a sample and the values divide evenly.
inline Index sample_values(const char* what, Index values, Index samples) {
  if (samples < 1 || values < 1 || values % samples != 0)
    throw ShapeError(message(what, ": expected a multiple of ", samples, " samples' values, found ", values));
  return values / samples;
}
}  // namespace detail

/// per_sample: (b); prediction and target: b samples of equal size. Returns the mean over samples.
double mse_forward(reference&, View<double, dyn> per_sample, auto prediction, auto target) {
  detail::check_contiguous(prediction, target);
  detail::check_sizes("mean squared error", target.size(), prediction.size());
  const Index b = per_sample.size(), n = detail::sample_values("mean squared error", prediction.size(), b);
  double total = 0;
  for (Index s = 0; s < b; ++s) {
    double sum = 0;
    for (Index k = s * n; k < (s + 1) * n; ++k) {
      const double error = static_cast<double>(prediction[k]) - static_cast<double>(target[k]);
      sum += error * error;
    }
    per_sample[s] = sum / static_cast<double>(n);
    total += per_sample[s];
  }
  return total / static_cast<double>(b);
}

/// weights: (b), d loss / d e_s. dprediction may be null. Throws ShapeError on sizes that differ or do not divide.
void mse_backward(reference&, auto dprediction /* = */, auto prediction, auto target, std::span<const double> weights) {
  detail::check_contiguous(dprediction, prediction, target);
  detail::check_sizes("mean squared error backward", target.size(), prediction.size());
  using T = value_of<decltype(dprediction)>;
  using Sum = sum_of<decltype(prediction)>;
  const Index n =
      detail::sample_values("mean squared error backward", prediction.size(), static_cast<Index>(weights.size()));
  if (!dprediction.data) return;
  detail::check_sizes("mean squared error backward", target.size(), dprediction.size());
  for (std::size_t s = 0; s < weights.size(); ++s) {
    const Sum factor = static_cast<Sum>(2 * weights[s] / static_cast<double>(n));
    for (Index k = static_cast<Index>(s) * n; k < static_cast<Index>(s + 1) * n; ++k)
      dprediction[k] = static_cast<T>(factor * (Sum(prediction[k]) - Sum(target[k])));
  }
}

}  // namespace wu
