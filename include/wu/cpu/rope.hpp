// Rotary embedding on the CPU: rows over threads; y[j] = x[j] cos[j] + x[j ^ 1] sin[j] on whole vectors of channels.
#pragma once

#include <concepts>

#include "wu/cpu/context.hpp"
#include "wu/cpu/skinny.hpp"
#include "wu/ops/rope.hpp"

namespace wu::cpu {

namespace detail {
using namespace wu::detail;

/// Vectors of W channels of one axis's slice, of every head of a row.
template <int Sign, Index C, Index D, Index W, class T>
void rotate_vectors(T* slice, const T* cos, const T* sin, Index from, Index width) {
  using V = typename Lanes<T, W>::type;
  for (; from + W <= width; from += W) {
    const V c = load<V>(cos + from), s = static_cast<T>(Sign) * load<V>(sin + from);
    for (Index head = 0; head < C; head += D) {
      T* const at = slice + head + from;
      const V x = load<V>(at);
      const V swapped = [&]<int... j>(std::integer_sequence<int, j...>) {
        return __builtin_shufflevector(x, x, (j ^ 1)...);
      }(std::make_integer_sequence<int, static_cast<int>(W)>{});
      store(at, V(x * c + swapped * s));
    }
  }
  if constexpr (W > 2) rotate_vectors<Sign, C, D, W / 2>(slice, cos, sin, from, width);
}

template <int Sign, Index D, class T, std::size_t N>
void rotate(Context& ctx, auto x, const Rotary<T, N>& rotary) {
  check_rotary<x.width, D>(rotary);
  constexpr bool vectors = std::floating_point<T> && std::same_as<value_of<decltype(x)>, T>;
  ctx.split(x.rows(), x.width, [&](int, Index begin, Index end) {
    if constexpr (vectors) {
      // Positions are counted along: a division for each row and axis would cost as much as the rotation.
      std::array<Index, N> position, since;
      for (std::size_t a = 0; a < N; ++a) {
        position[a] = begin / rotary.axes[a].divisor % rotary.axes[a].positions;
        since[a] = begin % rotary.axes[a].divisor;
      }
      for (Index r = begin; r < end; ++r) {
        T* slice = x.row(r);
        for (std::size_t a = 0; a < N; ++a) {
          const RotaryAxis& axis = rotary.axes[a];
          rotate_vectors<Sign, x.width, D, std::max<Index>(2, lanes<T, D>)>(
              slice, rotary.cos[a] + position[a] * axis.width, rotary.sin[a] + position[a] * axis.width, 0, axis.width);
          slice += axis.width;
          if (++since[a] == axis.divisor) {
            since[a] = 0;
            if (++position[a] == axis.positions) position[a] = 0;
          }
        }
      }
    } else {
      for (Index r = begin; r < end; ++r) rotate_row<x.width, D>(x.row(r), r, rotary, Sign);
    }
  });
}
}  // namespace detail

template <Index D, class T, std::size_t N>
void rope_forward(Context& ctx, auto x, const Rotary<T, N>& rotary) {
  detail::rotate<1, D>(ctx, x, rotary);
}

template <Index D, class T, std::size_t N>
void rope_backward(Context& ctx, auto dx, const Rotary<T, N>& rotary) {
  detail::rotate<-1, D>(ctx, dx, rotary);
}

}  // namespace wu::cpu
