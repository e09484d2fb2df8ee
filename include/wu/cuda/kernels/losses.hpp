// The mean squared error of each sample; formulas in ops/losses.hpp.
#pragma once

#include "wu/cuda/kernels/factors.hpp"

namespace wu::cuda::kernel {

/// partial (samples, parts) = sums of squared errors, in double. One block for each part of a sample.
template <class T>
struct SquaredErrors {
  static constexpr int threads = 256, shared_bytes = sum_bytes<double>;
  double* partial;
  const T *prediction, *target;
  Index values, parts;  ///< of a sample
  WU_BODY void operator()(Block block) const {
    const Index sample = block.index / parts, part = block.index % parts;
    const Index first = sample * values + values * part / parts, last = sample * values + values * (part + 1) / parts;
    PerThread<double> sum;
    block.each([&](int t) {
      for (Index k = first + t; k < last; k += block.threads) {
        const double error = static_cast<double>(prediction[k]) - static_cast<double>(target[k]);
        sum[t] += error * error;
      }
    });
    block_sum(block, sum);
    block.each([&](int t) {
      if (t == 0) partial[block.index] = sum[t];
    });
  }
};

/// dprediction = factor_s (prediction - target)
template <class T>
struct SquaredErrorsBackward {
  using Sum = accumulator_t<T>;
  T* dprediction;
  const T *prediction, *target;
  Index values;
  Factors<Sum> factors;
  WU_BODY void operator()(Block block) const {
    block.share_out(factors.count * values, [&](Index k) {
      dprediction[k] =
          static_cast<T>(factors.of[k / values] * (static_cast<Sum>(prediction[k]) - static_cast<Sum>(target[k])));
    });
  }
};

}  // namespace wu::cuda::kernel
