// Looks for NaN and infinity; see ops/all_finite.hpp.
#pragma once

#include "wu/cuda/block.hpp"

namespace wu::cuda::kernel {

/// RowParts of a row, which travel with the launch.
struct RowParts {
  static constexpr int most = 64;
  Index first[most], values[most];
  int count = 0;
};

/// found = mark if a value is not finite, else left as it is. One block for each part of each row.
template <class T>
struct FindNonFinite {
  using Sum = accumulator_t<T>;
  int *found, mark;
  const T* x;
  Index width;  ///< of a row
  RowParts parts;
  WU_BODY void operator()(Block block) const {
    const Index row = block.index / parts.count, part = block.index % parts.count;
    const T* const from = x + row * width + parts.first[part];
    block.alone([&](int t) {
      for (Index k = t; k < parts.values[part]; k += block.threads)
        if (static_cast<Sum>(from[k]) * Sum(0) != 0) *found = mark;  // whoever finds one writes the same
    });
  }
};

}  // namespace wu::cuda::kernel
