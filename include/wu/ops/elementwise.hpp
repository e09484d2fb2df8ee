// Moving and adding rows.
//     add: y += x      copy: y = x      convert: y = x in another scalar      zero: y = 0      scale: y *= factor
//     broadcast_rows: y (b k, C) = x (k, C) for each of b;          backward dx += sum over b of dy
//     mean_rows: y (G, C) = mean over each of G groups of rows of x; backward dx = dy / rows in a group
//     grid_sum: y (G K, C), y(g K + k) = inner(k) + outer(g);         backward dinner(k) += sum over g, douter(g) += sum over k
#pragma once

#include <algorithm>

#include "wu/ops/activations.hpp"

namespace wu {

/// y, x: equal sizes; throws ShapeError otherwise.
void add(reference&, auto y /* += */, auto x) {
  detail::check_contiguous(y, x);
  detail::check_sizes("add", y.size(), x.size());
  for (Index k = 0; k < x.size(); ++k) y[k] += x[k];
}

/// y, x: equal sizes; throws ShapeError otherwise.
void copy(reference&, auto y, auto x) {
  detail::check_contiguous(y, x);
  detail::check_sizes("copy", y.size(), x.size());
  std::copy_n(x.data, x.size(), y.data);
}

/// y = x in another scalar, each value rounded once. Equal sizes; throws ShapeError otherwise.
void convert(reference&, auto y, auto x) {
  detail::check_contiguous(y, x);
  detail::check_sizes("convert", y.size(), x.size());
  for (Index k = 0; k < x.size(); ++k) y[k] = static_cast<value_of<decltype(y)>>(x[k]);
}

/// y: any extents. The factor is rounded to y's scalar.
void scale(reference&, auto y /* *= */, double factor) {
  detail::check_contiguous(y);
  const auto by = static_cast<value_of<decltype(y)>>(factor);
  for (Index k = 0; k < y.size(); ++k) y[k] *= by;
}

/// y: any extents.
void zero(reference&, auto y) {
  detail::check_contiguous(y);
  std::fill_n(y.data, y.size(), value_of<decltype(y)>(0));
}

namespace detail {
inline void check_copies(const char* what, Index all, Index one) {
  if (one < 1 || all % one != 0) throw ShapeError(message(what, ": expected a multiple of ", one, " values, found ", all));
}
/// Throws unless the rows fall into groups of equally many, at least one.
inline void check_groups(const char* what, Index rows, Index groups) {
  if (groups < 1 || rows < groups || rows % groups != 0)
    throw ShapeError(message(what, ": expected rows for ", groups, " equal groups, found ", rows));
}
}  // namespace detail

/// y: a multiple of the values of x, filled with copies of it; throws ShapeError otherwise.
void broadcast_rows_forward(reference&, auto y, auto x) {
  detail::check_contiguous(y, x);
  detail::check_copies("broadcast rows", y.size(), x.size());
  const Index copies = y.size() / x.size();
  for (Index i = 0; i < copies; ++i) std::copy_n(x.data, x.size(), y.data + i * x.size());
}

/// dx may be null. Throws ShapeError unless dy holds a multiple of the values of dx.
void broadcast_rows_backward(reference&, auto dx /* += */, auto dy) {
  detail::check_contiguous(dx, dy);
  if (!dx.data) return;
  detail::check_copies("broadcast rows backward", dy.size(), dx.size());
  for (Index i = 0; i < dx.size(); ++i) {
    sum_of<decltype(dy)> sum = 0;
    for (Index k = i; k < dy.size(); k += dx.size()) sum += sum_of<decltype(dy)>(dy[k]);
    dx[i] += sum;
  }
}

/// y: (G, C)   x: (G k, C), k at least 1. Throws ShapeError unless the rows of x are such a multiple of those of y.
void mean_rows_forward(reference&, auto y, auto x) {
  detail::check_contiguous(y, x);
  constexpr Index C = detail::SameWidth<x.width, y.width>::value;
  using Sum = sum_of<decltype(x)>;
  detail::check_groups("mean rows", x.rows(), y.rows());
  const Index k = x.rows() / y.rows();
  for (Index g = 0; g < y.rows(); ++g)
    for (Index c = 0; c < C; ++c) {
      Sum sum = 0;
      for (Index r = g * k; r < (g + 1) * k; ++r) sum += Sum(x[r * C + c]);
      y[g * C + c] = static_cast<value_of<decltype(y)>>(sum / static_cast<Sum>(k));
    }
}

/// dx: (G k, C), may be null   dy: (G, C). Throws ShapeError as forward does.
void mean_rows_backward(reference&, auto dx /* = */, auto dy) {
  detail::check_contiguous(dx, dy);
  constexpr Index C = detail::SameWidth<dx.width, dy.width>::value;
  using Sum = sum_of<decltype(dy)>;
  if (!dx.data) return;
  detail::check_groups("mean rows backward", dx.rows(), dy.rows());
  const Index k = dx.rows() / dy.rows();
  for (Index r = 0; r < dx.rows(); ++r)
    for (Index c = 0; c < C; ++c)
      dx[r * C + c] = static_cast<value_of<decltype(dx)>>(Sum(dy[r / k * C + c]) / static_cast<Sum>(k));
}

namespace detail {
/// y: (G K, C) beside inner (K, C) and outer (G, C).
void check_grid_sum(const char* what, auto y, Index inner, Index outer) {
  if (y.rows() != inner * outer)
    throw ShapeError(message(what, ": expected ", outer, " times ", inner, " rows, found ", y.rows()));
}
}  // namespace detail

/// y: (G K, C)   inner: (K, C)   outer: (G, C). Throws ShapeError on another number of rows.
void grid_sum_forward(reference&, auto y, auto inner, auto outer) {
  detail::check_contiguous(y, inner, outer);
  constexpr Index C = detail::SameWidth<y.width, inner.width, outer.width>::value;
  using Sum = sum_of<decltype(inner)>;
  detail::check_grid_sum("grid sum", y, inner.rows(), outer.rows());
  for (Index r = 0; r < y.rows(); ++r)
    for (Index c = 0; c < C; ++c)
      y[r * C + c] =
          static_cast<value_of<decltype(y)>>(Sum(inner[r % inner.rows() * C + c]) + Sum(outer[r / inner.rows() * C + c]));
}

/// dinner: (K, C)   douter: (G, C)   dy: (G K, C). Throws ShapeError on another number of rows.
void grid_sum_backward(reference&, auto dinner /* += */, auto douter /* += */, auto dy) {
  detail::check_contiguous(dinner, douter, dy);
  constexpr Index C = detail::SameWidth<dy.width, dinner.width, douter.width>::value;
  using Sum = sum_of<decltype(dy)>;
  const Index G = douter.rows(), K = dinner.rows();
  detail::check_grid_sum("grid sum backward", dy, K, G);
  for (Index k = 0; k < K * C; ++k) {
    Sum sum = 0;
    for (Index g = 0; g < G; ++g) sum += Sum(dy[g * K * C + k]);
    dinner[k] += sum;
  }
  for (Index i = 0; i < G * C; ++i) {
    Sum sum = 0;
    for (Index k = 0; k < K; ++k) sum += Sum(dy[(i / C * K + k) * C + i % C]);
    douter[i] += sum;
  }
}

}  // namespace wu
