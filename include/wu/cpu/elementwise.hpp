// Sums, copies and broadcasts on the CPU: memory's speed, on all threads. Also the two kinds of sums that the norms and
// modulations share: along a row and down the columns, both with an order that does not depend on the number of threads.
#pragma once

#include <algorithm>
#include <type_traits>

#include "wu/cpu/context.hpp"
#include "wu/ops/elementwise.hpp"

namespace wu::cpu {

namespace detail {
using namespace wu::detail;

/// How many values of S are summed side by side along a row.
template <class S>
inline constexpr Index side_by_side = static_cast<Index>(128 / sizeof(S));

/// Sum of term(c) over c = 0 .. count-1: partial sums side by side, which the compiler keeps in vector registers, then halved.
template <class S>
inline S lane_sum(Index count, auto&& term) {
  constexpr Index L = side_by_side<S>;
  S part[L] = {};
  Index c = 0;
  for (; c + L <= count; c += L)
    for (Index j = 0; j < L; ++j) part[j] += term(c + j);
  for (Index j = 0; c + j < count; ++j) part[j] += term(c + j);
  for (Index half = L / 2; half > 0; half /= 2)
    for (Index j = 0; j < half; ++j) part[j] += part[j + half];
  return part[0];
}

/// Cuts the columns 0 .. C-1 of `groups` groups of rows into blocks that fit into registers and calls
/// block(group, first column, std::integral_constant<Index, columns>) for each, on all threads.
template <Index C, class S, class Block>
void split_columns(Context& ctx, Index groups, Index work_per_column, Block&& block) {
  constexpr Index W = side_by_side<S>, blocks = (C + W - 1) / W;
  ctx.split(groups * blocks, work_per_column * std::min(C, W), [&](int, Index begin, Index end) {
    for (Index item = begin; item < end; ++item) {
      const Index group = item / blocks, from = item % blocks * W;
      if constexpr (C % W != 0) {
        if (from + W > C) {
          block(group, from, std::integral_constant<Index, C % W>{});
          continue;
        }
      }
      if constexpr (C >= W) block(group, from, std::integral_constant<Index, W>{});
    }
  });
}
}  // namespace detail

void add(Context& ctx, auto y /* += */, auto x) {
  detail::check_contiguous(y, x);
  static_assert(detail::SameWidth<x.width, y.width>::value == x.width);
  using Sum = sum_of<decltype(y)>;
  detail::check_sizes("add", y.size(), x.size());
  auto* const out = y.data;
  const auto* const in = x.data;
  ctx.split(x.size(), 1, [=](int, Index begin, Index end) {
    for (Index k = begin; k < end; ++k) out[k] = static_cast<value_of<decltype(y)>>(Sum(out[k]) + Sum(in[k]));
  });
}

void copy(Context& ctx, auto y, auto x) {
  detail::check_contiguous(y, x);
  static_assert(detail::SameWidth<x.width, y.width>::value == x.width);
  detail::check_sizes("copy", y.size(), x.size());
  ctx.split(x.size(), 1, [=](int, Index begin, Index end) {
    std::transform(x.data + begin, x.data + end, y.data + begin,
                   [](auto v) { return static_cast<value_of<decltype(y)>>(v); });
  });
}

void zero(Context& ctx, auto y) {
  detail::check_contiguous(y);
  ctx.split(y.size(), 1,
            [=](int, Index begin, Index end) { std::fill_n(y.data + begin, end - begin, value_of<decltype(y)>{}); });
}

void broadcast_rows_forward(Context& ctx, auto y, auto x) {
  detail::check_contiguous(y, x);
  constexpr Index C = detail::SameWidth<x.width, y.width>::value;
  const Index part = x.rows();
  detail::check_copies("broadcast rows", y.size(), x.size());
  ctx.split(y.rows(), C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r)
      std::transform(x.data + r % part * C, x.data + (r % part + 1) * C, y.data + r * C,
                     [](auto v) { return static_cast<value_of<decltype(y)>>(v); });
  });
}

void broadcast_rows_backward(Context& ctx, auto dx /* += */, auto dy)
  requires std::is_same_v<value_of<decltype(dx)>, sum_of<decltype(dx)>>
{
  detail::check_contiguous(dx, dy);
  static_assert(detail::SameWidth<dx.width, dy.width>::value == dx.width);
  if (!dx.data) return;
  detail::check_copies("broadcast rows backward", dy.size(), dx.size());
  const Index part = dx.size(), copies = dy.size() / part;
  ctx.split(part, copies, [=](int, Index begin, Index end) {
    for (Index i = 0; i < copies; ++i) {
      const auto* const g = dy.data + i * part;
      for (Index k = begin; k < end; ++k) dx.data[k] += g[k];
    }
  });
}

void mean_rows_forward(Context& ctx, auto y, auto x) {
  detail::check_contiguous(y, x);
  constexpr Index C = detail::SameWidth<x.width, y.width>::value;
  using Sum = sum_of<decltype(x)>;
  detail::check_copies("mean rows", x.rows(), y.rows());
  const Index groups = y.rows(), k = x.rows() / groups;
  detail::split_columns<C, Sum>(ctx, groups, k, [=](Index g, Index from, auto few) {
    Sum sum[few] = {};
    for (Index r = g * k; r < (g + 1) * k; ++r) {
      const auto* const in = x.data + r * C + from;
      for (Index j = 0; j < few; ++j) sum[j] += Sum(in[j]);
    }
    for (Index j = 0; j < few; ++j)
      y.data[g * C + from + j] = static_cast<value_of<decltype(y)>>(sum[j] / static_cast<Sum>(k));
  });
}

void mean_rows_backward(Context& ctx, auto dx /* = */, auto dy) {
  detail::check_contiguous(dx, dy);
  constexpr Index C = detail::SameWidth<dx.width, dy.width>::value;
  using Sum = sum_of<decltype(dy)>;
  if (!dx.data) return;
  detail::check_copies("mean rows backward", dx.rows(), dy.rows());
  const Index k = dx.rows() / dy.rows();
  ctx.split(dx.rows(), C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const auto* const g = dy.data + r / k * C;
      for (Index c = 0; c < C; ++c)
        dx.data[r * C + c] = static_cast<value_of<decltype(dx)>>(Sum(g[c]) / static_cast<Sum>(k));
    }
  });
}

}  // namespace wu::cpu
