// Numbers of the host's that a kernel reads, one for each sample.
#pragma once

#include "wu/cuda/block.hpp"

namespace wu::cuda::kernel {

/// A number for each of some samples, which travels with the launch: the host's memory is not read later.
template <class Sum>
struct Factors {
  static constexpr int most = 128;
  Sum of[most];
  int count = 0;
};

}  // namespace wu::cuda::kernel
