// Numbers of the host's, one for each sample or row, brought to a kernel with the launch.
#pragma once

#include <algorithm>
#include <span>

#include "wu/core/view.hpp"
#include "wu/cuda/kernels/factors.hpp"

namespace wu::cuda::detail {

/// Calls f(factors, first) for all numbers, as many at a time as one launch takes, each of them as number(it).
template <class T, int Most = kernel::Factors<T>::most, class Number>
void each_factors(std::span<const Number> numbers, auto&& number, auto&& f) {
  constexpr std::size_t most = Most;
  for (std::size_t first = 0; first < numbers.size(); first += most) {
    const auto some = numbers.subspan(first, std::min(most, numbers.size() - first));
    kernel::Factors<T, Most> now{};
    now.count = static_cast<int>(some.size());
    std::ranges::transform(some, now.of, number);
    f(now, static_cast<Index>(first));
  }
}

}  // namespace wu::cuda::detail
