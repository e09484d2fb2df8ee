// What happens to each value alone, on the GPU.
#pragma once

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/elementwise.hpp"
#include "wu/ops/activations.hpp"
#include "wu/ops/elementwise.hpp"

namespace wu::cuda {

namespace detail {
template <class F>
void activate(Context& ctx, const char* what, auto y, auto x) {
  check_contiguous(y, x);
  using T = value_of<decltype(x)>;
  check_types<T>(y);
  check_sizes(what, x.size(), y.size());
  ctx.run(kernel::Activate<T, F>{y.data, x.data, x.size()}, x.size());
}

template <class F>
void activate_backward(Context& ctx, const char* what, auto dx, auto dy, auto x) {
  check_contiguous(dx, dy, x);
  using T = value_of<decltype(x)>;
  check_types<T>(dx, dy);
  if (!dx.data) return;
  check_sizes(what, x.size(), dy.size());
  check_sizes(what, x.size(), dx.size());
  ctx.run(kernel::ActivateBackward<T, F>{dx.data, dy.data, x.data, x.size()}, x.size());
}
}  // namespace detail

/// ops/activations.hpp's.
void silu_forward(Context& ctx, auto y, auto x) { detail::activate<kernel::Silu>(ctx, "silu", y, x); }
/// ops/activations.hpp's.
void silu_backward(Context& ctx, auto dx, auto dy, auto x) {
  detail::activate_backward<kernel::Silu>(ctx, "silu backward", dx, dy, x);
}

/// ops/activations.hpp's.
void gelu_forward(Context& ctx, auto y, auto x) { detail::activate<kernel::Gelu>(ctx, "gelu", y, x); }
/// ops/activations.hpp's.
void gelu_backward(Context& ctx, auto dx, auto dy, auto x) {
  detail::activate_backward<kernel::Gelu>(ctx, "gelu backward", dx, dy, x);
}

/// ops/elementwise.hpp's.
void add(Context& ctx, auto y /* += */, auto x) {
  detail::check_contiguous(y, x);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y);
  detail::check_sizes("add", y.size(), x.size());
  ctx.run(kernel::Add<T>{y.data, x.data, x.size()}, x.size());
}

/// ops/elementwise.hpp's.
void copy(Context& ctx, auto y, auto x) {
  detail::check_contiguous(y, x);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y);
  detail::check_sizes("copy", y.size(), x.size());
  runtime::copy(ctx.stream(), y.data, x.data, static_cast<std::size_t>(x.size()) * sizeof(T));
}

/// ops/elementwise.hpp's, between bfloat16 and float.
void convert(Context& ctx, auto y, auto x) {
  detail::check_contiguous(y, x);
  detail::check_sizes("convert", y.size(), x.size());
  ctx.run(kernel::Convert<value_of<decltype(y)>, value_of<decltype(x)>>{y.data, x.data, x.size()}, x.size());
}

/// ops/elementwise.hpp's.
void scale(Context& ctx, auto y /* *= */, double factor) {
  detail::check_contiguous(y);
  using T = value_of<decltype(y)>;
  detail::check_types<T>();
  ctx.run(kernel::Scale<T>{y.data, y.size(), static_cast<accumulator_t<T>>(static_cast<T>(factor))}, y.size());
}

/// ops/elementwise.hpp's.
void zero(Context& ctx, auto y) {
  detail::check_contiguous(y);
  runtime::zero(ctx.stream(), y.data, static_cast<std::size_t>(y.size()) * sizeof(value_of<decltype(y)>));
}

}  // namespace wu::cuda
