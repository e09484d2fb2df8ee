// Sums, copies and broadcasts on the CPU: memory's speed, on all threads. No order of a sum depends on the number of threads.
#pragma once

#include <algorithm>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/row_groups.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/elementwise.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

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
  /// D: T or Sum.
  template <class D>
  static void broadcast_backward(Context& ctx, D* dx, const T* dy, Index part, Index copies);
  /// y (groups, C) = mean over the k rows of each group of x (groups * k, C).
  static void mean(Context& ctx, T* y, const T* x, Index groups, Index k, Index C);
  static void mean_backward(Context& ctx, T* dx, const T* dy, Index groups, Index k, Index C);
  /// y (groups * k, C) = inner (k, C) + outer (groups, C); outer's gradient is added to.
  static void grid_sum(Context& ctx, T* y, const T* inner, const T* outer, Index groups, Index k, Index C);
  static void grid_sum_outer(Context& ctx, Sum* douter, const T* dy, Index groups, Index k, Index C);

 private:
  /// sums (C) += each of the rows first .. last-1.
  static void add_rows(Sum* sums, const T* rows, Index first, Index last, Index C);
};

template <class T>
void Elementwise<T>::add(Context& ctx, T* y, const T* x, Index count) {
  ctx.split(count, 1, [=](int, Index begin, Index end) {
    detail::each_wide<T>(end - begin, [=]<Index W>(Index k) {
      T* const to = y + begin + k;
      detail::store_narrow<W>(to, detail::load_wide<W>(to) + detail::load_wide<W>(x + begin + k));
    });
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

/// Values over threads; what belongs to a register's worth of them stays there while the copies go by.
template <class T>
template <class D>
void Elementwise<T>::broadcast_backward(Context& ctx, D* dx, const T* dy, Index part, Index copies) {
  if (copies == 0) return;
  ctx.split_blocks(part, copies, [=](Index begin, Index end) {
    const auto gather = [=]<Index W>(Index k) {
      detail::WideLanes<T, W> sum = detail::load_wide<W>(dy + k);
      for (Index i = 1; i < copies; ++i) sum += detail::load_wide<W>(dy + i * part + k);
      detail::store_narrow<W>(dx + k, detail::load_wide<W>(dx + k) + sum);
    };
    detail::in_blocks<detail::lanes<Sum>>(end, gather, begin);
  });
}

template <class T>
void Elementwise<T>::add_rows(Sum* sums, const T* rows, Index first, Index last, Index C) {
  for (Index r = first; r < last; ++r)
    detail::each_wide<T>(C, [=]<Index W>(Index c) {
      using V = detail::WideLanes<T, W>;
      detail::store(sums + c, static_cast<V>(detail::load<V>(sums + c) + detail::load_wide<W>(rows + r * C + c)));
    });
}

template <class T>
void Elementwise<T>::mean(Context& ctx, T* y, const T* x, Index groups, Index k, Index C) {
  detail::sum_row_groups<Sum>(
      ctx, groups, k, C, C, [=](Sum* sums, Index, Index first, Index last) { add_rows(sums, x, first, last, C); },
      [=](Index g, const Sum* sums) {
        detail::each_wide<T>(C, [=]<Index W>(Index c) {
          detail::store_narrow<W>(y + g * C + c, detail::load_wide<W>(sums + c) / static_cast<Sum>(k));
        });
      });
}

template <class T>
void Elementwise<T>::mean_backward(Context& ctx, T* dx, const T* dy, Index groups, Index k, Index C) {
  ctx.split(groups * k, C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r)
      detail::each_wide<T>(C, [=]<Index W>(Index c) {
        detail::store_narrow<W>(dx + r * C + c, detail::load_wide<W>(dy + r / k * C + c) / static_cast<Sum>(k));
      });
  });
}

template <class T>
void Elementwise<T>::grid_sum(Context& ctx, T* y, const T* inner, const T* outer, Index groups, Index k, Index C) {
  ctx.split(groups * k, C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r)
      detail::each_wide<T>(C, [=]<Index W>(Index c) {
        detail::store_narrow<W>(y + r * C + c,
                                detail::load_wide<W>(inner + r % k * C + c) + detail::load_wide<W>(outer + r / k * C + c));
      });
  });
}

template <class T>
void Elementwise<T>::grid_sum_outer(Context& ctx, Sum* douter, const T* dy, Index groups, Index k, Index C) {
  detail::sum_row_groups<Sum>(
      ctx, groups, k, C, C, [=](Sum* sums, Index, Index first, Index last) { add_rows(sums, dy, first, last, C); },
      [=](Index g, const Sum* sums) {
        for (Index c = 0; c < C; ++c) douter[g * C + c] += sums[c];
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
  requires(detail::one_type<decltype(dx), decltype(dy)> || detail::summed_as<decltype(dy), decltype(dx)>)
{
  detail::check_contiguous(dx, dy);
  static_assert(detail::SameWidth<dx.width, dy.width>::value == dx.width);
  if (!dx.data) return;
  detail::check_copies("broadcast rows backward", dy.size(), dx.size());
  kernel::Elementwise<value_of<decltype(dy)>>::broadcast_backward(ctx, dx.data, dy.data, dx.size(), dy.size() / dx.size());
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

/// ops/elementwise.hpp's, on all threads.
void grid_sum_forward(Context& ctx, auto y, auto inner, auto outer)
  requires detail::one_type<decltype(y), decltype(inner), decltype(outer)>
{
  detail::check_contiguous(y, inner, outer);
  constexpr Index C = detail::SameWidth<y.width, inner.width, outer.width>::value;
  detail::check_grid_sum("grid sum", y, inner.rows(), outer.rows());
  kernel::Elementwise<value_of<decltype(y)>>::grid_sum(ctx, y.data, inner.data, outer.data, outer.rows(), inner.rows(), C);
}

/// ops/elementwise.hpp's, on all threads.
void grid_sum_backward(Context& ctx, auto dinner /* += */, auto douter /* += */, auto dy)
  requires detail::summed_as<decltype(dy), decltype(dinner), decltype(douter)>
{
  detail::check_contiguous(dinner, douter, dy);
  constexpr Index C = detail::SameWidth<dy.width, dinner.width, douter.width>::value;
  const Index G = douter.rows(), K = dinner.rows();
  detail::check_grid_sum("grid sum backward", dy, K, G);
  using Kernel = kernel::Elementwise<value_of<decltype(dy)>>;
  Kernel::broadcast_backward(ctx, dinner.data, dy.data, K * C, G);
  Kernel::grid_sum_outer(ctx, douter.data, dy.data, G, K, C);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
