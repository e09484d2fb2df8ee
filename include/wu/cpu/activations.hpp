// Activations on the CPU, in vector registers and on all threads. Both are x times a logistic function: silu of x itself, gelu
// of 2 u, because (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)).
#pragma once

#include <algorithm>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/target.hpp"
#include "wu/cpu/vector_math.hpp"
#include "wu/ops/activations.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
template <class T>
struct Activations {
  using Forward = void (*)(T* y, const T* x, Index count);
  using Backward = void (*)(T* dx, const T* dy, const T* x, Index count);
  static void forward(Context& ctx, Forward function, T* y, const T* x, Index count);
  static void backward(Context& ctx, Backward function, T* dx, const T* dy, const T* x, Index count);
};

/// What an exponential costs, beside a product.
inline constexpr Index activation_work = 4;

template <class T>
void Activations<T>::forward(Context& ctx, Forward function, T* y, const T* x, Index count) {
  ctx.split_blocks(count, activation_work, [=](Index begin, Index end) { function(y + begin, x + begin, end - begin); });
}
template <class T>
void Activations<T>::backward(Context& ctx, Backward function, T* dx, const T* dy, const T* x, Index count) {
  ctx.split_blocks(count, activation_work,
                   [=](Index begin, Index end) { function(dx + begin, dy + begin, x + begin, end - begin); });
}
}  // namespace kernel

namespace detail {
/// silu of bfloat16, taken in float.
template <class T>
void silu_wide(T* y, const T* x, Index count) {
  constexpr Index block = 512;
  alignas(64) float wide[block];
  for (Index k = 0; k < count; k += block) {
    const Index some = std::min(block, count - k);
    widen(wide, x + k, some);
    kernel::VectorMath<float>::silu(wide, wide, some);
    narrow(y + k, wide, some);
  }
}

template <class T>
void activate(Context& ctx, typename kernel::Activations<T>::Forward function, const char* what, auto y, auto x) {
  check_contiguous(y, x);
  static_assert(SameWidth<x.width, y.width>::value == x.width);
  check_sizes(what, x.size(), y.size());
  kernel::Activations<T>::forward(ctx, function, y.data, x.data, x.size());
}
template <class T>
void activate_backward(Context& ctx, typename kernel::Activations<T>::Backward function, const char* what, auto dx, auto dy,
                       auto x) {
  check_contiguous(dx, dy, x);
  static_assert(SameWidth<x.width, dy.width, dx.width>::value == x.width);
  if (!dx.data) return;
  check_sizes(what, x.size(), dy.size());
  check_sizes(what, x.size(), dx.size());
  kernel::Activations<T>::backward(ctx, function, dx.data, dy.data, x.data, x.size());
}
}  // namespace detail

/// ops/activations.hpp's, on all threads. For float, double and bfloat16.
void silu_forward(Context& ctx, auto y, auto x)
  requires detail::one_type<decltype(y), decltype(x)>
{
  using T = value_of<decltype(x)>;
  if constexpr (std::is_same_v<T, bfloat16>) detail::activate<T>(ctx, detail::silu_wide<T>, "silu", y, x);
  else detail::activate<T>(ctx, kernel::VectorMath<T>::silu, "silu", y, x);
}

/// ops/activations.hpp's, on all threads. For float and double.
void silu_backward(Context& ctx, auto dx /* = */, auto dy, auto x)
  requires detail::one_native_type<decltype(dx), decltype(dy), decltype(x)>
{
  using T = value_of<decltype(x)>;
  detail::activate_backward<T>(ctx, kernel::VectorMath<T>::silu_backward, "silu backward", dx, dy, x);
}

/// ops/activations.hpp's, on all threads. For float and double.
void gelu_forward(Context& ctx, auto y, auto x)
  requires detail::one_native_type<decltype(y), decltype(x)>
{
  using T = value_of<decltype(x)>;
  detail::activate<T>(ctx, kernel::VectorMath<T>::gelu, "gelu", y, x);
}

/// ops/activations.hpp's, on all threads. For float and double.
void gelu_backward(Context& ctx, auto dx /* = */, auto dy, auto x)
  requires detail::one_native_type<decltype(dx), decltype(dy), decltype(x)>
{
  using T = value_of<decltype(x)>;
  detail::activate_backward<T>(ctx, kernel::VectorMath<T>::gelu_backward, "gelu backward", dx, dy, x);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
