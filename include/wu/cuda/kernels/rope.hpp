// Rotary position embedding; formulas in ops/rope.hpp.
#pragma once

#include "wu/cuda/kernels/rows.hpp"

namespace wu::cuda::kernel {

/// The tables of one axis: angles in double, rounded once.
template <class T>
struct RotaryTable {
  T *cos, *sin;  ///< (positions, width)
  Index width, positions, first;
  WU_BODY void operator()(Block block) const {
    block.share_out(positions * (width / 2), [&](Index k) {
      const Index p = k / (width / 2), i = 2 * (k % (width / 2));
      const double angle =
          static_cast<double>(p + first) * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(width));
      T *const c = cos + p * width + i, *const s = sin + p * width + i;
      c[0] = c[1] = static_cast<T>(std::cos(angle));
      s[1] = static_cast<T>(std::sin(angle));
      s[0] = static_cast<T>(-std::sin(angle));
    });
  }
};

/// One axis of a Rotary as a kernel reads it.
template <class T>
struct TurningAxis {
  const T *cos, *sin;
  Index width, divisor, positions;
};

/// Pairs of channels turned in place, all axes in one pass. sign: +1 forward, -1 backward.
template <class T>
struct Turn {
  using Sum = accumulator_t<T>;
  static constexpr int most_axes = 4;
  Strided<T> x;
  TurningAxis<Sum> axes[most_axes];
  int axis_count;
  Index rows, width, head;
  Sum sign;

  WU_BODY void operator()(Block block) const {
    block.share_out(rows * (width / 2), [&](Index k) {
      const Index r = k / (width / 2), at = 2 * (k % (width / 2));
      Index i = at % head;
      int a = 0;
      while (a + 1 < axis_count && i >= axes[a].width) i -= axes[a++].width;
      const TurningAxis<Sum>& axis = axes[a];
      const Index entry = r / axis.divisor % axis.positions * axis.width + i;
      const Sum c = axis.cos[entry], s = axis.sin[entry + 1] * sign;
      T &to0 = x(r, at), &to1 = x(r, at + 1);
      const Sum x0 = static_cast<Sum>(to0), x1 = static_cast<Sum>(to1);
      to0 = static_cast<T>(x0 * c - x1 * s);
      to1 = static_cast<T>(x0 * s + x1 * c);
    });
  }
};

}  // namespace wu::cuda::kernel
