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

/// Throws unless the pictures are whole patches and there is a row for each.
template <Index P>
void check_patches(auto patches, auto picture) {
  const Index height = picture.extent(1), width = picture.extent(2);
  if (height % P || width % P || patches.rows() != picture.extent(0) * (height / P) * (width / P))
    throw ShapeError(message("patches: expected pictures in multiples of ", P, " pixels and one row for each patch, found ",
                             height, " x ", width, " and ", patches.rows(), " rows"));
}
/// Calls f(run in the patch rows, run in the picture, length) for every contiguous run of P pixels of the pictures' lines first ..
/// last-1, so that a device can share them out among threads.
template <Index P>
void each_patch_run(auto patches, auto picture, Index first, Index last, auto&& f) {
  constexpr Index run = P * picture.width;
  const Index width = picture.extent(2), across = width / P;
  for (Index line = first; line < last; ++line)  // P divides the height, so lines may be counted through all pictures
    for (Index c = 0; c < across; ++c)
      f(patches.row(line / P * across + c) + line % P * run, picture.data + (line * width + c * P) * picture.width, run);
}
}  // namespace detail

/// y: (b H/P W/P, P P Ch), View or Columns   x: (b, H, W, Ch). Throws ShapeError unless P divides H and W and y has a row for
/// each patch.
void patches_forward(reference&, auto y, auto x) {
  detail::check_contiguous(x);
  constexpr Index P = detail::PatchSide<y.width, x.width>::value;
  detail::check_patches<P>(y, x);
  detail::each_patch_run<P>(y, x, 0, x.extent(0) * x.extent(1),
                            [](auto* to, const auto* from, Index n) { std::copy_n(from, n, to); });
}

/// dx: (b, H, W, Ch), may be null   dy: (b H/P W/P, P P Ch), View or Columns. Throws ShapeError as forward does.
void patches_backward(reference&, auto dx /* = */, auto dy) {
  detail::check_contiguous(dx);
  if (!dx.data) return;
  constexpr Index P = detail::PatchSide<dy.width, dx.width>::value;
  detail::check_patches<P>(dy, dx);
  detail::each_patch_run<P>(dy, dx, 0, dx.extent(0) * dx.extent(1),
                            [](const auto* from, auto* to, Index n) { std::copy_n(from, n, to); });
}

}  // namespace wu
