// Two tables of rows as one, group by group:  y = [a_1; b_1; a_2; b_2; ...]
// y: (G (K + L), C)   a: (G K, C)   b: (G L, C)            Backward is the inverse, and overwrites.
#pragma once

#include <algorithm>

#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
inline void check_join(const char* what, Index y, Index a, Index b, Index groups) {
  if (groups < 1 || y != a + b || a % groups != 0 || b % groups != 0)
    throw ShapeError(
        message(what, ": expected the rows of two tables in ", groups, " groups, found ", y, " rows of ", a, " and ", b));
}
}  // namespace detail

/// Throws ShapeError unless the groups divide the rows of a and b, and y has as many as both.
void join_rows_forward(reference&, auto y, auto a, auto b, Index groups) {
  detail::check_contiguous(y, a, b);
  constexpr Index C = detail::SameWidth<y.width, a.width, b.width>::value;
  detail::check_join("join rows", y.rows(), a.rows(), b.rows(), groups);
  const Index of_a = a.rows() / groups * C, of_b = b.rows() / groups * C;
  auto* to = y.data;
  for (Index g = 0; g < groups; ++g) {
    to = std::copy_n(a.data + g * of_a, of_a, to);
    to = std::copy_n(b.data + g * of_b, of_b, to);
  }
}

/// Throws ShapeError as forward does.
void join_rows_backward(reference&, auto da /* = */, auto db /* = */, auto dy, Index groups) {
  detail::check_contiguous(da, db, dy);
  constexpr Index C = detail::SameWidth<dy.width, da.width, db.width>::value;
  detail::check_join("join rows backward", dy.rows(), da.rows(), db.rows(), groups);
  const Index of_a = da.rows() / groups * C, of_b = db.rows() / groups * C;
  const auto* from = dy.data;
  for (Index g = 0; g < groups; ++g) {
    std::copy_n(from, of_a, da.data + g * of_a), from += of_a;
    std::copy_n(from, of_b, db.data + g * of_b), from += of_b;
  }
}

}  // namespace wu
