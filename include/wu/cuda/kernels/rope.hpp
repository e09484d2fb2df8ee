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

/// Pairs of channels turned in place, all axes in one pass, a block for each row. sign: +1 forward, -1 backward.
template <class T>
struct Turn {
  using Sum = accumulator_t<T>;
  static constexpr int threads = 256, most_axes = 4;
  Strided<T> x;
  TurningAxis<Sum> axes[most_axes];
  int axis_count, width, head;
  Sum sign;

  WU_BODY void operator()(Block block) const {
    T* const row = &x(block.index, 0);
    Index entry[most_axes] = {};  // where the row's positions begin in the tables
    for (int a = 0; a < axis_count; ++a) entry[a] = block.index / axes[a].divisor % axes[a].positions * axes[a].width;
    block.alone([&](int t) {
      for (int at = 2 * t; at < width; at += 2 * block.threads) {
        int i = at % head, a = 0;
        while (a + 1 < axis_count && i >= static_cast<int>(axes[a].width)) i -= static_cast<int>(axes[a++].width);
        const Sum c = axes[a].cos[entry[a] + i], s = axes[a].sin[entry[a] + i + 1] * sign;
        const Sum x0 = static_cast<Sum>(row[at]), x1 = static_cast<Sum>(row[at + 1]);
        row[at] = static_cast<T>(x0 * c - x1 * s);
        row[at + 1] = static_cast<T>(x0 * s + x1 * c);
      }
    });
  }
};

}  // namespace wu::cuda::kernel
