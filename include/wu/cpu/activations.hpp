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
/// A function of kernel::VectorMath for values of T: of bfloat16 it is taken in float, a block at a time.
inline constexpr Index activation_block = 512;
template <class T, auto Function>
void function_of(T* y, const T* x, Index count) {
  if constexpr (std::is_same_v<T, accumulator_t<T>>) Function(y, x, count);
  else {
    alignas(64) accumulator_t<T> wide[activation_block];
    for (Index k = 0; k < count; k += activation_block) {
      const Index some = std::min(activation_block, count - k);
      widen(wide, x + k, some);
      Function(wide, wide, some);
      narrow(y + k, wide, some);
    }
  }
}
template <class T, auto Function>
void gradient_of(T* dx, const T* dy, const T* x, Index count) {
  if constexpr (std::is_same_v<T, accumulator_t<T>>) Function(dx, dy, x, count);
  else {
    alignas(64) accumulator_t<T> wide[activation_block], gradient[activation_block];
    for (Index k = 0; k < count; k += activation_block) {
      const Index some = std::min(activation_block, count - k);
      widen(wide, x + k, some), widen(gradient, dy + k, some);
      Function(gradient, gradient, wide, some);
      narrow(dx + k, gradient, some);
    }
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

/// ops/activations.hpp's, on all threads.
void silu_forward(Context& ctx, auto y, auto x)
  requires detail::one_type<decltype(y), decltype(x)>
{
  using T = value_of<decltype(x)>;
  detail::activate<T>(ctx, detail::function_of<T, kernel::VectorMath<accumulator_t<T>>::silu>, "silu", y, x);
}

/// ops/activations.hpp's, on all threads.
void silu_backward(Context& ctx, auto dx /* = */, auto dy, auto x)
  requires detail::one_type<decltype(dx), decltype(dy), decltype(x)>
{
  using T = value_of<decltype(x)>;
  detail::activate_backward<T>(ctx, detail::gradient_of<T, kernel::VectorMath<accumulator_t<T>>::silu_backward>,
                               "silu backward", dx, dy, x);
}

/// ops/activations.hpp's, on all threads.
void gelu_forward(Context& ctx, auto y, auto x)
  requires detail::one_type<decltype(y), decltype(x)>
{
  using T = value_of<decltype(x)>;
  detail::activate<T>(ctx, detail::function_of<T, kernel::VectorMath<accumulator_t<T>>::gelu>, "gelu", y, x);
}

/// ops/activations.hpp's, on all threads.
void gelu_backward(Context& ctx, auto dx /* = */, auto dy, auto x)
  requires detail::one_type<decltype(dx), decltype(dy), decltype(x)>
{
  using T = value_of<decltype(x)>;
  detail::activate_backward<T>(ctx, detail::gradient_of<T, kernel::VectorMath<accumulator_t<T>>::gelu_backward>,
                               "gelu backward", dx, dy, x);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
