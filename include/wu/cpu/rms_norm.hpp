// RMS norm on the CPU: rows over threads; the gradient of the gain is summed down the columns.
#pragma once

#include <cmath>

#include "wu/cpu/elementwise.hpp"
#include "wu/ops/rms_norm.hpp"

namespace wu::cpu {

void rms_norm_forward(Context& ctx, auto y, auto inv_rms, auto x, auto gain, double eps = 1e-6) {
  detail::check_contiguous(y, inv_rms, x, gain);
  constexpr Index C = detail::SameWidth<detail::SameWidth<x.width, y.width>::value, gain.width>::value;
  using Sum = sum_of<decltype(x)>;
  check_rows("rms norm", x, y);
  detail::check_sizes("rms norm, inv_rms", x.rows(), inv_rms.size());
  ctx.split(x.rows(), C, [=](int, Index begin, Index end) {
    const auto* const scale = gain.data;
    for (Index r = begin; r < end; ++r) {
      const auto* const in = x.data + r * C;
      auto* const out = y.data + r * C;
      const Sum squares = detail::lane_sum<Sum>(C, [in](Index c) { return Sum(in[c]) * Sum(in[c]); });
      const Sum inverse = 1 / std::sqrt(squares / static_cast<Sum>(C) + static_cast<Sum>(eps));
      inv_rms.data[r] = static_cast<value_of<decltype(inv_rms)>>(inverse);
      for (Index c = 0; c < C; ++c) out[c] = static_cast<value_of<decltype(y)>>(Sum(in[c]) * inverse * Sum(scale[c]));
    }
  });
}

void rms_norm_backward(Context& ctx, auto dx /* = */, auto dgain /* += */, auto dy, auto x, auto inv_rms, auto gain) {
  detail::check_contiguous(dx, dgain, dy, x, inv_rms, gain);
  constexpr Index C = detail::SameWidth<detail::SameWidth<x.width, dy.width>::value, gain.width>::value;
  static_assert(detail::SameWidth<detail::SameWidth<dx.width, dgain.width>::value, C>::value == C);
  using Sum = sum_of<decltype(x)>;
  check_rows("rms norm backward", x, dy);
  if (dx.data) check_rows("rms norm backward", x, dx);
  detail::check_sizes("rms norm backward, inv_rms", x.rows(), inv_rms.size());
  const Index rows = x.rows();
  if (dgain.data)
    detail::split_columns<C, Sum>(ctx, 1, rows, [=](Index, Index from, auto few) {
      Sum sum[few] = {};
      for (Index r = 0; r < rows; ++r) {
        const auto* const g = dy.data + r * C + from;
        const auto* const in = x.data + r * C + from;
        const Sum inverse = static_cast<Sum>(inv_rms.data[r]);
        for (Index j = 0; j < few; ++j) sum[j] += Sum(g[j]) * (Sum(in[j]) * inverse);
      }
      for (Index j = 0; j < few; ++j) dgain.data[from + j] += sum[j];
    });
  if (dx.data)
    ctx.split(rows, C, [=](int, Index begin, Index end) {
      const auto* const scale = gain.data;
      for (Index r = begin; r < end; ++r) {
        const auto* const g = dy.data + r * C;
        const auto* const in = x.data + r * C;
        auto* const out = dx.data + r * C;
        const Sum inverse = static_cast<Sum>(inv_rms.data[r]);
        const Sum along = detail::lane_sum<Sum>(C, [=](Index c) { return Sum(g[c]) * Sum(scale[c]) * Sum(in[c]); });
        const Sum back = along * inverse * inverse / static_cast<Sum>(C);
        for (Index c = 0; c < C; ++c)
          out[c] = static_cast<value_of<decltype(dx)>>(inverse * (Sum(g[c]) * Sum(scale[c]) - Sum(in[c]) * back));
      }
    });
}

}  // namespace wu::cpu
