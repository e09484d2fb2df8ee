// A picture as rows of patches:  y(b, r W/P + c, (i P + j) Ch + ch) = x(b, r P + i, c P + j, ch)
// x: (b, H, W, Ch)   y: (b H/P W/P, P P Ch)            Backward is the inverse, and overwrites: unfold and fold are transposes.
#pragma once

#include <algorithm>

#include "wu/core/fits.hpp"
#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
constexpr bool square(Index n) {
  Index root = 0;
  while (root * root < n) ++root;
  return root * root == n;
}
template <Index WidthOfY, Index Channels>
struct PatchSide {
  static constexpr Index value = [] {
    Index p = 1;
    while (p * p * Channels < WidthOfY) ++p;
    return p;
  }();
  static_assert(fits<(WidthOfY % Channels == 0 && square(WidthOfY / Channels)), "patches: expected rows of P * P * ",
                     Channels, " values, the picture's channels, found ", WidthOfY>);
};

/// Calls f(run in the patch rows, run in the picture, length) for every contiguous run of P pixels.
template <Index P>
void each_patch_run(auto patches, auto picture, auto&& f) {
  constexpr Index run = P * picture.width;
  const Index height = picture.extent(1), width = picture.extent(2), down = height / P, across = width / P;
  if (height % P || width % P || patches.rows() != picture.extent(0) * down * across)
    throw ShapeError(message("patches: expected pictures in multiples of ", P, " pixels and one row for each patch, found ",
                             height, " x ", width, " and ", patches.rows(), " rows"));
  for (Index b = 0; b < picture.extent(0); ++b)
    for (Index y = 0; y < height; ++y)
      for (Index c = 0; c < across; ++c)
        f(patches.data + (((b * down + y / P) * across + c) * P + y % P) * run,
          picture.data + ((b * height + y) * width + c * P) * picture.width, run);
}
}  // namespace detail

/// y: (b H/P W/P, P P Ch)   x: (b, H, W, Ch). Throws ShapeError unless P divides H and W and y has a row for each patch.
void patches_forward(reference&, auto y, auto x) {
  detail::check_contiguous(y, x);
  detail::each_patch_run<detail::PatchSide<y.width, x.width>::value>(
      y, x, [](auto* to, const auto* from, Index n) { std::copy_n(from, n, to); });
}

/// dx: (b, H, W, Ch), may be null   dy: (b H/P W/P, P P Ch). Throws ShapeError as forward does.
void patches_backward(reference&, auto dx /* = */, auto dy) {
  detail::check_contiguous(dx, dy);
  if (!dx.data) return;
  detail::each_patch_run<detail::PatchSide<dy.width, dx.width>::value>(
      dy, dx, [](const auto* from, auto* to, Index n) { std::copy_n(from, n, to); });
}

}  // namespace wu
