// Whether some parts of every row hold no NaN and no infinity.                     x: (rows, C); what lies between the parts is not read
#pragma once

#include <concepts>
#include <span>

#include "wu/ops/reference.hpp"

namespace wu {

/// Values `first` .. first + count - 1 of a row.
struct RowPart {
  Index first = 0, count = 0;
};

namespace detail {
inline void check_parts(std::span<const RowPart> parts, Index width) {
  for (const RowPart& part : parts)
    if (part.first < 0 || part.count < 0 || part.first > width - part.count)
      throw ShapeError(message("all finite: expected parts of rows of ", width, " values, found one of ", part.count,
                               " from ", part.first, " on"));
}
}  // namespace detail

/// x: (rows, C). Throws ShapeError on a part that is not within a row.
bool all_finite(reference&, auto x, std::span<const RowPart> parts) {
  detail::check_contiguous(x);
  detail::check_parts(parts, x.width);
  using T = value_of<decltype(x)>;
  constexpr Index side = 16;  // sums side by side, in vector registers
  accumulator_t<T> sums[side] = {};
  const auto look_at = [&](const T* values, Index entries) {
    Index k = 0;
    for (; k + side <= entries; k += side)
      for (Index j = 0; j < side; ++j) sums[j] += values[k + j] * T(0);  // NaN and infinity survive it
    for (; k < entries; ++k) sums[0] += values[k] * T(0);
  };
  for (Index r = 0; r < x.rows(); ++r)
    for (const RowPart& part : parts) look_at(x.row(r) + part.first, part.count);
  for (const auto sum : sums)
    if (sum != 0) return false;
  return true;
}

/// Throws NonFiniteError with this sentence unless x is all finite. On a GPU, which is asked to look and not waited for, the context's
/// next call that waits throws.
void expect_finite(std::derived_from<reference> auto& ctx, auto x, std::span<const RowPart> parts, const char* sentence) {
  if (!all_finite(ctx, x, parts)) throw NonFiniteError(sentence);
}

}  // namespace wu
