// Depthwise convolution, one K x K filter per channel, the picture continued by its border.
//     y(b, h, w, c) = sum over i, j of W(i K + j, c) x(b, clamp(h + i - K/2), clamp(w + j - K/2), c)
// x, y: (b, H, W, C)   W: (K K, C), K odd.        Backward overwrites dx and adds to dW.
#pragma once

#include <algorithm>

#include "wu/core/fits.hpp"
#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
template <Index Taps>
consteval Index odd_root() {
  Index k = 1;
  while (k * k < Taps) k += 2;
  return k;
}
template <Index Taps, Index WidthOfX, Index WidthOfW>
struct DepthwiseWidths {
  static_assert(fits<(WidthOfX == WidthOfW), "depthwise: expected filters (K * K, ", WidthOfX, ") for x (b, H, W, ",
                     WidthOfX, "), found (K * K, ", WidthOfW, ")">);
  static constexpr Index channels = WidthOfX, k = odd_root<Taps>();
  static_assert(
      fits<(odd_root<Taps>() * odd_root<Taps>() == Taps),
           "depthwise: expected the square of an odd number of taps, (K * K, C), found ", Taps, "; give 9, 25 or 49">);
};
/// Throws unless both pictures have the same extents.
void check_pictures(const char* what, const auto& x, const auto& y) {
  for (std::size_t axis = 0; axis < 3; ++axis)
    if (x.extent(axis) != y.extent(axis))
      throw ShapeError(message(what, ": expected ", x.extent(0), " pictures of ", x.extent(1), " x ", x.extent(2),
                               ", found ", y.extent(0), " of ", y.extent(1), " x ", y.extent(2)));
}
/// The clamped input position of tap i at output position p.
constexpr Index tap(Index p, Index i, Index K, Index size) { return std::clamp<Index>(p + i - K / 2, 0, size - 1); }
}  // namespace detail

/// y, x: (b, H, W, C)   W: (K K, C). Throws ShapeError if the pictures differ.
void depthwise_forward(reference&, auto y, auto x, auto W) {
  detail::check_contiguous(y, x, W);
  using S = detail::DepthwiseWidths<W.extents[0], x.width, W.width>;
  constexpr Index C = S::channels, K = S::k;
  static_assert(detail::DepthwiseWidths<W.extents[0], y.width, W.width>::channels == C);
  detail::check_pictures("depthwise", x, y);
  const Index height = x.extent(1), width = x.extent(2);
  for (Index b = 0; b < x.extent(0); ++b)
    for (Index h = 0; h < height; ++h)
      for (Index w = 0; w < width; ++w)
        for (Index c = 0; c < C; ++c) {
          sum_of<decltype(x)> sum = 0;
          for (Index i = 0; i < K; ++i)
            for (Index j = 0; j < K; ++j)
              sum += sum_of<decltype(x)>(W[(i * K + j) * C + c]) *
                     sum_of<decltype(x)>(
                         x[((b * height + detail::tap(h, i, K, height)) * width + detail::tap(w, j, K, width)) * C + c]);
          y[((b * height + h) * width + w) * C + c] = static_cast<value_of<decltype(y)>>(sum);
        }
}

/// dx, dy, x: (b, H, W, C)   dW, W: (K K, C). dx and dW may be null. Throws ShapeError if the pictures differ.
void depthwise_backward(reference&, auto dx /* = */, auto dW /* += */, auto dy, auto x, auto W) {
  detail::check_contiguous(dx, dW, dy, x, W);
  using S = detail::DepthwiseWidths<W.extents[0], x.width, W.width>;
  constexpr Index C = S::channels, K = S::k;
  static_assert(detail::DepthwiseWidths<dW.extents[0], dx.width, dW.width>::k == K);
  static_assert(detail::DepthwiseWidths<W.extents[0], dy.width, dW.width>::channels == C);
  detail::check_pictures("depthwise backward", x, dy);
  if (dx.data) detail::check_pictures("depthwise backward", x, dx);
  using Sum = sum_of<decltype(x)>;
  const Index height = x.extent(1), width = x.extent(2);
  // An input pixel gathers from the outputs of which it is a tap: those around it, at the border several times.
  for (Index p = 0; p < x.rows() && dx.data; ++p) {
    const Index top = p / (height * width) * height, h = p / width % height, w = p % width;
    Sum sum[C] = {};
    for (Index oh = std::max<Index>(0, h - K / 2); oh <= std::min(height - 1, h + K / 2); ++oh)
      for (Index ow = std::max<Index>(0, w - K / 2); ow <= std::min(width - 1, w + K / 2); ++ow)
        for (Index i = 0; i < K; ++i)
          for (Index j = 0; j < K; ++j) {
            if (detail::tap(oh, i, K, height) != h || detail::tap(ow, j, K, width) != w) continue;
            for (Index c = 0; c < C; ++c) sum[c] += Sum(dy[((top + oh) * width + ow) * C + c]) * Sum(W[(i * K + j) * C + c]);
          }
    for (Index c = 0; c < C; ++c) dx[p * C + c] = static_cast<value_of<decltype(dx)>>(sum[c]);
  }
  for (Index t = 0; t < K * K && dW.data; ++t) {
    Sum sum[C] = {};
    for (Index p = 0; p < x.rows(); ++p) {
      const Index top = p / (height * width) * height, h = detail::tap(p / width % height, t / K, K, height),
                  w = detail::tap(p % width, t % K, K, width);
      for (Index c = 0; c < C; ++c) sum[c] += Sum(dy[p * C + c]) * Sum(x[((top + h) * width + w) * C + c]);
    }
    for (Index c = 0; c < C; ++c) dW[t * C + c] += sum[c];
  }
}

}  // namespace wu
