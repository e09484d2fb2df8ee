// Sums, copies and broadcasts on the CPU: memory's speed, on all threads. No order of a sum depends on the number of threads.
#pragma once

#include <algorithm>

#include "wu/cpu/context.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/elementwise.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
/// Cuts the columns 0 .. C-1 of `groups` groups of rows into blocks that fit into registers and calls
/// block(group, first column, columns) for each, on all threads. A full block's number of columns stands in its type.
template <class S, class Block>
void split_columns(Context& ctx, Index C, Index groups, Index work_per_column, const Block& block) {
  constexpr Index W = side_by_side<S>;
  const Index blocks = (C + W - 1) / W;
  ctx.split(groups * blocks, work_per_column * std::min(C, W), [&](int, Index begin, Index end) {
    for (Index item = begin; item < end; ++item) {
      const Index group = item / blocks, from = item % blocks * W;
      if (from + W <= C) block(group, from, std::integral_constant<Index, W>{});
      else block(group, from, C - from);
    }
  });
}
}  // namespace detail

namespace kernel {
/// On contiguous values; Sum: the type that they are summed in.
template <class T>
struct Elementwise {
  using Sum = accumulator_t<T>;
  static void add(Context& ctx, T* y, const T* x, Index count);
  static void copy(Context& ctx, T* y, const T* x, Index count);
  static void zero(Context& ctx, T* y, Index count);
  /// y (copies, part) = x (part) for every copy; backward adds the copies up.
  static void broadcast(Context& ctx, T* y, const T* x, Index part, Index copies);
  static void broadcast_backward(Context& ctx, T* dx, const T* dy, Index part, Index copies);
  /// y (groups, C) = mean over the k rows of each group of x (groups * k, C).
  static void mean(Context& ctx, T* y, const T* x, Index groups, Index k, Index C);
  static void mean_backward(Context& ctx, T* dx, const T* dy, Index groups, Index k, Index C);
};

template <class T>
void Elementwise<T>::add(Context& ctx, T* y, const T* x, Index count) {
  ctx.split(count, 1, [=](int, Index begin, Index end) {
    for (Index k = begin; k < end; ++k) y[k] = static_cast<T>(Sum(y[k]) + Sum(x[k]));
  });
}

template <class T>
void Elementwise<T>::copy(Context& ctx, T* y, const T* x, Index count) {
  ctx.split(count, 1, [=](int, Index begin, Index end) { std::copy_n(x + begin, end - begin, y + begin); });
}

template <class T>
void Elementwise<T>::zero(Context& ctx, T* y, Index count) {
  ctx.split(count, 1, [=](int, Index begin, Index end) { std::fill_n(y + begin, end - begin, T{}); });
}

template <class T>
void Elementwise<T>::broadcast(Context& ctx, T* y, const T* x, Index part, Index copies) {
  ctx.split(part * copies, 1, [=](int, Index begin, Index end) {
    for (Index k = begin; k < end;) {
      const Index from = k % part, length = std::min(part - from, end - k);
      std::copy_n(x + from, length, y + k);
      k += length;
    }
  });
}

template <class T>
void Elementwise<T>::broadcast_backward(Context& ctx, T* dx, const T* dy, Index part, Index copies) {
  detail::split_columns<Sum>(ctx, part, 1, copies, [=](Index, Index from, auto few) {
    Sum sum[detail::side_by_side<Sum>] = {};
    for (Index i = 0; i < copies; ++i)
      for (Index j = 0; j < few; ++j) sum[j] += Sum(dy[i * part + from + j]);
    for (Index j = 0; j < few; ++j) dx[from + j] = static_cast<T>(Sum(dx[from + j]) + sum[j]);
  });
}

template <class T>
void Elementwise<T>::mean(Context& ctx, T* y, const T* x, Index groups, Index k, Index C) {
  detail::split_columns<Sum>(ctx, C, groups, k, [=](Index g, Index from, auto few) {
    Sum sum[detail::side_by_side<Sum>] = {};
    for (Index r = g * k; r < (g + 1) * k; ++r)
      for (Index j = 0; j < few; ++j) sum[j] += Sum(x[r * C + from + j]);
    for (Index j = 0; j < few; ++j) y[g * C + from + j] = static_cast<T>(sum[j] / static_cast<Sum>(k));
  });
}

template <class T>
void Elementwise<T>::mean_backward(Context& ctx, T* dx, const T* dy, Index groups, Index k, Index C) {
  ctx.split(groups * k, C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r)
      for (Index c = 0; c < C; ++c) dx[r * C + c] = static_cast<T>(Sum(dy[r / k * C + c]) / static_cast<Sum>(k));
  });
}
}  // namespace kernel

/// ops/elementwise.hpp's, on all threads.
void add(Context& ctx, auto y /* += */, auto x)
  requires detail::one_type<decltype(y), decltype(x)>
{
  detail::check_contiguous(y, x);
  static_assert(detail::SameWidth<x.width, y.width>::value == x.width);
  detail::check_sizes("add", y.size(), x.size());
  kernel::Elementwise<value_of<decltype(y)>>::add(ctx, y.data, x.data, x.size());
}

/// ops/elementwise.hpp's, on all threads.
void copy(Context& ctx, auto y, auto x)
  requires detail::one_type<decltype(y), decltype(x)>
{
  detail::check_contiguous(y, x);
  static_assert(detail::SameWidth<x.width, y.width>::value == x.width);
  detail::check_sizes("copy", y.size(), x.size());
  kernel::Elementwise<value_of<decltype(y)>>::copy(ctx, y.data, x.data, x.size());
}

/// ops/elementwise.hpp's, on all threads.
void zero(Context& ctx, auto y) {
  detail::check_contiguous(y);
  kernel::Elementwise<value_of<decltype(y)>>::zero(ctx, y.data, y.size());
}

/// ops/elementwise.hpp's, on all threads.
void broadcast_rows_forward(Context& ctx, auto y, auto x)
  requires detail::one_type<decltype(y), decltype(x)>
{
  detail::check_contiguous(y, x);
  static_assert(detail::SameWidth<x.width, y.width>::value == x.width);
  detail::check_copies("broadcast rows", y.size(), x.size());
  kernel::Elementwise<value_of<decltype(y)>>::broadcast(ctx, y.data, x.data, x.size(), y.size() / x.size());
}

/// ops/elementwise.hpp's, on all threads.
void broadcast_rows_backward(Context& ctx, auto dx /* += */, auto dy)
  requires detail::one_type<decltype(dx), decltype(dy)>
{
  detail::check_contiguous(dx, dy);
  static_assert(detail::SameWidth<dx.width, dy.width>::value == dx.width);
  if (!dx.data) return;
  detail::check_copies("broadcast rows backward", dy.size(), dx.size());
  kernel::Elementwise<value_of<decltype(dx)>>::broadcast_backward(ctx, dx.data, dy.data, dx.size(), dy.size() / dx.size());
}

/// ops/elementwise.hpp's, on all threads.
void mean_rows_forward(Context& ctx, auto y, auto x)
  requires detail::one_type<decltype(y), decltype(x)>
{
  detail::check_contiguous(y, x);
  constexpr Index C = detail::SameWidth<x.width, y.width>::value;
  detail::check_groups("mean rows", x.rows(), y.rows());
  kernel::Elementwise<value_of<decltype(y)>>::mean(ctx, y.data, x.data, y.rows(), x.rows() / y.rows(), C);
}

/// ops/elementwise.hpp's, on all threads.
void mean_rows_backward(Context& ctx, auto dx /* = */, auto dy)
  requires detail::one_type<decltype(dx), decltype(dy)>
{
  detail::check_contiguous(dx, dy);
  constexpr Index C = detail::SameWidth<dx.width, dy.width>::value;
  if (!dx.data) return;
  detail::check_groups("mean rows backward", dx.rows(), dy.rows());
  kernel::Elementwise<value_of<decltype(dx)>>::mean_backward(ctx, dx.data, dy.data, dy.rows(), dx.rows() / dy.rows(), C);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
