// RMS norm on the CPU: rows over threads; the gradient of the gain is summed down the columns.
#pragma once

#include <cmath>

#include "wu/cpu/elementwise.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/rms_norm.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
/// On rows of C values; null: a gradient that is not wanted.
template <class T>
struct RMSNorm {
  using Sum = accumulator_t<T>;
  static void forward(Context& ctx, T* y, Sum* inv_rms, const T* x, const T* gain, Index rows, Index C, Sum eps);
  static void backward(Context& ctx, T* dx, T* dgain, const T* dy, const T* x, const Sum* inv_rms, const T* gain, Index rows,
                       Index C);
};

template <class T>
void RMSNorm<T>::forward(Context& ctx, T* y, Sum* inv_rms, const T* x, const T* gain, Index rows, Index C, Sum eps) {
  ctx.split(rows, C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const T* const in = x + r * C;
      T* const out = y + r * C;
      const Sum squares = detail::lane_sum<Sum>(C, [in](Index c) { return Sum(in[c]) * Sum(in[c]); });
      const Sum inverse = 1 / std::sqrt(squares / static_cast<Sum>(C) + eps);
      inv_rms[r] = inverse;
      for (Index c = 0; c < C; ++c) out[c] = static_cast<T>(Sum(in[c]) * inverse * Sum(gain[c]));
    }
  });
}

template <class T>
void RMSNorm<T>::backward(Context& ctx, T* dx, T* dgain, const T* dy, const T* x, const Sum* inv_rms, const T* gain,
                          Index rows, Index C) {
  if (dgain)
    detail::split_columns<Sum>(ctx, C, 1, rows, [=](Index, Index from, auto few) {
      Sum sum[detail::side_by_side<Sum>] = {};
      for (Index r = 0; r < rows; ++r) {
        const T *const g = dy + r * C + from, *const in = x + r * C + from;
        const Sum inverse = inv_rms[r];
        for (Index j = 0; j < few; ++j) sum[j] += Sum(g[j]) * (Sum(in[j]) * inverse);
      }
      for (Index j = 0; j < few; ++j) dgain[from + j] = static_cast<T>(Sum(dgain[from + j]) + sum[j]);
    });
  if (dx)
    ctx.split(rows, C, [=](int, Index begin, Index end) {
      for (Index r = begin; r < end; ++r) {
        const T *const g = dy + r * C, *const in = x + r * C;
        T* const out = dx + r * C;
        const Sum inverse = inv_rms[r];
        const Sum along = detail::lane_sum<Sum>(C, [=](Index c) { return Sum(g[c]) * Sum(gain[c]) * Sum(in[c]); });
        const Sum back = along * inverse * inverse / static_cast<Sum>(C);
        for (Index c = 0; c < C; ++c) out[c] = static_cast<T>(inverse * (Sum(g[c]) * Sum(gain[c]) - Sum(in[c]) * back));
      }
    });
}
}  // namespace kernel

/// ops/rms_norm.hpp's, on all threads.
void rms_norm_forward(Context& ctx, auto y, auto inv_rms, auto x, auto gain, double eps = 1e-6)
  requires detail::one_type<decltype(y), decltype(x), decltype(gain)> &&
           std::is_same_v<value_of<decltype(inv_rms)>, sum_of<decltype(x)>>
{
  detail::check_contiguous(y, inv_rms, x, gain);
  constexpr Index C = detail::SameWidth<x.width, y.width, gain.width>::value;
  check_rows("rms norm", x, y);
  detail::check_sizes("rms norm, inv_rms", x.rows(), inv_rms.size());
  kernel::RMSNorm<value_of<decltype(x)>>::forward(ctx, y.data, inv_rms.data, x.data, gain.data, x.rows(), C,
                                                  static_cast<sum_of<decltype(x)>>(eps));
}

/// ops/rms_norm.hpp's, on all threads.
void rms_norm_backward(Context& ctx, auto dx /* = */, auto dgain /* += */, auto dy, auto x, auto inv_rms, auto gain)
  requires detail::one_type<decltype(dx), decltype(dgain), decltype(dy), decltype(x), decltype(gain)> &&
           std::is_same_v<value_of<decltype(inv_rms)>, sum_of<decltype(x)>>
{
  detail::check_contiguous(dx, dgain, dy, x, inv_rms, gain);
  constexpr Index C = detail::SameWidth<x.width, dy.width, gain.width, dx.width, dgain.width>::value;
  check_rows("rms norm backward", x, dy);
  if (dx.data) check_rows("rms norm backward", x, dx);
  detail::check_sizes("rms norm backward, inv_rms", x.rows(), inv_rms.size());
  kernel::RMSNorm<value_of<decltype(x)>>::backward(ctx, dx.data, dgain.data, dy.data, x.data, inv_rms.data, gain.data,
                                                   x.rows(), C);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
