// Between a picture and its coarse grid; formulas in ops/resample.hpp. Every result is gathered by one thread.
#pragma once

#include "wu/cuda/kernels/pixel.hpp"

namespace wu::cuda::kernel {

/// Coarse pictures (b, height, width, C), fine ones F times as high and wide.
struct Grids {
  Index height, width, C, F;
};
/// Fine position p lies between coarse lower and upper, `weight` of the way.
struct Between {
  Index lower, upper;
  double weight;
  WU_BODY Between(Index p, Index factor, Index size) {
    const Index twice = 2 * p + 1 - factor;  // in units of half a fine step, from the middle of the first square
    lower = twice < 0 ? 0 : twice / (2 * factor);
    upper = lower + 1;
    weight = static_cast<double>(twice - 2 * factor * lower) / static_cast<double>(2 * factor);
    if (twice < 0) upper = 0, weight = 0;
    else if (lower >= size - 1) lower = upper = size - 1, weight = 0;
  }
  /// How much of coarse position k is in the fine one.
  WU_BODY double share(Index k) const { return (lower == k ? 1 - weight : 0) + (upper == k ? weight : 0); }
};

/// coarse = mean over each square of fine
template <class T>
struct Pool {
  T* coarse;
  const T* fine;
  Grids s;
  Index count;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      const auto [c, w, line] = Pixel(k, s.width, s.C);
      const T* const corner = fine + (line * s.F * s.width + w) * s.F * s.C + c;
      Sum sum = 0;
      for (Index i = 0; i < s.F; ++i)
        for (Index j = 0; j < s.F; ++j) sum += static_cast<Sum>(corner[(i * s.width * s.F + j) * s.C]);
      coarse[k] = static_cast<T>(sum / static_cast<Sum>(s.F * s.F));
    });
  }
};

/// fine = coarse / F^2: pool's backward
template <class T>
struct Spread {
  T* fine;
  const T* coarse;
  Grids s;
  Index count;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      const auto [c, w, line] = Pixel(k, s.width * s.F, s.C);
      fine[k] =
          static_cast<T>(static_cast<Sum>(coarse[(line / s.F * s.width + w / s.F) * s.C + c]) / static_cast<Sum>(s.F * s.F));
    });
  }
};

/// fine = coarse, interpolated
template <class T>
struct Upsample {
  T* fine;
  const T* coarse;
  Grids s;
  Index count;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      const Pixel pixel(k, s.width * s.F, s.C);
      const Index c = pixel.channel, w = pixel.column, line = pixel.line;
      const Index h = line % (s.height * s.F), top = line / (s.height * s.F) * s.height;
      const Between v(h, s.F, s.height), u(w, s.F, s.width);
      const auto at = [&](Index row, Index column) {
        return static_cast<Sum>(coarse[((top + row) * s.width + column) * s.C + c]);
      };
      fine[k] = static_cast<T>(static_cast<Sum>((1 - v.weight) * (1 - u.weight)) * at(v.lower, u.lower) +
                               static_cast<Sum>((1 - v.weight) * u.weight) * at(v.lower, u.upper) +
                               static_cast<Sum>(v.weight * (1 - u.weight)) * at(v.upper, u.lower) +
                               static_cast<Sum>(v.weight * u.weight) * at(v.upper, u.upper));
    });
  }
};

/// coarse = what the transpose of Upsample's weights makes of fine
template <class T>
struct UpsampleBackward {
  T* coarse;
  const T* fine;
  Grids s;
  Index count;
  /// Fine positions with any of coarse position k: first, and one past the last.
  WU_BODY static Index begin(Index k, Index F) { return k == 0 ? 0 : F * (k - 1) + F / 2; }
  WU_BODY static Index end(Index k, Index F, Index size) { return k + 1 == size ? F * size : F * (k + 1) + F / 2; }

  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      const auto [c, w, line] = Pixel(k, s.width, s.C);
      const Index h = line % s.height, top = (line - h) * s.F;
      Sum sum = 0;
      for (Index p = begin(h, s.F); p < end(h, s.F, s.height); ++p) {
        const double down = Between(p, s.F, s.height).share(h);
        for (Index q = begin(w, s.F); q < end(w, s.F, s.width); ++q)
          sum += static_cast<Sum>(down * Between(q, s.F, s.width).share(w)) *
                 static_cast<Sum>(fine[((top + p) * s.width * s.F + q) * s.C + c]);
      }
      coarse[k] = static_cast<T>(sum);
    });
  }
};

}  // namespace wu::cuda::kernel
