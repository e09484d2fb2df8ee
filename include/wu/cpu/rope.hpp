// Rotary embedding on the CPU: rows over threads; y[j] = x[j] cos[j] + x[j ^ 1] sin[j] on whole vectors of channels.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/spaced.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/rope.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
/// Vectors of W channels of one axis's slice, of every head of a row of C channels, D to a head.
template <Index W, class T, class S>
void rotate_vectors(T* slice, const S* cos, const S* sin, S sign, Index from, Index width, Index C, Index D) {
  using V = typename Lanes<S, W>::type;
  for (; from + W <= width; from += W) {
    const V c = load<V>(cos + from), s = sign * load<V>(sin + from);
    for (Index head = 0; head < C; head += D) {
      T* const at = slice + head + from;
      const V x = load_wide<W>(at);
      const V swapped = [&]<int... j>(std::integer_sequence<int, j...>) {
        return __builtin_shufflevector(x, x, (j ^ 1)...);
      }(std::make_integer_sequence<int, static_cast<int>(W)>{});
      store_narrow<W>(at, x * c + swapped * s);
    }
  }
  if constexpr (W > 2) rotate_vectors<W / 2>(slice, cos, sin, sign, from, width, C, D);
}
}  // namespace detail

namespace kernel {
/// Rows of T; angles, and the turn itself, in the type in which T is summed.
template <class T>
struct Rope {
  using Sum = accumulator_t<T>;
  /// One axis and its tables.
  struct Axis {
    RotaryAxis axis;
    const Sum *cos, *sin;
  };
  /// Turns rows of C channels, D to a head; sign +1 forward, -1 backward.
  static void rotate(Context& ctx, Spaced<T> x, std::span<const Axis> axes, Sum sign, Index rows, Index C, Index D);
};

template <class T>
void Rope<T>::rotate(Context& ctx, Spaced<T> x, std::span<const Axis> axes, Sum sign, Index rows, Index C, Index D) {
  constexpr Index several = 16;  // rows that stay in the nearest caches while the axes go by
  ctx.split(rows, C, [=](int, Index begin, Index end) {
    for (Index first = begin; first < end; first += several) {
      const Index last = std::min(end, first + several);
      Index start = 0;
      for (const auto& [axis, cos, sin] : axes) {
        // Positions are counted along: a division for each row would cost as much as the rotation.
        Index position = first / axis.divisor % axis.positions, since = first % axis.divisor;
        for (Index r = first; r < last; ++r) {
          detail::rotate_vectors<detail::lanes<Sum>>(x.row(r) + start, cos + position * axis.width,
                                                     sin + position * axis.width, sign, 0, axis.width, C, D);
          if (++since < axis.divisor) continue;
          since = 0;
          if (++position == axis.positions) position = 0;
        }
        start += axis.width;
      }
    }
  });
}
}  // namespace kernel

namespace detail {
template <Index D, class S, std::size_t N>
void rotate(Context& ctx, auto x, const Rotary<S, N>& rotary, int sign) {
  check_rotary<x.width, D>(rotary);
  using Kernel = kernel::Rope<value_of<decltype(x)>>;
  std::array<typename Kernel::Axis, N> axes;
  for (std::size_t a = 0; a < N; ++a) axes[a] = {rotary.axes[a], rotary.cos[a], rotary.sin[a]};
  Kernel::rotate(ctx, spaced(x), axes, static_cast<S>(sign), x.rows(), x.width, D);
}
}  // namespace detail

/// ops/rope.hpp's, on all threads. For float and double, and for bfloat16 with tables of float.
template <Index D, class T, std::size_t N>
void rope_forward(Context& ctx, auto x, const Rotary<T, N>& rotary)
  requires std::is_same_v<sum_of<decltype(x)>, T>
{
  detail::rotate<D>(ctx, x, rotary, 1);
}

/// ops/rope.hpp's, on all threads. For float and double, and for bfloat16 with tables of float.
template <Index D, class T, std::size_t N>
void rope_backward(Context& ctx, auto dx, const Rotary<T, N>& rotary)
  requires std::is_same_v<sum_of<decltype(dx)>, T>
{
  detail::rotate<D>(ctx, dx, rotary, -1);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
