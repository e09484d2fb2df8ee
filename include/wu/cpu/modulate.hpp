// Adaptive modulation on the CPU: forward by rows; backward by groups and blocks of columns, whose sums stay in registers
// while the group's rows go by.
#pragma once

#include "wu/cpu/elementwise.hpp"
#include "wu/ops/modulate.hpp"

namespace wu::cpu {

void modulate_forward(Context& ctx, auto y, auto x, auto shift, auto scale) {
  detail::check_contiguous(y, x);
  constexpr Index C = detail::SameWidth<detail::SameWidth<x.width, y.width>::value,
                                        detail::SameWidth<shift.width, scale.width>::value>::value;
  using Sum = sum_of<decltype(x)>;
  check_rows("modulate", x, y);
  check_rows("modulate", shift, scale);
  const Index k = detail::group_rows("modulate", x.rows(), scale.rows());
  ctx.split(x.rows(), C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const auto* const in = x.data + r * C;
      auto* const out = y.data + r * C;
      const auto* const by = scale.row(r / k);
      const auto* const to = shift.row(r / k);
      for (Index c = 0; c < C; ++c) out[c] = static_cast<value_of<decltype(y)>>(Sum(in[c]) * (1 + Sum(by[c])) + Sum(to[c]));
    }
  });
}

void modulate_backward(Context& ctx, auto dx /* = */, auto dshift /* = */, auto dscale /* = */, auto dy, auto x,
                       auto scale) {
  detail::check_contiguous(dx, dy, x);
  constexpr Index C =
      detail::SameWidth<detail::SameWidth<x.width, dy.width>::value, detail::SameWidth<dx.width, scale.width>::value>::value;
  static_assert(detail::SameWidth<detail::SameWidth<dshift.width, dscale.width>::value, C>::value == C);
  using Sum = sum_of<decltype(x)>;
  check_rows("modulate backward", x, dy);
  if (dx.data) check_rows("modulate backward", x, dx);
  if (dshift.data) check_rows("modulate backward", scale, dshift);
  if (dscale.data) check_rows("modulate backward", scale, dscale);
  const Index groups = scale.rows(), k = detail::group_rows("modulate backward", x.rows(), groups);
  detail::split_columns<C, Sum>(ctx, groups, k, [=](Index g, Index from, auto few) {
    Sum sum[few] = {}, along[few] = {}, factor[few];
    for (Index j = 0; j < few; ++j) factor[j] = 1 + Sum(scale.row(g)[from + j]);
    for (Index r = g * k; r < (g + 1) * k; ++r) {
      const auto* const d = dy.data + r * C + from;
      const auto* const in = x.data + r * C + from;
      for (Index j = 0; j < few; ++j) sum[j] += Sum(d[j]), along[j] += Sum(d[j]) * Sum(in[j]);
      if (!dx.data) continue;
      auto* const out = dx.data + r * C + from;
      for (Index j = 0; j < few; ++j) out[j] = static_cast<value_of<decltype(dx)>>(Sum(d[j]) * factor[j]);
    }
    if (dshift.data)
      for (Index j = 0; j < few; ++j) dshift.row(g)[from + j] = static_cast<value_of<decltype(dshift)>>(sum[j]);
    if (dscale.data)
      for (Index j = 0; j < few; ++j) dscale.row(g)[from + j] = static_cast<value_of<decltype(dscale)>>(along[j]);
  });
}

void gated_add_forward(Context& ctx, auto y /* += */, auto h, auto gate) {
  detail::check_contiguous(y, h);
  constexpr Index C = detail::SameWidth<detail::SameWidth<h.width, y.width>::value, gate.width>::value;
  using Sum = sum_of<decltype(h)>;
  check_rows("gated add", h, y);
  const Index k = detail::group_rows("gated add", h.rows(), gate.rows());
  ctx.split(h.rows(), C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const auto* const in = h.data + r * C;
      auto* const out = y.data + r * C;
      const auto* const by = gate.row(r / k);
      for (Index c = 0; c < C; ++c) out[c] = static_cast<value_of<decltype(y)>>(Sum(out[c]) + Sum(by[c]) * Sum(in[c]));
    }
  });
}

void gated_add_backward(Context& ctx, auto dh /* = */, auto dgate /* = */, auto dy, auto h, auto gate) {
  detail::check_contiguous(dh, dy, h);
  constexpr Index C =
      detail::SameWidth<detail::SameWidth<h.width, dy.width>::value, detail::SameWidth<dh.width, gate.width>::value>::value;
  static_assert(detail::SameWidth<dgate.width, C>::value == C);
  using Sum = sum_of<decltype(h)>;
  check_rows("gated add backward", h, dy);
  if (dh.data) check_rows("gated add backward", h, dh);
  if (dgate.data) check_rows("gated add backward", gate, dgate);
  const Index groups = gate.rows(), k = detail::group_rows("gated add backward", h.rows(), groups);
  detail::split_columns<C, Sum>(ctx, groups, k, [=](Index g, Index from, auto few) {
    Sum along[few] = {}, factor[few];
    for (Index j = 0; j < few; ++j) factor[j] = Sum(gate.row(g)[from + j]);
    for (Index r = g * k; r < (g + 1) * k; ++r) {
      const auto* const d = dy.data + r * C + from;
      const auto* const in = h.data + r * C + from;
      for (Index j = 0; j < few; ++j) along[j] += Sum(d[j]) * Sum(in[j]);
      if (!dh.data) continue;
      auto* const out = dh.data + r * C + from;
      for (Index j = 0; j < few; ++j) out[j] = static_cast<value_of<decltype(dh)>>(Sum(d[j]) * factor[j]);
    }
    if (dgate.data)
      for (Index j = 0; j < few; ++j) dgate.row(g)[from + j] = static_cast<value_of<decltype(dgate)>>(along[j]);
  });
}

}  // namespace wu::cpu
