// Depthwise convolution on the CPU: rows of the picture over threads, channels in the vector lanes.
#pragma once

#include "wu/cpu/context.hpp"
#include "wu/ops/depthwise.hpp"

namespace wu::cpu {

namespace detail {
using namespace wu::detail;

/// Channels are worked on in strips that stay in registers while the taps go by.
template <Index C>
inline constexpr Index strip = C % 64 == 0   ? 64
                               : C % 48 == 0 ? 48
                               : C % 32 == 0 ? 32
                               : C % 16 == 0 ? 16
                                             : C;
}  // namespace detail

void depthwise_forward(Context& ctx, auto y, auto x, auto W) {
  detail::check_contiguous(y, x, W);
  using S = detail::DepthwiseWidths<W.extents[0], x.width, W.width>;
  using T = value_of<decltype(x)>;
  constexpr Index C = S::channels, K = S::k, strip = detail::strip<C>;
  static_assert(detail::DepthwiseWidths<W.extents[0], y.width, W.width>::channels == C);
  detail::check_pictures("depthwise", x, y);
  const Index height = x.extent(1), width = x.extent(2);
  ctx.split(x.extent(0) * height, width * C * K * K, [&](int, Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const Index top = line / height * height, h = line % height;
      for (Index w = 0; w < width; ++w)
        for (Index c = 0; c < C; c += strip) {
          accumulator_t<T> sum[strip] = {};
          for (Index i = 0; i < K; ++i)
            for (Index j = 0; j < K; ++j) {
              const T* const in =
                  x.data + ((top + detail::tap(h, i, K, height)) * width + detail::tap(w, j, K, width)) * C + c;
              const auto* const filter = W.data + (i * K + j) * C + c;
              for (Index n = 0; n < strip; ++n) sum[n] += filter[n] * in[n];
            }
          for (Index n = 0; n < strip; ++n)
            y.data[(line * width + w) * C + c + n] = static_cast<value_of<decltype(y)>>(sum[n]);
        }
    }
  });
}

void depthwise_backward(Context& ctx, auto dx /* = */, auto dW /* += */, auto dy, auto x, auto W) {
  detail::check_contiguous(dx, dW, dy, x, W);
  using S = detail::DepthwiseWidths<W.extents[0], x.width, W.width>;
  using T = value_of<decltype(x)>;
  constexpr Index C = S::channels, K = S::k, strip = detail::strip<C>;
  static_assert(detail::DepthwiseWidths<dW.extents[0], dx.width, dW.width>::k == K);
  static_assert(detail::DepthwiseWidths<W.extents[0], dy.width, dW.width>::channels == C);
  detail::check_pictures("depthwise backward", x, dy);
  if (dx.data) detail::check_pictures("depthwise backward", x, dx);
  const Index height = x.extent(1), width = x.extent(2);
  // Inside the picture an input pixel gathers from the K x K outputs around it; border pixels also stand in for what lies
  // beyond, so every input gathers over the outputs whose clamped tap it is.
  if (dx.data)
    ctx.split(x.extent(0) * height, width * C * K * K, [&](int, Index begin, Index end) {
      for (Index line = begin; line < end; ++line) {
        const Index top = line / height * height, h = line % height;
        for (Index w = 0; w < width; ++w)
          for (Index c = 0; c < C; c += strip) {
            accumulator_t<T> sum[strip] = {};
            auto gather = [&](Index oh, Index ow, Index i, Index j) {
              const auto* const g = dy.data + ((top + oh) * width + ow) * C + c;
              const auto* const filter = W.data + (i * K + j) * C + c;
              for (Index n = 0; n < strip; ++n) sum[n] += filter[n] * g[n];
            };
            const bool inside = h >= K / 2 && w >= K / 2 && h + K / 2 < height && w + K / 2 < width && h > 0 && w > 0 &&
                                h + 1 < height && w + 1 < width;
            if (inside)
              for (Index i = 0; i < K; ++i)
                for (Index j = 0; j < K; ++j) gather(h - i + K / 2, w - j + K / 2, i, j);
            else
              for (Index oh = std::max<Index>(0, h - K / 2); oh <= std::min(height - 1, h + K / 2); ++oh)
                for (Index ow = std::max<Index>(0, w - K / 2); ow <= std::min(width - 1, w + K / 2); ++ow)
                  for (Index i = 0; i < K; ++i)
                    for (Index j = 0; j < K; ++j)
                      if (detail::tap(oh, i, K, height) == h && detail::tap(ow, j, K, width) == w) gather(oh, ow, i, j);
            for (Index n = 0; n < strip; ++n)
              dx.data[(line * width + w) * C + c + n] = static_cast<value_of<decltype(dx)>>(sum[n]);
          }
      }
    });
  if (dW.data)
    ctx.split(K * K, x.rows() * C, [&](int, Index begin, Index end) {
      for (Index t = begin; t < end; ++t)
        for (Index c = 0; c < C; c += strip) {
          accumulator_t<T> sum[strip] = {};
          for (Index line = 0; line < x.extent(0) * height; ++line) {
            const Index from = line / height * height + detail::tap(line % height, t / K, K, height);
            for (Index w = 0; w < width; ++w) {
              const T* const in = x.data + (from * width + detail::tap(w, t % K, K, width)) * C + c;
              const auto* const g = dy.data + (line * width + w) * C + c;
              for (Index n = 0; n < strip; ++n) sum[n] += g[n] * in[n];
            }
          }
          for (Index n = 0; n < strip; ++n) dW.data[t * C + c + n] += sum[n];
        }
    });
}

}  // namespace wu::cpu
