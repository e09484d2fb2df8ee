// Depthwise convolution on the CPU: rows of the picture over threads, channels in the vector lanes.
#pragma once

#include <algorithm>

#include "wu/cpu/context.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/depthwise.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
/// Calls strip(first channel, columns) on strips of channels that stay in registers while the taps go by, so many that their
/// number stands in the type where it can.
template <class Strip>
void channel_strips(Index C, const Strip& strip) {
  Index c = 0;
  for (; c + 64 <= C; c += 64) strip(c, std::integral_constant<Index, 64>{});
  for (; c + 16 <= C; c += 16) strip(c, std::integral_constant<Index, 16>{});
  if (c < C) strip(c, C - c);
}
/// As many as a strip has at most.
inline constexpr Index strip_length = 64;
}  // namespace detail

namespace kernel {
/// Pictures (count, height, width, C), filters (K K, C).
struct Pictures {
  Index count, height, width, C, K;
};

/// Calls strip(first row of the picture, row in it, column, first channel, channels) for every pixel, on all threads.
template <class Strip>
void each_pixel(Context& ctx, Pictures size, const Strip& strip) {
  ctx.split(size.count * size.height, size.width * size.C * size.K * size.K, [&](int, Index begin, Index end) {
    for (Index line = begin; line < end; ++line)
      for (Index w = 0; w < size.width; ++w)
        detail::channel_strips(
            size.C, [&](Index c, auto some) { strip(line / size.height * size.height, line % size.height, w, c, some); });
  });
}

template <class T>
struct Depthwise {
  using Sum = accumulator_t<T>;
  static void forward(Context& ctx, T* y, const T* x, const T* W, Pictures size);
  static void input_gradient(Context& ctx, T* dx, const T* dy, const T* W, Pictures size);
  static void filter_gradient(Context& ctx, T* dW, const T* dy, const T* x, Pictures size);
};

template <class T>
void Depthwise<T>::forward(Context& ctx, T* y, const T* x, const T* W, Pictures size) {
  const Index height = size.height, width = size.width, C = size.C, K = size.K;
  each_pixel(ctx, size, [=](Index top, Index h, Index w, Index c, auto some) {
    Sum sum[detail::strip_length] = {};
    for (Index i = 0; i < K; ++i)
      for (Index j = 0; j < K; ++j) {
        const T* const in = x + ((top + detail::tap(h, i, K, height)) * width + detail::tap(w, j, K, width)) * C + c;
        const T* const filter = W + (i * K + j) * C + c;
        for (Index n = 0; n < some; ++n) sum[n] += Sum(filter[n]) * Sum(in[n]);
      }
    for (Index n = 0; n < some; ++n) y[((top + h) * width + w) * C + c + n] = static_cast<T>(sum[n]);
  });
}

/// Inside the picture an input pixel gathers from the K x K outputs around it; border pixels also stand in for what lies
/// beyond, so every input gathers over the outputs whose clamped tap it is.
template <class T>
void Depthwise<T>::input_gradient(Context& ctx, T* dx, const T* dy, const T* W, Pictures size) {
  const Index height = size.height, width = size.width, C = size.C, K = size.K;
  each_pixel(ctx, size, [=](Index top, Index h, Index w, Index c, auto some) {
    Sum sum[detail::strip_length] = {};
    auto gather = [&](Index oh, Index ow, Index i, Index j) {
      const T* const g = dy + ((top + oh) * width + ow) * C + c;
      const T* const filter = W + (i * K + j) * C + c;
      for (Index n = 0; n < some; ++n) sum[n] += Sum(filter[n]) * Sum(g[n]);
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
    for (Index n = 0; n < some; ++n) dx[((top + h) * width + w) * C + c + n] = static_cast<T>(sum[n]);
  });
}

template <class T>
void Depthwise<T>::filter_gradient(Context& ctx, T* dW, const T* dy, const T* x, Pictures size) {
  const Index height = size.height, width = size.width, C = size.C, K = size.K;
  const Index lines = size.count * height;
  ctx.split(K * K, lines * width * C, [=](int, Index begin, Index end) {
    for (Index t = begin; t < end; ++t)
      detail::channel_strips(C, [=](Index c, auto some) {
        Sum sum[detail::strip_length] = {};
        for (Index line = 0; line < lines; ++line) {
          const Index from = line / height * height + detail::tap(line % height, t / K, K, height);
          for (Index w = 0; w < width; ++w) {
            const T* const in = x + (from * width + detail::tap(w, t % K, K, width)) * C + c;
            const T* const g = dy + (line * width + w) * C + c;
            for (Index n = 0; n < some; ++n) sum[n] += Sum(g[n]) * Sum(in[n]);
          }
        }
        for (Index n = 0; n < some; ++n) dW[t * C + c + n] = static_cast<T>(Sum(dW[t * C + c + n]) + sum[n]);
      });
  });
}
}  // namespace kernel

/// ops/depthwise.hpp's, on all threads.
void depthwise_forward(Context& ctx, auto y, auto x, auto W)
  requires detail::one_type<decltype(y), decltype(x), decltype(W)>
{
  detail::check_contiguous(y, x, W);
  using S = detail::DepthwiseWidths<W.extents[0], x.width, W.width>;
  static_assert(detail::DepthwiseWidths<W.extents[0], y.width, W.width>::channels == S::channels);
  detail::check_pictures("depthwise", x, y);
  kernel::Depthwise<value_of<decltype(x)>>::forward(ctx, y.data, x.data, W.data,
                                                    {x.extent(0), x.extent(1), x.extent(2), S::channels, S::k});
}

/// ops/depthwise.hpp's, on all threads.
void depthwise_backward(Context& ctx, auto dx /* = */, auto dW /* += */, auto dy, auto x, auto W)
  requires detail::one_type<decltype(dx), decltype(dW), decltype(dy), decltype(x), decltype(W)>
{
  detail::check_contiguous(dx, dW, dy, x, W);
  using S = detail::DepthwiseWidths<W.extents[0], x.width, W.width>;
  using Kernel = kernel::Depthwise<value_of<decltype(x)>>;
  static_assert(detail::DepthwiseWidths<dW.extents[0], dx.width, dW.width>::k == S::k);
  static_assert(detail::DepthwiseWidths<W.extents[0], dy.width, dW.width>::channels == S::channels);
  detail::check_pictures("depthwise backward", x, dy);
  if (dx.data) detail::check_pictures("depthwise backward", x, dx);
  const kernel::Pictures size{x.extent(0), x.extent(1), x.extent(2), S::channels, S::k};
  if (dx.data) Kernel::input_gradient(ctx, dx.data, dy.data, W.data, size);
  if (dW.data) Kernel::filter_gradient(ctx, dW.data, dy.data, x.data, size);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
