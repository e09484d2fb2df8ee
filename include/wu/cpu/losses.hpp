// The mean squared error on the CPU. A sample is summed in a number of parts that depends on the samples alone, so that the
// threads' number does not show.
#pragma once

#include <algorithm>
#include <array>

#include "wu/cpu/elementwise.hpp"
#include "wu/ops/losses.hpp"

namespace wu::cpu {

double mse_forward(Context& ctx, View<double, dyn> per_sample, auto prediction, auto target) {
  detail::check_contiguous(prediction, target);
  static_assert(detail::SameWidth<prediction.width, target.width>::value == target.width);
  detail::check_sizes("mean squared error", target.size(), prediction.size());
  const Index samples = per_sample.size(), count = detail::sample_values("mean squared error", target.size(), samples);
  constexpr Index slots = 64;
  double total = 0;
  for (Index first = 0; first < samples; first += slots) {
    const Index some = std::min(slots, samples - first), parts = slots / some;
    std::array<double, slots> sums{};
    ctx.split(some * parts, count / parts, [&](int, Index begin, Index end) {
      for (Index slot = begin; slot < end; ++slot) {
        const Index from = count * (slot % parts) / parts, until = count * (slot % parts + 1) / parts;
        const auto* const p = prediction.data + (first + slot / parts) * count + from;
        const auto* const t = target.data + (first + slot / parts) * count + from;
        sums[static_cast<std::size_t>(slot)] = detail::lane_sum<double>(until - from, [p, t](Index k) {
          const double error = static_cast<double>(p[k]) - static_cast<double>(t[k]);
          return error * error;
        });
      }
    });
    for (Index s = 0; s < some; ++s) {
      double sum = 0;
      for (Index part = 0; part < parts; ++part) sum += sums[static_cast<std::size_t>(s * parts + part)];
      per_sample[first + s] = sum / static_cast<double>(count);
      total += per_sample[first + s];
    }
  }
  return total / static_cast<double>(samples);
}

void mse_backward(Context& ctx, auto dprediction /* = */, auto prediction, auto target, std::span<const double> weight) {
  detail::check_contiguous(dprediction, prediction, target);
  static_assert(detail::SameWidth<detail::SameWidth<prediction.width, target.width>::value, dprediction.width>::value ==
                target.width);
  using Sum = sum_of<decltype(prediction)>;
  detail::check_sizes("mean squared error backward", target.size(), prediction.size());
  const Index samples = static_cast<Index>(weight.size()),
              count = detail::sample_values("mean squared error backward", target.size(), samples);
  if (!dprediction.data) return;
  detail::check_sizes("mean squared error backward", target.size(), dprediction.size());
  ctx.split(target.size(), 1, [=](int, Index begin, Index end) {
    const auto* const p = prediction.data;
    const auto* const t = target.data;
    auto* const d = dprediction.data;
    for (Index first = begin, s = begin / count; first < end; first = ++s * count) {
      const Index last = std::min(end, (s + 1) * count);
      const Sum factor = static_cast<Sum>(2 * weight[static_cast<std::size_t>(s)] / static_cast<double>(count));
      for (Index k = first; k < last; ++k)
        d[k] = static_cast<value_of<decltype(dprediction)>>((Sum(p[k]) - Sum(t[k])) * factor);
    }
  });
}

}  // namespace wu::cpu
