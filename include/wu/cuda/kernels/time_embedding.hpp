// A time as waves of many lengths; formula in ops/time_embedding.hpp.
#pragma once

#include <cmath>

#include "wu/cuda/kernels/factors.hpp"

namespace wu::cuda::kernel {

/// y (times, width), a cosine and a sine to a thread.
template <class T>
struct TimeEmbedding {
  T* y;
  Index width;
  Factors<double> times;
  WU_BODY void operator()(Block block) const {
    block.share_out(times.count * (width / 2), [&](Index k) {
      const Index s = k / (width / 2), i = k % (width / 2);
      const double angle = 1000 * times.of[s] * std::pow(10000.0, -static_cast<double>(2 * i) / static_cast<double>(width));
      T* const pair = y + s * width + 2 * i;
      pair[0] = static_cast<T>(std::cos(angle));
      pair[1] = static_cast<T>(std::sin(angle));
    });
  }
};

}  // namespace wu::cuda::kernel
