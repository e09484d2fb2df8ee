// Layer norm on the CPU, by cpu/norm.hpp.
#pragma once

#include "wu/cpu/norm.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/layer_norm.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
void layer_norm_backward(Context& ctx, auto dx, bool add, auto dgain, auto dbias, auto dy, auto x, auto mean, auto inv_std,
                         auto gain) {
  check_contiguous(dx, dgain, dbias, dy, x, mean, inv_std, gain);
  constexpr Index C = SameWidth<x.width, dy.width, gain.width, dx.width, dgain.width, dbias.width>::value;
  check_layer_norm_backward(dx, dy, x, mean, inv_std);
  kernel::Norm<value_of<decltype(x)>, true>::backward(ctx, dx.data, add, dgain.data, dbias.data, dy.data, x.data, mean.data,
                                                      inv_std.data, gain.data, x.rows(), C);
}
}  // namespace detail

/// ops/layer_norm.hpp's, on all threads.
void layer_norm_forward(Context& ctx, auto y, auto mean, auto inv_std, auto x, auto gain, auto bias, double eps = 1e-6)
  requires detail::one_type<decltype(y), decltype(x), decltype(gain), decltype(bias)> &&
           detail::summed_as<decltype(x), decltype(mean), decltype(inv_std)>
{
  detail::check_contiguous(y, mean, inv_std, x, gain, bias);
  constexpr Index C = detail::SameWidth<x.width, y.width, gain.width, bias.width>::value;
  using T = value_of<decltype(x)>;
  check_rows("layer norm", x, y);
  detail::check_sizes("layer norm, mean", x.rows(), mean.size());
  detail::check_sizes("layer norm, inv_std", x.rows(), inv_std.size());
  kernel::Norm<T, true>::forward(ctx, y.data, mean.data, inv_std.data, x.data, gain.data, bias.data, x.rows(), C,
                                 static_cast<accumulator_t<T>>(eps));
}

/// ops/layer_norm.hpp's, on all threads.
void layer_norm_backward(Context& ctx, auto dx /* = */, auto dgain /* += */, auto dbias /* += */, auto dy, auto x, auto mean,
                         auto inv_std, auto gain)
  requires detail::one_type<decltype(dx), decltype(dy), decltype(x), decltype(gain)> &&
           detail::summed_as<decltype(x), decltype(dgain), decltype(dbias), decltype(mean), decltype(inv_std)>
{
  detail::layer_norm_backward(ctx, dx, false, dgain, dbias, dy, x, mean, inv_std, gain);
}

/// ops/layer_norm.hpp's, on all threads.
void layer_norm_backward_add(Context& ctx, auto dx /* += */, auto dgain /* += */, auto dbias /* += */, auto dy, auto x,
                             auto mean, auto inv_std, auto gain)
  requires detail::one_type<decltype(dx), decltype(dy), decltype(x), decltype(gain)> &&
           detail::summed_as<decltype(x), decltype(dgain), decltype(dbias), decltype(mean), decltype(inv_std)>
{
  detail::layer_norm_backward(ctx, dx, true, dgain, dbias, dy, x, mean, inv_std, gain);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
