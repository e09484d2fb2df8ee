// Between a picture and its coarse grid.     fine: (b, h F, w F, C)   coarse: (b, h, w, C)
// pool:      coarse = mean over each F x F square of fine;   backward: dfine = dcoarse / F^2
// upsample:  fine = bilinear interpolation of coarse, whose values lie at the middles of the squares; beyond the outermost
//            middles the value stays;                         backward is the transpose of the same weights
// F is the ratio of the heights at run time. Both backward passes overwrite.
#pragma once

#include <algorithm>

#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
inline Index resample_factor(const char* what, const auto& fine, const auto& coarse) {
  if (fine.extent(0) != coarse.extent(0))
    throw ShapeError(message(what, ": expected ", coarse.extent(0), " pictures, found ", fine.extent(0)));
  const Index factor = coarse.extent(1) > 0 ? fine.extent(1) / coarse.extent(1) : 0;
  if (factor < 1 || fine.extent(1) != coarse.extent(1) * factor || fine.extent(2) != coarse.extent(2) * factor)
    throw ShapeError(message(what, ": expected a fine grid that is a whole multiple of the coarse ", coarse.extent(1), " x ",
                             coarse.extent(2), ", found ", fine.extent(1), " x ", fine.extent(2)));
  return factor;
}
/// Position p of the fine axis lies between coarse lower and upper, `weight` of the way.
struct Between {
  Index lower, upper;
  double weight;
};
inline Between between(Index p, Index factor, Index size) {
  const Index twice = 2 * p + 1 - factor;  // 2 * factor * (position in coarse units)
  const Index lower = twice < 0 ? -1 : twice / (2 * factor);
  if (lower < 0) return {0, 0, 0};
  if (lower >= size - 1) return {size - 1, size - 1, 0};
  return {lower, lower + 1, static_cast<double>(twice - 2 * factor * lower) / static_cast<double>(2 * factor)};
}
/// How much of coarse position k is in the fine one that lies `at`, and the fine positions, first and one past the last, that
/// have any of it.
inline double share_of(const Between& at, Index k) {
  return (at.lower == k ? 1 - at.weight : 0) + (at.upper == k ? at.weight : 0);
}
inline Index reach_begin(Index k, Index factor) { return std::max<Index>(0, factor * (k - 1) + factor / 2); }
inline Index reach_end(Index k, Index factor, Index size) {
  return k + 1 == size ? factor * size : factor * (k + 1) + factor / 2;
}

/// Coarse pictures (count, height, width, C) and fine ones F times as high and wide.
struct Grids {
  Index count, height, width, C, F;
};
/// What both grids agree on; throws unless the fine one is a whole multiple of the coarse one.
Grids grids(const char* what, auto fine, auto coarse) {
  check_contiguous(fine, coarse);
  constexpr Index C = SameWidth<fine.width, coarse.width>::value;
  return {coarse.extent(0), coarse.extent(1), coarse.extent(2), C, resample_factor(what, fine, coarse)};
}

// Parts of the result, so that a device can share them out among threads.
/// sum: memory for C values.
template <class Out, class In, class Sum>
void pool_cells(Out* coarse, const In* fine, Sum* sum, const Grids& size, Index begin, Index end) {
  const Index width = size.width, C = size.C, F = size.F;
  const Sum share = 1 / static_cast<Sum>(F * F);
  for (Index cell = begin; cell < end; ++cell) {
    const In* const corner = fine + (cell / width * F * width + cell % width) * F * C;
    std::fill_n(sum, C, Sum(0));
    for (Index i = 0; i < F; ++i)
      for (Index j = 0; j < F; ++j) {
        const In* const in = corner + (i * width * F + j) * C;
        for (Index c = 0; c < C; ++c) sum[c] += Sum(in[c]);
      }
    for (Index c = 0; c < C; ++c) coarse[cell * C + c] = static_cast<Out>(sum[c] * share);
  }
}
template <class Out, class In>
void spread_cells(Out* dfine, const In* dcoarse, const Grids& size, Index begin, Index end) {
  using Sum = accumulator_t<Out>;
  const Index width = size.width, C = size.C, F = size.F;
  const Sum share = 1 / static_cast<Sum>(F * F);
  for (Index cell = begin; cell < end; ++cell) {
    const In* const g = dcoarse + cell * C;
    Out* const corner = dfine + (cell / width * F * width + cell % width) * F * C;
    for (Index i = 0; i < F; ++i)
      for (Index j = 0; j < F; ++j) {
        Out* const out = corner + (i * width * F + j) * C;
        for (Index c = 0; c < C; ++c) out[c] = static_cast<Out>(Sum(g[c]) * share);
      }
  }
}
template <class Out, class In>
void upsample_lines(Out* fine, const In* coarse, const Grids& size, Index begin, Index end) {
  using Sum = accumulator_t<In>;
  const Index height = size.height, width = size.width, C = size.C, F = size.F;
  for (Index line = begin; line < end; ++line) {
    const auto v = between(line % (height * F), F, height);
    const In* const top = coarse + (line / (height * F) * height + v.lower) * width * C;
    const In* const bottom = coarse + (line / (height * F) * height + v.upper) * width * C;
    for (Index w = 0; w < width * F; ++w) {
      const auto u = between(w, F, width);
      const Sum a = static_cast<Sum>((1 - v.weight) * (1 - u.weight)), b = static_cast<Sum>((1 - v.weight) * u.weight);
      const Sum d = static_cast<Sum>(v.weight * (1 - u.weight)), e = static_cast<Sum>(v.weight * u.weight);
      const In *const top_left = top + u.lower * C, *const top_right = top + u.upper * C;
      const In *const bottom_left = bottom + u.lower * C, *const bottom_right = bottom + u.upper * C;
      Out* const out = fine + (line * width * F + w) * C;
      for (Index c = 0; c < C; ++c)
        out[c] = static_cast<Out>(a * Sum(top_left[c]) + b * Sum(top_right[c]) + d * Sum(bottom_left[c]) +
                                  e * Sum(bottom_right[c]));
    }
  }
}
}  // namespace detail

/// coarse: (b, h, w, C)   fine: (b, h F, w F, C). Throws ShapeError unless fine is a whole multiple of coarse.
void pool_forward(reference&, auto coarse, auto fine) {
  const auto size = detail::grids("pool", fine, coarse);
  sum_of<decltype(fine)> sum[fine.width];
  detail::pool_cells(coarse.data, fine.data, sum, size, 0, coarse.rows());
}

/// dfine: (b, h F, w F, C)   dcoarse: (b, h, w, C). Throws ShapeError as forward does.
void pool_backward(reference&, auto dfine /* = */, auto dcoarse) {
  detail::spread_cells(dfine.data, dcoarse.data, detail::grids("pool backward", dfine, dcoarse), 0, dcoarse.rows());
}

/// fine: (b, h F, w F, C)   coarse: (b, h, w, C). Throws ShapeError unless fine is a whole multiple of coarse.
void upsample_forward(reference&, auto fine, auto coarse) {
  detail::upsample_lines(fine.data, coarse.data, detail::grids("upsample", fine, coarse), 0,
                         fine.extent(0) * fine.extent(1));
}

/// dcoarse: (b, h, w, C)   dfine: (b, h F, w F, C). Throws ShapeError as forward does.
void upsample_backward(reference&, auto dcoarse /* = */, auto dfine) {
  detail::check_contiguous(dcoarse, dfine);
  constexpr Index C = detail::SameWidth<dfine.width, dcoarse.width>::value;
  using Sum = sum_of<decltype(dcoarse)>;
  const Index F = detail::resample_factor("upsample backward", dfine, dcoarse), height = dcoarse.extent(1),
              width = dcoarse.extent(2);
  for (Index cell = 0; cell < dcoarse.rows(); ++cell) {
    const Index top = cell / (height * width) * height * F, h = cell / width % height, w = cell % width;
    Sum sum[C] = {};
    for (Index p = detail::reach_begin(h, F); p < detail::reach_end(h, F, height); ++p)
      for (Index q = detail::reach_begin(w, F); q < detail::reach_end(w, F, width); ++q) {
        const Sum weight = static_cast<Sum>(detail::share_of(detail::between(p, F, height), h) *
                                            detail::share_of(detail::between(q, F, width), w));
        for (Index c = 0; c < C; ++c) sum[c] += weight * Sum(dfine[((top + p) * width * F + q) * C + c]);
      }
    for (Index c = 0; c < C; ++c) dcoarse[cell * C + c] = static_cast<value_of<decltype(dcoarse)>>(sum[c]);
  }
}

}  // namespace wu
