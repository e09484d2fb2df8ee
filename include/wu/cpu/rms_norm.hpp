// RMS norm on the CPU, by cpu/norm.hpp.
#pragma once

#include "wu/cpu/norm.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/rms_norm.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
void rms_norm_backward(Context& ctx, auto dx, bool add, auto dgain, auto dy, auto x, auto inv_rms, auto gain) {
  check_contiguous(dx, dgain, dy, x, inv_rms, gain);
  constexpr Index C = SameWidth<x.width, dy.width, gain.width, dx.width, dgain.width>::value;
  check_rms_norm_backward(dx, dy, x, inv_rms);
  kernel::Norm<value_of<decltype(x)>, false>::backward(ctx, dx.data, add, dgain.data, nullptr, dy.data, x.data, nullptr,
                                                       inv_rms.data, gain.data, x.rows(), C);
}
}  // namespace detail

/// ops/rms_norm.hpp's, on all threads.
void rms_norm_forward(Context& ctx, auto y, auto inv_rms, auto x, auto gain, double eps = 1e-6)
  requires detail::one_type<decltype(y), decltype(x), decltype(gain)> && detail::summed_as<decltype(x), decltype(inv_rms)>
{
  detail::check_contiguous(y, inv_rms, x, gain);
  constexpr Index C = detail::SameWidth<x.width, y.width, gain.width>::value;
  using T = value_of<decltype(x)>;
  check_rows("rms norm", x, y);
  detail::check_sizes("rms norm, inv_rms", x.rows(), inv_rms.size());
  kernel::Norm<T, false>::forward(ctx, y.data, nullptr, inv_rms.data, x.data, gain.data, nullptr, x.rows(), C,
                                  static_cast<accumulator_t<T>>(eps));
}

/// ops/rms_norm.hpp's, on all threads.
void rms_norm_backward(Context& ctx, auto dx /* = */, auto dgain /* += */, auto dy, auto x, auto inv_rms, auto gain)
  requires detail::one_type<decltype(dx), decltype(dy), decltype(x), decltype(gain)> &&
           detail::summed_as<decltype(x), decltype(dgain), decltype(inv_rms)>
{
  detail::rms_norm_backward(ctx, dx, false, dgain, dy, x, inv_rms, gain);
}

/// ops/rms_norm.hpp's, on all threads.
void rms_norm_backward_add(Context& ctx, auto dx /* += */, auto dgain /* += */, auto dy, auto x, auto inv_rms, auto gain)
  requires detail::one_type<decltype(dx), decltype(dy), decltype(x), decltype(gain)> &&
           detail::summed_as<decltype(x), decltype(dgain), decltype(inv_rms)>
{
  detail::rms_norm_backward(ctx, dx, true, dgain, dy, x, inv_rms, gain);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
