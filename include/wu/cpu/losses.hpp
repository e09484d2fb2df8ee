// The mean squared error on the CPU. A sample is summed in a fixed number of parts, so that the threads' number does not show.
#pragma once

#include <array>

#include "wu/cpu/elementwise.hpp"
#include "wu/ops/losses.hpp"

namespace wu::cpu {

namespace detail {
/// Sum of term(k) over k = 0 .. n-1 in double, in 64 parts on all threads.
inline double split_sum(Context& ctx, Index n, auto&& term) {
  constexpr Index parts = 64;
  std::array<double, parts> sums{};
  ctx.split(parts, n / parts, [&](int, Index begin, Index end) {
    for (Index p = begin; p < end; ++p) {
      const Index first = n * p / parts;
      sums[static_cast<std::size_t>(p)] = lane_sum<double>(n * (p + 1) / parts - first, [&](Index k) { return term(first + k); });
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}
}  // namespace detail

double mse_forward(Context& ctx, auto per_sample, auto prediction, auto target) {
  static_assert(detail::SameWidth<prediction.width, target.width>::value == target.width);
  detail::check_sizes("mse", target, prediction);
  const Index samples = per_sample.size(), count = detail::sample_values("mse", target.size(), samples);
  double total = 0;
  for (Index s = 0; s < samples; ++s) {
    const auto* const p = prediction.data + s * count;
    const auto* const t = target.data + s * count;
    per_sample[s] = detail::split_sum(ctx, count, [p, t](Index k) {
      const double error = static_cast<double>(p[k]) - static_cast<double>(t[k]);
      return error * error;
    }) / static_cast<double>(count);
    total += per_sample[s];
  }
  return total / static_cast<double>(samples);
}

void mse_backward(Context& ctx, auto dprediction /* = */, auto prediction, auto target, std::span<const double> weight) {
  static_assert(detail::SameWidth<detail::SameWidth<prediction.width, target.width>::value, dprediction.width>::value == target.width);
  using Sum = sum_of<decltype(prediction)>;
  detail::check_sizes("mse backward", target, prediction);
  detail::check_sizes("mse backward", target, dprediction);
  const Index samples = static_cast<Index>(weight.size()), count = detail::sample_values("mse backward", target.size(), samples);
  if (!dprediction.data) return;
  ctx.split(target.size(), 1, [=](int, Index begin, Index end) {
    const auto* const p = prediction.data;
    const auto* const t = target.data;
    auto* const d = dprediction.data;
    for (Index first = begin, s = begin / count; first < end; first = ++s * count) {
      const Index last = std::min(end, (s + 1) * count);
      const Sum factor = static_cast<Sum>(2 * weight[static_cast<std::size_t>(s)] / static_cast<double>(count));
      for (Index k = first; k < last; ++k) d[k] = static_cast<value_of<decltype(dprediction)>>((Sum(p[k]) - Sum(t[k])) * factor);
    }
  });
}

}  // namespace wu::cpu
