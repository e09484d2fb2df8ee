// RMS norm and layer norm, one block for each row; formulas in ops/rms_norm.hpp and ops/layer_norm.hpp. A row is read twice: the
// second time it comes from the cache.
#pragma once

#include "wu/cuda/block.hpp"

namespace wu::cuda::kernel {

/// y = (x - mean) inv gain + bias, statistics kept. Centred: layer norm; else there is no mean. gain and bias may be null. y may
/// be x's memory.
template <class T, bool Centred>
struct NormForward {
  using Sum = accumulator_t<T>;
  T* y;
  Sum *mean, *inverse;
  const T *x, *gain, *bias;
  Index width;
  Sum eps;

  WU_BODY void operator()(Block block) const {
    const T* const row = x + block.index * width;
    const Sum count = static_cast<Sum>(width);
    Sum middle = 0;
    if constexpr (Centred) {
      PerThread<Sum> sum;
      block.each([&](int t) {
        for (Index c = t; c < width; c += block.threads) sum[t] += static_cast<Sum>(row[c]);
      });
      block_sum(block, sum);
      middle = sum[0] / count;
    }
    PerThread<Sum> square;
    block.each([&](int t) {
      for (Index c = t; c < width; c += block.threads) {
        const Sum v = static_cast<Sum>(row[c]) - middle;
        square[t] += v * v;
      }
    });
    block_sum(block, square);
    const Sum inv = 1 / std::sqrt(square[0] / count + eps);
    block.each([&](int t) {
      for (Index c = t; c < width; c += block.threads) {
        Sum v = (static_cast<Sum>(row[c]) - middle) * inv * (gain ? static_cast<Sum>(gain[c]) : Sum(1));
        if (bias) v += static_cast<Sum>(bias[c]);
        y[block.index * width + c] = static_cast<T>(v);
      }
      if (t == 0) {
        inverse[block.index] = inv;
        if constexpr (Centred) mean[block.index] = middle;
      }
    });
  }
};

/// dx = or += the norm's gradient. With v = (x - mean) inv and g = dy gain:  dx = inv (g - [mean(g)] - v mean(g v)).
template <class T, bool Centred>
struct NormBackward {
  using Sum = accumulator_t<T>;
  T* dx;
  const T *dy, *x, *gain;
  const Sum *mean, *inverse;
  Index width;
  bool add;

  WU_BODY void operator()(Block block) const {
    const Index at = block.index * width;
    const Sum inv = inverse[block.index], count = static_cast<Sum>(width);
    Sum middle = 0, flat = 0;
    if constexpr (Centred) middle = mean[block.index];
    PerThread<Sum> along, sum;
    block.each([&](int t) {
      for (Index c = t; c < width; c += block.threads) {
        const Sum g = static_cast<Sum>(dy[at + c]) * (gain ? static_cast<Sum>(gain[c]) : Sum(1));
        along[t] += g * (static_cast<Sum>(x[at + c]) - middle);
        sum[t] += g;
      }
    });
    block_sum(block, along);
    if constexpr (Centred) {
      block_sum(block, sum);
      flat = sum[0] / count;
    }
    const Sum slope = along[0] * inv * inv / count;
    block.each([&](int t) {
      for (Index c = t; c < width; c += block.threads) {
        const Sum g = static_cast<Sum>(dy[at + c]) * (gain ? static_cast<Sum>(gain[c]) : Sum(1));
        const Sum d = inv * (g - flat - (static_cast<Sum>(x[at + c]) - middle) * slope);
        dx[at + c] = static_cast<T>(add ? static_cast<Sum>(dx[at + c]) + d : d);
      }
    });
  }
};

/// What NormGains sums: dgain and, if Centred, dbias.
template <class T, bool Centred>
struct NormTerms {
  using Sum = accumulator_t<T>;
  static constexpr int count = Centred ? 2 : 1;
  const T *dy, *x;
  const Sum *mean, *inverse;
  Index width;

  WU_BODY void operator()(Sum (&sums)[count], Index r, Index c) const {
    const Sum g = static_cast<Sum>(dy[r * width + c]);
    Sum v = static_cast<Sum>(x[r * width + c]);
    if constexpr (Centred) v -= mean[r];
    sums[0] += g * v * inverse[r];
    if constexpr (Centred) sums[1] += g;
  }
};

}  // namespace wu::cuda::kernel
