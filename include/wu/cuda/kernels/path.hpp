// Along a straight path, each value alone; formulas in ops/path.hpp.
#pragma once

#include "wu/cuda/kernels/factors.hpp"

namespace wu::cuda::kernel {

/// x_t = (1 - t_s) x_0 + t_s x_1
template <class T>
struct PathPoint {
  T* x_t;
  const T *x_0, *x_1;
  Index values;  ///< of a sample
  Factors<double> times;
  WU_BODY void operator()(Block block) const {
    block.share_out(times.count * values, [&](Index k) {
      const double t = times.of[k / values];
      x_t[k] = static_cast<T>((1 - t) * static_cast<double>(x_0[k]) + t * static_cast<double>(x_1[k]));
    });
  }
};

/// v = factor_s (source + edit - x_t)
template <class T>
struct EditVelocity {
  using Sum = accumulator_t<T>;
  T* v;
  const T *edit, *x_t, *source;
  Index values;
  Factors<Sum> factors;
  WU_BODY void operator()(Block block) const {
    block.share_out(factors.count * values, [&](Index k) {
      v[k] = static_cast<T>((static_cast<Sum>(source[k]) + static_cast<Sum>(edit[k]) - static_cast<Sum>(x_t[k])) *
                            factors.of[k / values]);
    });
  }
};

/// u = factor_s (x_1 - x_0)
template <class T>
struct PathVelocity {
  using Sum = accumulator_t<T>;
  T* u;
  const T *x_0, *x_1;
  Index values;
  Factors<Sum> factors;
  WU_BODY void operator()(Block block) const {
    block.share_out(factors.count * values, [&](Index k) {
      u[k] = static_cast<T>((static_cast<Sum>(x_1[k]) - static_cast<Sum>(x_0[k])) * factors.of[k / values]);
    });
  }
};

/// x += step v
template <class T>
struct PathStep {
  using Sum = accumulator_t<T>;
  T* x;
  const T* v;
  Index count;
  Sum step;
  WU_BODY void operator()(Block block) const {
    block.share_out(count, [&](Index k) { x[k] = static_cast<T>(static_cast<Sum>(x[k]) + step * static_cast<Sum>(v[k])); });
  }
};

}  // namespace wu::cuda::kernel
