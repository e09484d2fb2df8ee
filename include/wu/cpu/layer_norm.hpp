// Layer norm on the CPU: rows over threads; the gradients of gain and bias are summed down the columns.
#pragma once

#include <cmath>

#include "wu/cpu/elementwise.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/layer_norm.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
/// On rows of C values. gain and bias may be null, and so may gradients that are not wanted.
template <class T>
struct LayerNorm {
  using Sum = accumulator_t<T>;
  static void forward(Context& ctx, T* y, Sum* mean, Sum* inv_std, const T* x, const T* gain, const T* bias, Index rows,
                      Index C, Sum eps);
  static void backward(Context& ctx, T* dx, T* dgain, T* dbias, const T* dy, const T* x, const Sum* mean, const Sum* inv_std,
                       const T* gain, Index rows, Index C);
};

template <class T>
void LayerNorm<T>::forward(Context& ctx, T* y, Sum* mean, Sum* inv_std, const T* x, const T* gain, const T* bias, Index rows,
                           Index C, Sum eps) {
  ctx.split(rows, C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const T* const in = x + r * C;
      T* const out = y + r * C;
      const Sum centre = detail::lane_sum<Sum>(C, [in](Index c) { return Sum(in[c]); }) / static_cast<Sum>(C);
      const Sum squares =
          detail::lane_sum<Sum>(C, [in, centre](Index c) { return (Sum(in[c]) - centre) * (Sum(in[c]) - centre); });
      const Sum inverse = 1 / std::sqrt(squares / static_cast<Sum>(C) + eps);
      mean[r] = centre;
      inv_std[r] = inverse;
      if (!gain && !bias)
        for (Index c = 0; c < C; ++c) out[c] = static_cast<T>((Sum(in[c]) - centre) * inverse);
      else if (gain && bias)
        for (Index c = 0; c < C; ++c) out[c] = static_cast<T>((Sum(in[c]) - centre) * inverse * Sum(gain[c]) + Sum(bias[c]));
      else
        for (Index c = 0; c < C; ++c)
          out[c] = static_cast<T>((Sum(in[c]) - centre) * inverse * (gain ? Sum(gain[c]) : Sum(1)) +
                                  (bias ? Sum(bias[c]) : Sum(0)));
    }
  });
}

template <class T>
void LayerNorm<T>::backward(Context& ctx, T* dx, T* dgain, T* dbias, const T* dy, const T* x, const Sum* mean,
                            const Sum* inv_std, const T* gain, Index rows, Index C) {
  if (dgain || dbias)
    detail::split_columns<Sum>(ctx, C, 1, rows, [=](Index, Index from, auto few) {
      Sum along[detail::side_by_side<Sum>] = {}, sum[detail::side_by_side<Sum>] = {};
      for (Index r = 0; r < rows; ++r) {
        const T *const g = dy + r * C + from, *const in = x + r * C + from;
        const Sum centre = mean[r], inverse = inv_std[r];
        for (Index j = 0; j < few; ++j) along[j] += Sum(g[j]) * ((Sum(in[j]) - centre) * inverse), sum[j] += Sum(g[j]);
      }
      for (Index j = 0; j < few && dgain; ++j) dgain[from + j] = static_cast<T>(Sum(dgain[from + j]) + along[j]);
      for (Index j = 0; j < few && dbias; ++j) dbias[from + j] = static_cast<T>(Sum(dbias[from + j]) + sum[j]);
    });
  if (!dx) return;
  auto rows_of_dx = [&](auto h) {  // h(g, c) = dy * gain
    ctx.split(rows, C, [=](int, Index begin, Index end) {
      for (Index r = begin; r < end; ++r) {
        const T *const g = dy + r * C, *const in = x + r * C;
        T* const out = dx + r * C;
        const Sum centre = mean[r], inverse = inv_std[r];
        const Sum level = detail::lane_sum<Sum>(C, [=](Index c) { return h(g, c); }) / static_cast<Sum>(C);
        const Sum along = detail::lane_sum<Sum>(C, [=](Index c) { return h(g, c) * (Sum(in[c]) - centre); });
        const Sum back = along * inverse * inverse / static_cast<Sum>(C);
        for (Index c = 0; c < C; ++c) out[c] = static_cast<T>(inverse * (h(g, c) - level - (Sum(in[c]) - centre) * back));
      }
    });
  };
  if (gain) rows_of_dx([gain](const T* g, Index c) { return Sum(g[c]) * Sum(gain[c]); });
  else rows_of_dx([](const T* g, Index c) { return Sum(g[c]); });
}
}  // namespace kernel

/// ops/layer_norm.hpp's, on all threads.
void layer_norm_forward(Context& ctx, auto y, auto mean, auto inv_std, auto x, auto gain, auto bias, double eps = 1e-6)
  requires detail::one_type<decltype(y), decltype(x), decltype(gain), decltype(bias)> &&
           std::is_same_v<value_of<decltype(mean)>, sum_of<decltype(x)>> &&
           std::is_same_v<value_of<decltype(inv_std)>, sum_of<decltype(x)>>
{
  detail::check_contiguous(y, mean, inv_std, x, gain, bias);
  constexpr Index C = detail::SameWidth<x.width, y.width, gain.width, bias.width>::value;
  check_rows("layer norm", x, y);
  detail::check_sizes("layer norm, mean", x.rows(), mean.size());
  detail::check_sizes("layer norm, inv_std", x.rows(), inv_std.size());
  kernel::LayerNorm<value_of<decltype(x)>>::forward(ctx, y.data, mean.data, inv_std.data, x.data, gain.data, bias.data,
                                                    x.rows(), C, static_cast<sum_of<decltype(x)>>(eps));
}

/// ops/layer_norm.hpp's, on all threads.
void layer_norm_backward(Context& ctx, auto dx /* = */, auto dgain /* += */, auto dbias /* += */, auto dy, auto x, auto mean,
                         auto inv_std, auto gain)
  requires detail::one_type<decltype(dx), decltype(dgain), decltype(dbias), decltype(dy), decltype(x), decltype(gain)> &&
           std::is_same_v<value_of<decltype(mean)>, sum_of<decltype(x)>> &&
           std::is_same_v<value_of<decltype(inv_std)>, sum_of<decltype(x)>>
{
  detail::check_contiguous(dx, dgain, dbias, dy, x, mean, inv_std, gain);
  constexpr Index C = detail::SameWidth<x.width, dy.width, gain.width, dx.width, dgain.width, dbias.width>::value;
  check_rows("layer norm backward", x, dy);
  if (dx.data) check_rows("layer norm backward", x, dx);
  detail::check_sizes("layer norm backward, mean", x.rows(), mean.size());
  detail::check_sizes("layer norm backward, inv_std", x.rows(), inv_std.size());
  kernel::LayerNorm<value_of<decltype(x)>>::backward(ctx, dx.data, dgain.data, dbias.data, dy.data, x.data, mean.data,
                                                     inv_std.data, gain.data, x.rows(), C);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
