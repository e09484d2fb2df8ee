// Activations on the CPU through Eigen's vector exponential. Both are x times a logistic function: silu of x itself, gelu of
// 2 u, because (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)).
#pragma once

#include <Eigen/Core>

#include <algorithm>

#include "wu/cpu/matrix.hpp"
#include "wu/ops/activations.hpp"

namespace wu::cpu {

namespace detail {
using namespace wu::detail;

/// `count` values from `data` as an Eigen array.
template <class T>
auto array(T* data, Index count) {
  using Array = Eigen::Array<std::remove_const_t<T>, Eigen::Dynamic, 1>;
  return Eigen::Map<std::conditional_t<std::is_const_v<T>, const Array, Array>>(data, count);
}

/// Calls block(first, count, scratch) on 0 .. n-1 in blocks that stay in the nearest cache, on all threads. `scratch` holds
/// `count` values of T.
template <class T, class Block>
void split_blocks(Context& ctx, Index n, Index work_per_value, Block&& block) {
  constexpr Index length = 512;
  ctx.split((n + length - 1) / length, length * work_per_value, [&](int, Index begin, Index end) {
    alignas(64) T scratch[length];
    for (Index b = begin; b < end; ++b) {
      const Index count = std::min(length, n - b * length);
      block(b * length, count, array(static_cast<T*>(scratch), count));
    }
  });
}
}  // namespace detail

void silu_forward(Context& ctx, auto y, auto x)
  requires has_product<value_of<decltype(x)>> && std::is_same_v<value_of<decltype(x)>, value_of<decltype(y)>>
{
  detail::check_contiguous(y, x);
  static_assert(detail::SameWidth<x.width, y.width>::value == x.width);
  detail::check_sizes("silu", x.size(), y.size());
  detail::split_blocks<value_of<decltype(x)>>(ctx, x.size(), 4, [=](Index first, Index count, auto) {
    const auto in = detail::array(x.data + first, count);
    detail::array(y.data + first, count) = in / (1 + (-in).exp());
  });
}

void silu_backward(Context& ctx, auto dx /* = */, auto dy, auto x)
  requires has_product<value_of<decltype(x)>> && std::is_same_v<value_of<decltype(x)>, value_of<decltype(dx)>> &&
           std::is_same_v<value_of<decltype(x)>, value_of<decltype(dy)>>
{
  detail::check_contiguous(dx, dy, x);
  static_assert(detail::SameWidth<detail::SameWidth<x.width, dy.width>::value, dx.width>::value == x.width);
  if (!dx.data) return;
  detail::check_sizes("silu backward", x.size(), dy.size());
  detail::check_sizes("silu backward", x.size(), dx.size());
  detail::split_blocks<value_of<decltype(x)>>(ctx, x.size(), 4, [=](Index first, Index count, auto s) {
    const auto in = detail::array(x.data + first, count);
    s = 1 / (1 + (-in).exp());
    detail::array(dx.data + first, count) = detail::array(dy.data + first, count) * s * (1 + in * (1 - s));
  });
}

void gelu_forward(Context& ctx, auto y, auto x)
  requires has_product<value_of<decltype(x)>> && std::is_same_v<value_of<decltype(x)>, value_of<decltype(y)>>
{
  detail::check_contiguous(y, x);
  static_assert(detail::SameWidth<x.width, y.width>::value == x.width);
  using T = value_of<decltype(x)>;
  constexpr T slope = static_cast<T>(-2 * detail::gelu_k), cubic = static_cast<T>(detail::gelu_cube);
  detail::check_sizes("gelu", x.size(), y.size());
  detail::split_blocks<T>(ctx, x.size(), 4, [=](Index first, Index count, auto) {
    const auto in = detail::array(x.data + first, count);
    detail::array(y.data + first, count) = in / (1 + (slope * in * (1 + cubic * in.square())).exp());
  });
}

void gelu_backward(Context& ctx, auto dx /* = */, auto dy, auto x)
  requires has_product<value_of<decltype(x)>> && std::is_same_v<value_of<decltype(x)>, value_of<decltype(dx)>> &&
           std::is_same_v<value_of<decltype(x)>, value_of<decltype(dy)>>
{
  detail::check_contiguous(dx, dy, x);
  static_assert(detail::SameWidth<detail::SameWidth<x.width, dy.width>::value, dx.width>::value == x.width);
  using T = value_of<decltype(x)>;
  constexpr T slope = static_cast<T>(2 * detail::gelu_k), cubic = static_cast<T>(detail::gelu_cube);
  if (!dx.data) return;
  detail::check_sizes("gelu backward", x.size(), dy.size());
  detail::check_sizes("gelu backward", x.size(), dx.size());
  detail::split_blocks<T>(ctx, x.size(), 4, [=](Index first, Index count, auto s) {
    const auto in = detail::array(x.data + first, count);
    s = 1 / (1 + (-slope * in * (1 + cubic * in.square())).exp());
    detail::array(dx.data + first, count) =
        detail::array(dy.data + first, count) * s * (1 + in * (1 - s) * slope * (1 + 3 * cubic * in.square()));
  });
}

}  // namespace wu::cpu
