// The norm of the gradient on the CPU; clip_norm itself is ops/clip.hpp's, for any device.
#pragma once

#include "wu/cpu/losses.hpp"
#include "wu/ops/clip.hpp"

namespace wu::cpu {

template <class T>
double squared_norm(Context& ctx, std::span<T> x) {
  const T* const in = x.data();
  return detail::split_sum(ctx, static_cast<Index>(x.size()), [in](Index k) { return static_cast<double>(in[k]) * static_cast<double>(in[k]); });
}

template <class T>
void scale(Context& ctx, std::span<T> x, double factor) {
  using Sum = accumulator_t<T>;
  T* const out = x.data();
  ctx.split(static_cast<Index>(x.size()), 1, [=](int, Index begin, Index end) {
    for (Index k = begin; k < end; ++k) out[k] = static_cast<T>(static_cast<Sum>(out[k]) * static_cast<Sum>(factor));
  });
}

}  // namespace wu::cpu
