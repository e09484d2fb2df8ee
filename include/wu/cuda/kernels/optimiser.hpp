// AdamW with clipping and average in one pass, and the sum of squares; formulas in ops/adamw.hpp and ops/clip.hpp.
#pragma once

#include "wu/cuda/block.hpp"

namespace wu::cuda::kernel {

/// Clipping's factor, found on the GPU: factor[0] = what all gradients are multiplied by, factor[1] = the norm of scale times them, or
/// NaN where something was noted before, of which the host has not heard yet.
struct ClipFactor {
  double* factor;
  const double* partial;  ///< (parts), of SquaredNorm
  const int* note;        ///< Context::note()'s
  Index parts;
  double scale, limit;
  WU_BODY void operator()(Block block) const {
    if (block.index > 0) return;
    block.alone([&](int t) {
      if (t > 0) return;
      double sum = 0;
      for (Index k = 0; k < parts; ++k) sum += partial[k];
      const double norm = scale * std::sqrt(sum);
      factor[0] = norm > limit ? scale * (limit / norm) : scale, factor[1] = *note == 0 ? norm : NAN;
    });
  }
};

/// One update. T: what the network reads.
template <class T>
struct AdamWUpdate {
  using Sum = accumulator_t<T>;
  T* values;                                ///< a rounded copy of the weights, or null
  Sum *weights, *first, *second, *average;  ///< average: null for none
  const Sum* gradients;
  Index count;
  Sum scale, beta1, beta2, epsilon, decay, rate, correction, average_share;
  const double* clip;  ///< ClipFactor's factor, in place of scale; null: none

  WU_BODY void operator()(Block block) const {
    // Of a norm that is NaN or infinite nothing is taken over.
    if (clip && !(clip[1] - clip[1] == 0)) return;
    const Sum by = clip ? static_cast<Sum>(clip[0]) : scale;
    block.share_out(count, [&](Index k) {
      const Sum g = by * gradients[k];
      const Sum m = beta1 * first[k] + (1 - beta1) * g, v = beta2 * second[k] + (1 - beta2) * g * g;
      Sum w = weights[k];
      w -= rate * m / (std::sqrt(v) * correction + epsilon) + decay * w;
      first[k] = m, second[k] = v, weights[k] = w;
      if (average) average[k] += average_share * (w - average[k]);
      if (values) values[k] = static_cast<T>(w);
    });
  }
};

/// partial (blocks) = each block's part of the sum of squares, in double
template <class T>
struct SquaredNorm {
  static constexpr int threads = 256, shared_bytes = sum_bytes<double>;
  double* partial;
  const T* x;
  Index count;
  WU_BODY void operator()(Block block) const {
    PerThread<double> sum;
    const Index all = block.blocks * block.threads;
    block.each([&](int t) {
      for (Index k = block.index * block.threads + t; k < count; k += all) {
        const double v = static_cast<double>(x[k]);
        sum[t] += v * v;
      }
    });
    block_sum(block, sum);
    block.each([&](int t) {
      if (t == 0) partial[block.index] = sum[t];
    });
  }
};

}  // namespace wu::cuda::kernel
