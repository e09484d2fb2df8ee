// Rotary position embedding on the GPU, by cuda/kernels/rope.hpp.
#pragma once

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/rope.hpp"
#include "wu/cuda/rows.hpp"
#include "wu/ops/rope.hpp"

namespace wu::cuda {

/// ops/rope.hpp's.
template <class T>
void rotary_table(Context& ctx, T* cos, T* sin, const RotaryAxis& axis) {
  ctx.run(kernel::RotaryTable<T>{cos, sin, axis.width, axis.positions, axis.first}, axis.positions * (axis.width / 2));
}

namespace detail {
template <Index D, class S, std::size_t N>
void turn(Context& ctx, auto x, const Rotary<S, N>& rotary, int sign) {
  check_rotary<x.width, D>(rotary);
  using T = value_of<decltype(x)>;
  static_assert(fits<std::is_same_v<S, accumulator_t<T>>, "wu::cuda: expected rotary tables of ", type<accumulator_t<T>>,
                     ", found ", type<S>>);
  static_assert(N <= kernel::Turn<T>::most_axes);
  if constexpr (N > 0) {
    kernel::Turn<T> body{strided(x),          {},
                         static_cast<int>(N), static_cast<int>(x.width),
                         static_cast<int>(D), static_cast<accumulator_t<T>>(sign)};
    for (std::size_t a = 0; a < N; ++a)
      body.axes[a] = {rotary.cos[a], rotary.sin[a], rotary.axes[a].width, rotary.axes[a].divisor, rotary.axes[a].positions};
    ctx.run_blocks(body, {.blocks = x.rows(), .threads = x.width <= 128 ? 64 : kernel::Turn<T>::threads});
  }
}
}  // namespace detail

/// ops/rope.hpp's.
template <Index D, class T, std::size_t N>
void rope_forward(Context& ctx, auto x, const Rotary<T, N>& rotary) {
  detail::turn<D>(ctx, x, rotary, 1);
}

/// ops/rope.hpp's.
template <Index D, class T, std::size_t N>
void rope_backward(Context& ctx, auto dx, const Rotary<T, N>& rotary) {
  detail::turn<D>(ctx, dx, rotary, -1);
}

}  // namespace wu::cuda
