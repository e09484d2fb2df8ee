// Between a picture and its coarse grid on the GPU, by cuda/kernels/resample.hpp.
#pragma once

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/resample.hpp"
#include "wu/ops/resample.hpp"

namespace wu::cuda {

namespace detail {
/// Runs a body of one of the four on all values of `to`.
template <template <class> class Body>
void resample(Context& ctx, const char* what, auto to, auto from, auto fine, auto coarse) {
  const auto size = grids(what, fine, coarse);
  using T = value_of<decltype(from)>;
  check_types<T>(to);
  ctx.run(Body<T>{to.data, from.data, {size.height, size.width, size.C, size.F}, to.size()}, to.size());
}
}  // namespace detail

/// ops/resample.hpp's.
void pool_forward(Context& ctx, auto coarse, auto fine) {
  detail::resample<kernel::Pool>(ctx, "pool", coarse, fine, fine, coarse);
}
/// ops/resample.hpp's.
void pool_backward(Context& ctx, auto dfine /* = */, auto dcoarse) {
  detail::resample<kernel::Spread>(ctx, "pool backward", dfine, dcoarse, dfine, dcoarse);
}
/// ops/resample.hpp's.
void upsample_forward(Context& ctx, auto fine, auto coarse) {
  detail::resample<kernel::Upsample>(ctx, "upsample", fine, coarse, fine, coarse);
}
/// ops/resample.hpp's.
void upsample_backward(Context& ctx, auto dcoarse /* = */, auto dfine) {
  detail::resample<kernel::UpsampleBackward>(ctx, "upsample backward", dcoarse, dfine, dfine, dcoarse);
}

}  // namespace wu::cuda
