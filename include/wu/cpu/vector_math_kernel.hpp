// The functions of cpu/vector_math.hpp. A program that links wu::precompiled does not include this file.
#pragma once

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>  // the other takes 0.4 s to read
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "wu/cpu/exp.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"
#include "wu/cpu/vector_math.hpp"
#include "wu/ops/activations.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
/// A whole register of values.
template <class T>
using Register = typename Lanes<T, lanes<T>>::type;

/// The square root of each lane.
template <class T>
[[gnu::always_inline]] inline Register<T> square_root(const Register<T>& x) {
  using V = Register<T>;
  // (The masks, of all lanes, spare a warning of g++ 12 about registers that are not set.)
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return std::bit_cast<V>(_mm512_maskz_sqrt_ps(0xFFFF, std::bit_cast<__m512>(x)));
  else return std::bit_cast<V>(_mm512_maskz_sqrt_pd(0xFF, std::bit_cast<__m512d>(x)));
#elif defined(__AVX__)
  if constexpr (std::is_same_v<T, float>) return std::bit_cast<V>(_mm256_sqrt_ps(std::bit_cast<__m256>(x)));
  else return std::bit_cast<V>(_mm256_sqrt_pd(std::bit_cast<__m256d>(x)));
#elif defined(__SSE2__)
  if constexpr (std::is_same_v<T, float>) return std::bit_cast<V>(_mm_sqrt_ps(std::bit_cast<__m128>(x)));
  else return std::bit_cast<V>(_mm_sqrt_pd(std::bit_cast<__m128d>(x)));
#else
  V roots{};
  for (Index k = 0; k < lanes<T>; ++k) roots[k] = std::sqrt(x[k]);
  return roots;
#endif
}

/// A register of the first `some` values, the other lanes 0; and back to memory.
template <class T>
inline Register<T> load_some(const T* from, Index some) {
  Register<T> v{};
  std::memcpy(&v, from, static_cast<std::size_t>(some) * sizeof(T));
  return v;
}
template <class T>
inline void store_some(T* to, const Register<T>& v, Index some) {
  std::memcpy(to, &v, static_cast<std::size_t>(some) * sizeof(T));
}

/// y = f(x...) of registers. The last one is filled up, for fewer lanes would be computed otherwise.
template <class T, class F, class... X>
[[gnu::always_inline]] inline void apply(T* y, Index count, const F& f, const X*... x) {
  constexpr Index W = lanes<T>;
  Index k = 0;
  for (; k + W <= count; k += W) store<Register<T>>(y + k, f(load<Register<T>>(x + k)...));
  if (k < count) store_some<T>(y + k, f(load_some<T>(x + k, count - k)...), count - k);
}
}  // namespace detail

namespace kernel {

template <class T>
void VectorMath<T>::silu(T* y, const T* x, Index count) {
  using V = detail::Register<T>;
  detail::apply(y, count, [](const V& v) -> V { return v / (T(1) + detail::exp_lanes<T, detail::lanes<T>>(-v)); }, x);
}

template <class T>
void VectorMath<T>::silu_backward(T* dx, const T* dy, const T* x, Index count) {
  using V = detail::Register<T>;
  detail::apply(
      dx, count,
      [](const V& d, const V& v) -> V {
        const V s = detail::logistic<T, detail::lanes<T>>(v);
        return d * (s * (T(1) + v * (T(1) - s)));
      },
      dy, x);
}

template <class T>
void VectorMath<T>::gelu(T* y, const T* x, Index count) {
  using V = detail::Register<T>;
  detail::apply(
      y, count,
      [](const V& v) -> V {
        constexpr T slope = static_cast<T>(-2 * wu::detail::gelu_k),
                    cubic = static_cast<T>(-2 * wu::detail::gelu_k * wu::detail::gelu_cube);
        return v / (T(1) + detail::exp_lanes<T, detail::lanes<T>>(v * (slope + cubic * (v * v))));
      },
      x);
}

template <class T>
void VectorMath<T>::gelu_backward(T* dx, const T* dy, const T* x, Index count) {
  using V = detail::Register<T>;
  detail::apply(
      dx, count,
      [](const V& d, const V& v) -> V {
        constexpr T slope = static_cast<T>(2 * wu::detail::gelu_k),
                    cubic = static_cast<T>(2 * wu::detail::gelu_k * wu::detail::gelu_cube),
                    far = static_cast<T>(wu::detail::gelu_far);
        const V s = detail::logistic<T, detail::lanes<T>>(v * (slope + cubic * (v * v)));
        const V near = detail::at_most<T>(detail::at_least<T>(v, -far), far);
        return d * (s * (T(1) + near * (T(1) - s) * (slope + 3 * cubic * (near * near))));
      },
      dy, x);
}

template <class T>
void VectorMath<T>::adamw(T* w, T* m, T* v, T* average, const T* g, Index count, const wu::detail::AdamWConstants<T>& by) {
  using V = detail::Register<T>;
  const T more1 = (1 - by.beta1) * by.scale, more2 = 1 - by.beta2;
  // One loop after the other over a block in the nearest cache: a single loop over all buffers waits longer for memory.
  constexpr Index block = 512;
  for (; count > 0; count -= block, w += block, m += block, v += block, g += block) {
    const Index n = std::min(block, count);
    detail::apply(m, n, [=](const V& mean, const V& slope) -> V { return by.beta1 * mean + more1 * slope; }, m, g);
    detail::apply(
        v, n,
        [=](const V& square, const V& slope) -> V {
          const V gradient = by.scale * slope;
          return by.beta2 * square + more2 * (gradient * gradient);
        },
        v, g);
    detail::apply(
        w, n,
        [=](const V& weight, const V& mean, const V& square) -> V {
          const V deviation = detail::square_root<T>(square) * by.correction + by.epsilon;
          return weight - (by.rate * mean / deviation + by.decay * weight);
        },
        w, m, v);
    if (average == nullptr) continue;
    detail::apply(
        average, n, [=](const V& over, const V& weight) -> V { return over + by.average * (weight - over); }, average, w);
    average += block;
  }
}

}  // namespace kernel

}  // namespace wu::cpu::inline WU_CPU_TARGET
