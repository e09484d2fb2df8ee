// Layer norm on the CPU: rows over threads; the gradients of gain and bias are summed down the columns.
#pragma once

#include <cmath>

#include "wu/cpu/elementwise.hpp"
#include "wu/ops/layer_norm.hpp"

namespace wu::cpu {

void layer_norm_forward(Context& ctx, auto y, auto mean, auto inv_std, auto x, auto gain, auto bias, double eps = 1e-6) {
  detail::check_contiguous(y, mean, inv_std, x, gain, bias);
  constexpr Index C =
      detail::SameWidth<detail::SameWidth<x.width, y.width>::value, detail::SameWidth<gain.width, bias.width>::value>::value;
  using Sum = sum_of<decltype(x)>;
  using Out = value_of<decltype(y)>;
  check_rows("layer norm", x, y);
  detail::check_sizes("layer norm, mean", x.rows(), mean.size());
  detail::check_sizes("layer norm, inv_std", x.rows(), inv_std.size());
  ctx.split(x.rows(), C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const auto* const in = x.data + r * C;
      auto* const out = y.data + r * C;
      const Sum centre = detail::lane_sum<Sum>(C, [in](Index c) { return Sum(in[c]); }) / static_cast<Sum>(C);
      const Sum squares =
          detail::lane_sum<Sum>(C, [in, centre](Index c) { return (Sum(in[c]) - centre) * (Sum(in[c]) - centre); });
      const Sum inverse = 1 / std::sqrt(squares / static_cast<Sum>(C) + static_cast<Sum>(eps));
      mean.data[r] = static_cast<value_of<decltype(mean)>>(centre);
      inv_std.data[r] = static_cast<value_of<decltype(inv_std)>>(inverse);
      if (!gain.data && !bias.data)
        for (Index c = 0; c < C; ++c) out[c] = static_cast<Out>((Sum(in[c]) - centre) * inverse);
      else if (gain.data && bias.data)
        for (Index c = 0; c < C; ++c)
          out[c] = static_cast<Out>((Sum(in[c]) - centre) * inverse * Sum(gain.data[c]) + Sum(bias.data[c]));
      else
        for (Index c = 0; c < C; ++c)
          out[c] = static_cast<Out>((Sum(in[c]) - centre) * inverse * (gain.data ? Sum(gain.data[c]) : Sum(1)) +
                                    (bias.data ? Sum(bias.data[c]) : Sum(0)));
    }
  });
}

void layer_norm_backward(Context& ctx, auto dx /* = */, auto dgain /* += */, auto dbias /* += */, auto dy, auto x, auto mean,
                         auto inv_std, auto gain) {
  detail::check_contiguous(dx, dgain, dbias, dy, x, mean, inv_std, gain);
  constexpr Index C =
      detail::SameWidth<detail::SameWidth<x.width, dy.width>::value, detail::SameWidth<gain.width, dx.width>::value>::value;
  static_assert(detail::SameWidth<detail::SameWidth<dgain.width, dbias.width>::value, C>::value == C);
  using Sum = sum_of<decltype(x)>;
  check_rows("layer norm backward", x, dy);
  if (dx.data) check_rows("layer norm backward", x, dx);
  detail::check_sizes("layer norm backward, mean", x.rows(), mean.size());
  detail::check_sizes("layer norm backward, inv_std", x.rows(), inv_std.size());
  const Index rows = x.rows();
  if (dgain.data || dbias.data)
    detail::split_columns<C, Sum>(ctx, 1, rows, [=](Index, Index from, auto few) {
      Sum along[few] = {}, sum[few] = {};
      for (Index r = 0; r < rows; ++r) {
        const auto* const g = dy.data + r * C + from;
        const auto* const in = x.data + r * C + from;
        const Sum centre = static_cast<Sum>(mean.data[r]), inverse = static_cast<Sum>(inv_std.data[r]);
        for (Index j = 0; j < few; ++j) along[j] += Sum(g[j]) * ((Sum(in[j]) - centre) * inverse), sum[j] += Sum(g[j]);
      }
      if (dgain.data)
        for (Index j = 0; j < few; ++j) dgain.data[from + j] += along[j];
      if (dbias.data)
        for (Index j = 0; j < few; ++j) dbias.data[from + j] += sum[j];
    });
  if (!dx.data) return;
  auto rows_of_dx = [&](auto h) {  // h(g, c) = dy * gain
    ctx.split(rows, C, [=](int, Index begin, Index end) {
      for (Index r = begin; r < end; ++r) {
        const auto* const g = dy.data + r * C;
        const auto* const in = x.data + r * C;
        auto* const out = dx.data + r * C;
        const Sum centre = static_cast<Sum>(mean.data[r]), inverse = static_cast<Sum>(inv_std.data[r]);
        const Sum level = detail::lane_sum<Sum>(C, [=](Index c) { return h(g, c); }) / static_cast<Sum>(C);
        const Sum along = detail::lane_sum<Sum>(C, [=](Index c) { return h(g, c) * (Sum(in[c]) - centre); });
        const Sum back = along * inverse * inverse / static_cast<Sum>(C);
        for (Index c = 0; c < C; ++c)
          out[c] = static_cast<value_of<decltype(dx)>>(inverse * (h(g, c) - level - (Sum(in[c]) - centre) * back));
      }
    });
  };
  if (gain.data) rows_of_dx([scale = gain.data](const auto* g, Index c) { return Sum(g[c]) * Sum(scale[c]); });
  else rows_of_dx([](const auto* g, Index c) { return Sum(g[c]); });
}

}  // namespace wu::cpu
