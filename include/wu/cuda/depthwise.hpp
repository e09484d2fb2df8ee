// Depthwise convolution on the GPU, by cuda/kernels/depthwise.hpp.
#pragma once

#include "wu/cuda/column_sums.hpp"
#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/depthwise.hpp"
#include "wu/ops/depthwise.hpp"

namespace wu::cuda {

/// ops/depthwise.hpp's.
void depthwise_forward(Context& ctx, auto y, auto x, auto W) {
  detail::check_contiguous(y, x, W);
  using S = detail::DepthwiseWidths<W.extents[0], x.width, W.width>;
  static_assert(detail::DepthwiseWidths<W.extents[0], y.width, W.width>::channels == S::channels);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y, W);
  detail::check_pictures("depthwise", x, y);
  ctx.run(kernel::DepthwiseForward<T>{y.data, x.data, W.data, {x.extent(1), x.extent(2), S::channels, S::k}, x.size()},
          x.size());
}

/// ops/depthwise.hpp's.
void depthwise_backward(Context& ctx, auto dx /* = */, auto dW /* += */, auto dy, auto x, auto W) {
  detail::check_contiguous(dx, dW, dy, x, W);
  using S = detail::DepthwiseWidths<W.extents[0], x.width, W.width>;
  constexpr Index C = S::channels, K = S::k;
  static_assert(detail::DepthwiseWidths<dW.extents[0], dx.width, dW.width>::k == K);
  static_assert(detail::DepthwiseWidths<W.extents[0], dy.width, dW.width>::channels == C);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(dx, dy, W);
  detail::check_sums<T>(dW);
  detail::check_pictures("depthwise backward", x, dy);
  if (dx.data) detail::check_pictures("depthwise backward", x, dx);
  const kernel::Convolution shape{x.extent(1), x.extent(2), C, K};
  if (dx.data) ctx.run(kernel::DepthwiseBackward<T>{dx.data, dy.data, W.data, shape, x.size()}, x.size());
  if (dW.data) detail::add_column_sums(ctx, {dW.data}, kernel::TapTerms<T>{dy.data, x.data, shape}, x.rows(), K * K * C);
}

}  // namespace wu::cuda
