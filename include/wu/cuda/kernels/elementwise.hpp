// What happens to each value alone.
#pragma once

#include "wu/cuda/block.hpp"

namespace wu::cuda::kernel {

/// y += x
template <class T>
struct Add {
  T* y;
  const T* x;
  Index count;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) { y[k] = static_cast<T>(static_cast<Sum>(y[k]) + static_cast<Sum>(x[k])); });
  }
};

/// y *= factor
template <class T>
struct Scale {
  using Sum = accumulator_t<T>;
  T* y;
  Index count;
  Sum factor;
  WU_BODY void operator()(Block block) const {
    block.share_out(count, [&](Index k) { y[k] = static_cast<T>(static_cast<Sum>(y[k]) * factor); });
  }
};

/// to = from in another scalar, each value rounded once
template <class To, class From>
struct Convert {
  To* to;
  const From* from;
  Index count;
  WU_BODY void operator()(Block block) const {
    block.share_out(count, [&](Index k) { to[k] = static_cast<To>(from[k]); });
  }
};

/// SiLU and GELU with their slopes; formulas in ops/activations.hpp.
struct Silu {
  template <class Sum>
  WU_BODY static Sum value(Sum x) {
    return x / (1 + std::exp(-x));
  }
  template <class Sum>
  WU_BODY static Sum slope(Sum x) {
    const Sum s = 1 / (1 + std::exp(-x));
    return s * (1 + x * (1 - s));
  }
};

struct Gelu {
  static constexpr double k = 0.79788456080286535588, cube = 0.044715, far = 100;
  template <class Sum>
  WU_BODY static Sum value(Sum x) {
    return x * (1 + std::tanh(static_cast<Sum>(k) * (x + static_cast<Sum>(cube) * x * x * x))) / 2;
  }
  template <class Sum>
  WU_BODY static Sum slope(Sum x) {
    const Sum t = std::tanh(static_cast<Sum>(k) * (x + static_cast<Sum>(cube) * x * x * x)), limit = static_cast<Sum>(far),
              near = x < -limit ? -limit : (x > limit ? limit : x);  // 0 times infinity would be NaN
    return (1 + t) / 2 + near * (1 - t * t) * static_cast<Sum>(k) * (1 + 3 * static_cast<Sum>(cube) * near * near) / 2;
  }
};

/// y = f(x)
template <class T, class F>
struct Activate {
  T* y;
  const T* x;
  Index count;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) { y[k] = static_cast<T>(F::value(static_cast<Sum>(x[k]))); });
  }
};

/// dx = dy f'(x)
template <class T, class F>
struct ActivateBackward {
  T* dx;
  const T *dy, *x;
  Index count;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count,
                    [&](Index k) { dx[k] = static_cast<T>(static_cast<Sum>(dy[k]) * F::slope(static_cast<Sum>(x[k]))); });
  }
};

}  // namespace wu::cuda::kernel
