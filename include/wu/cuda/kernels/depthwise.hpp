// Depthwise convolution; formula in ops/depthwise.hpp. Every result is gathered by one thread.
#pragma once

#include "wu/cuda/kernels/pixel.hpp"

namespace wu::cuda::kernel {

/// Pictures (b, height, width, C) and K x K taps for each channel.
struct Convolution {
  Index height, width, C, K;
  /// The position that tap i of output position p reads: inside, or the border's.
  WU_BODY static Index read(Index p, Index i, Index K, Index size) {
    const Index at = p + i - K / 2;
    return at < 0 ? 0 : at >= size ? size - 1 : at;
  }
  /// The taps first .. last with which output position `out` reads position p; first > last: none.
  struct Taps {
    Index first, last;
  };
  WU_BODY static Taps taps(Index out, Index p, Index K, Index size) {
    const Index straight = p - out + K / 2;
    return {p == 0 ? 0 : straight, p == size - 1 ? K - 1 : straight};
  }
};

/// y
template <class T>
struct DepthwiseForward {
  T* y;
  const T *x, *W;
  Convolution s;
  Index count;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      const auto [c, w, line] = Pixel(k, s.width, s.C);
      const Index h = line % s.height, top = line - h;
      Sum sum = 0;
      for (Index i = 0; i < s.K; ++i) {
        const T* const row = x + (top + Convolution::read(h, i, s.K, s.height)) * s.width * s.C + c;
        for (Index j = 0; j < s.K; ++j)
          sum += static_cast<Sum>(W[(i * s.K + j) * s.C + c]) *
                 static_cast<Sum>(row[Convolution::read(w, j, s.K, s.width) * s.C]);
      }
      y[k] = static_cast<T>(sum);
    });
  }
};

/// dx: from the outputs around it, from those beyond the border several times.
template <class T>
struct DepthwiseBackward {
  T* dx;
  const T *dy, *W;
  Convolution s;
  Index count;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      const auto [c, w, line] = Pixel(k, s.width, s.C);
      const Index h = line % s.height, top = line - h, reach = s.K / 2;
      Sum sum = 0;
      for (Index oh = h < reach ? 0 : h - reach; oh <= h + reach && oh < s.height; ++oh)
        for (Index ow = w < reach ? 0 : w - reach; ow <= w + reach && ow < s.width; ++ow) {
          const auto down = Convolution::taps(oh, h, s.K, s.height), across = Convolution::taps(ow, w, s.K, s.width);
          Sum taps = 0;
          for (Index i = down.first; i <= down.last; ++i)
            for (Index j = across.first; j <= across.last; ++j) taps += static_cast<Sum>(W[(i * s.K + j) * s.C + c]);
          sum += taps * static_cast<Sum>(dy[((top + oh) * s.width + ow) * s.C + c]);
        }
      dx[k] = static_cast<T>(sum);
    });
  }
};

/// For dW: column t C + c of the sum over all pixels r.
template <class T>
struct TapTerms {
  using Sum = accumulator_t<T>;
  static constexpr int count = 1;
  const T *dy, *x;
  Convolution s;
  WU_BODY void operator()(Sum (&sums)[1], Index r, Index column) const {
    const Index c = column % s.C, t = column / s.C, w = r % s.width, line = r / s.width, h = line % s.height, top = line - h;
    sums[0] += static_cast<Sum>(dy[r * s.C + c]) *
               static_cast<Sum>(x[((top + Convolution::read(h, t / s.K, s.K, s.height)) * s.width +
                                   Convolution::read(w, t % s.K, s.K, s.width)) *
                                      s.C +
                                  c]);
  }
};

}  // namespace wu::cuda::kernel
