// RMS norm and layer norm on the GPU, by cuda/kernels/norm.hpp.
#pragma once

#include "wu/cuda/column_sums.hpp"
#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/norm.hpp"
#include "wu/ops/layer_norm.hpp"
#include "wu/ops/rms_norm.hpp"

namespace wu::cuda {

namespace detail {
/// One block a row: wide rows get more threads.
inline Launch norm_launch(Index rows, Index width, int value_bytes) {
  return {.blocks = rows, .threads = width <= 256 ? 64 : width <= 2048 ? 128 : 256, .shared_bytes = warp_size * value_bytes};
}

template <bool Centred>
void norm_forward(Context& ctx, auto y, auto* mean, auto inverse, auto x, auto gain, const auto* bias, double eps) {
  using T = value_of<decltype(x)>;
  using Sum = accumulator_t<T>;
  ctx.run_blocks(
      kernel::NormForward<T, Centred>{y.data, mean, inverse.data, x.data, gain.data, bias, x.width, static_cast<Sum>(eps)},
      norm_launch(x.rows(), x.width, sizeof(Sum)));
}

template <bool Centred>
void norm_backward(Context& ctx, auto dx, bool add, auto* dgain, auto* dbias, auto dy, auto x, const auto* mean,
                   auto inverse, auto gain) {
  using T = value_of<decltype(x)>;
  using Sum = accumulator_t<T>;
  const kernel::NormTerms<T, Centred> terms{dy.data, x.data, mean, inverse.data, x.width};
  if constexpr (Centred) add_column_sums(ctx, {dgain, dbias}, terms, x.rows(), x.width);
  else add_column_sums(ctx, {dgain}, terms, x.rows(), x.width);
  if (dx.data)
    ctx.run_blocks(kernel::NormBackward<T, Centred>{dx.data, dy.data, x.data, gain.data, mean, inverse.data, x.width, add},
                   norm_launch(x.rows(), x.width, sizeof(Sum)));
}

void rms_norm_backward(Context& ctx, auto dx, bool add, auto dgain, auto dy, auto x, auto inv_rms, auto gain) {
  check_contiguous(dx, dgain, dy, x, inv_rms, gain);
  constexpr Index C = SameWidth<x.width, dy.width, gain.width, dx.width, dgain.width>::value;
  static_assert(C == x.width);
  using T = value_of<decltype(x)>;
  check_types<T>(dx, dy, gain);
  check_sums<T>(dgain, inv_rms);
  check_rms_norm_backward(dx, dy, x, inv_rms);
  const accumulator_t<T>* const no_mean = nullptr;
  accumulator_t<T>* const no_dbias = nullptr;
  norm_backward<false>(ctx, dx, add, dgain.data, no_dbias, dy, x, no_mean, inv_rms, gain);
}

void layer_norm_backward(Context& ctx, auto dx, bool add, auto dgain, auto dbias, auto dy, auto x, auto mean, auto inv_std,
                         auto gain) {
  check_contiguous(dx, dgain, dbias, dy, x, mean, inv_std, gain);
  constexpr Index C = SameWidth<x.width, dy.width, gain.width, dx.width, dgain.width, dbias.width>::value;
  static_assert(C == x.width);
  using T = value_of<decltype(x)>;
  check_types<T>(dx, dy, gain);
  check_sums<T>(dgain, dbias, mean, inv_std);
  check_layer_norm_backward(dx, dy, x, mean, inv_std);
  norm_backward<true>(ctx, dx, add, dgain.data, dbias.data, dy, x, mean.data, inv_std, gain);
}
}  // namespace detail

/// ops/rms_norm.hpp's.
void rms_norm_forward(Context& ctx, auto y, auto inv_rms, auto x, auto gain, double eps = 1e-6) {
  detail::check_contiguous(y, inv_rms, x, gain);
  constexpr Index C = detail::SameWidth<x.width, y.width, gain.width>::value;
  static_assert(C == x.width);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y, gain);
  detail::check_sums<T>(inv_rms);
  check_rows("rms norm", x, y);
  detail::check_sizes("rms norm, inv_rms", x.rows(), inv_rms.size());
  accumulator_t<T>* const no_mean = nullptr;
  const T* const no_bias = nullptr;
  detail::norm_forward<false>(ctx, y, no_mean, inv_rms, x, gain, no_bias, eps);
}

/// ops/rms_norm.hpp's.
void rms_norm_backward(Context& ctx, auto dx /* = */, auto dgain /* += */, auto dy, auto x, auto inv_rms, auto gain) {
  detail::rms_norm_backward(ctx, dx, false, dgain, dy, x, inv_rms, gain);
}

/// ops/rms_norm.hpp's.
void rms_norm_backward_add(Context& ctx, auto dx /* += */, auto dgain /* += */, auto dy, auto x, auto inv_rms, auto gain) {
  detail::rms_norm_backward(ctx, dx, true, dgain, dy, x, inv_rms, gain);
}

/// ops/layer_norm.hpp's.
void layer_norm_forward(Context& ctx, auto y, auto mean, auto inv_std, auto x, auto gain, auto bias, double eps = 1e-6) {
  detail::check_contiguous(y, mean, inv_std, x, gain, bias);
  constexpr Index C = detail::SameWidth<x.width, y.width, gain.width, bias.width>::value;
  static_assert(C == x.width);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y, gain, bias);
  detail::check_sums<T>(mean, inv_std);
  check_rows("layer norm", x, y);
  detail::check_sizes("layer norm, mean", x.rows(), mean.size());
  detail::check_sizes("layer norm, inv_std", x.rows(), inv_std.size());
  const T* const shift = bias.data;
  detail::norm_forward<true>(ctx, y, mean.data, inv_std, x, gain, shift, eps);
}

/// ops/layer_norm.hpp's.
void layer_norm_backward(Context& ctx, auto dx /* = */, auto dgain /* += */, auto dbias /* += */, auto dy, auto x, auto mean,
                         auto inv_std, auto gain) {
  detail::layer_norm_backward(ctx, dx, false, dgain, dbias, dy, x, mean, inv_std, gain);
}

/// ops/layer_norm.hpp's.
void layer_norm_backward_add(Context& ctx, auto dx /* += */, auto dgain /* += */, auto dbias /* += */, auto dy, auto x,
                             auto mean, auto inv_std, auto gain) {
  detail::layer_norm_backward(ctx, dx, true, dgain, dbias, dy, x, mean, inv_std, gain);
}

}  // namespace wu::cuda
