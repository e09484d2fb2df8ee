// The mean squared error on the GPU, by cuda/kernels/losses.hpp.
#pragma once

#include <algorithm>

#include "wu/cuda/context.hpp"
#include "wu/cuda/factors.hpp"
#include "wu/cuda/kernels/losses.hpp"
#include "wu/ops/losses.hpp"

namespace wu::cuda {

/// ops/losses.hpp's. per_sample is in the host's memory; waits for the result.
double mse_forward(Context& ctx, View<double, dyn> per_sample, auto prediction, auto target) {
  detail::check_contiguous(prediction, target);
  using T = value_of<decltype(prediction)>;
  detail::check_types<T>(target);
  detail::check_sizes("mean squared error", target.size(), prediction.size());
  const Index b = per_sample.size(), n = detail::sample_values("mean squared error", prediction.size(), b);
  using Body = kernel::SquaredErrors<T>;
  const Index parts = std::clamp<Index>(n / 4096, 1, 64);
  double* const partial = ctx.scratch<double>(b * parts);
  ctx.run_blocks(Body{partial, prediction.data, target.data, n, parts}, {b * parts, Body::threads, Body::shared_bytes});
  const std::span<double> sums = ctx.staging(b * parts);
  ctx.download(sums.data(), partial, sums.size_bytes());
  double total = 0;
  for (Index s = 0; s < b; ++s) {
    double sum = 0;
    for (const double part : sums.subspan(static_cast<std::size_t>(s * parts), static_cast<std::size_t>(parts))) sum += part;
    total += per_sample[s] = sum / static_cast<double>(n);
  }
  return total / static_cast<double>(b);
}

/// ops/losses.hpp's. The weights are the host's, and may change when it returns.
void mse_backward(Context& ctx, auto dprediction /* = */, auto prediction, auto target, std::span<const double> weights) {
  detail::check_contiguous(dprediction, prediction, target);
  using T = value_of<decltype(prediction)>;
  using Sum = accumulator_t<T>;
  detail::check_types<T>(dprediction, target);
  detail::check_sizes("mean squared error backward", target.size(), prediction.size());
  const Index n =
      detail::sample_values("mean squared error backward", prediction.size(), static_cast<Index>(weights.size()));
  if (!dprediction.data) return;
  detail::check_sizes("mean squared error backward", target.size(), dprediction.size());
  detail::each_factors<Sum>(
      weights, [n](double weight) { return static_cast<Sum>(2 * weight / static_cast<double>(n)); },
      [&](const auto& factors, Index first) {
        const Index from = first * n;
        ctx.run(kernel::SquaredErrorsBackward<T>{dprediction.data + from, prediction.data + from, target.data + from, n,
                                                 factors},
                factors.count * n);
      });
}

}  // namespace wu::cuda
