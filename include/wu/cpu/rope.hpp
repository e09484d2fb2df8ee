// Rotary embedding on the CPU: the reference's row kernel on all threads.
#pragma once

#include "wu/cpu/context.hpp"
#include "wu/ops/rope.hpp"

namespace wu::cpu {

template <Index D, class T, std::size_t N>
void rope_forward(Context& ctx, auto x, const Rotary<T, N>& rotary) {
  static_assert(x.width % D == 0, "rope: the head width must divide the width of x");
  ctx.split(x.rows(), x.width, [&](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) detail::rotate_row<x.width, D>(x.row(r), r, rotary, 1);
  });
}

template <Index D, class T, std::size_t N>
void rope_backward(Context& ctx, auto dx, const Rotary<T, N>& rotary) {
  static_assert(dx.width % D == 0, "rope: the head width must divide the width of x");
  ctx.split(dx.rows(), dx.width, [&](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) detail::rotate_row<dx.width, D>(dx.row(r), r, rotary, -1);
  });
}

}  // namespace wu::cpu
