// Numbers of the host's that a kernel reads, one for each sample or row.
#pragma once

#include "wu/cuda/block.hpp"

namespace wu::cuda::kernel {

/// A number for each of some samples or rows, which travels with the launch: the host's memory is not read later.
template <class T, int Most = 128>
struct Factors {
  static constexpr int most = Most;
  T of[most];
  int count = 0;
};

}  // namespace wu::cuda::kernel
