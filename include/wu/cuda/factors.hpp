// A number of the host's for each sample, brought to a kernel with the launch.
#pragma once

#include <algorithm>
#include <span>

#include "wu/core/view.hpp"
#include "wu/cuda/kernels/factors.hpp"

namespace wu::cuda::detail {

/// Calls f(factors, first sample) for all samples, as many at a time as one launch takes, with each number as number(it).
template <class Sum>
void each_factors(std::span<const double> numbers, auto&& number, auto&& f) {
  constexpr std::size_t most = kernel::Factors<Sum>::most;
  for (std::size_t first = 0; first < numbers.size(); first += most) {
    const auto some = numbers.subspan(first, std::min(most, numbers.size() - first));
    kernel::Factors<Sum> now{};
    now.count = static_cast<int>(some.size());
    std::ranges::transform(some, now.of, number);
    f(now, static_cast<Index>(first));
  }
}

}  // namespace wu::cuda::detail
