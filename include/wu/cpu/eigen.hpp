// The one file that names Eigen: the functions of cpu/vector_math.hpp. A program that links
// wu::precompiled does not include it.
#pragma once

#include <Eigen/Core>

#include <algorithm>
#include <atomic>

#include "wu/core/error.hpp"
#include "wu/cpu/target.hpp"
#include "wu/cpu/vector_math.hpp"
#include "wu/ops/activations.hpp"

namespace wu::cpu::shared {
/// How Eigen aligns memory where this program multiplied first: bytes for arrays in types, times 2^16, and for the heap. One
/// variable for the whole program, whatever its parts are compiled for, as Eigen's functions are shared too.
inline std::atomic<int> eigen_alignment{};
}  // namespace wu::cpu::shared

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
using namespace wu::detail;

/// Throws Error if this part of the program aligns Eigen's memory otherwise than the part that multiplied first.
inline void check_eigen_alignment() {
  constexpr int arrays = EIGEN_MAX_STATIC_ALIGN_BYTES, heap = EIGEN_MAX_ALIGN_BYTES, here = arrays << 16 | heap;
  if (shared::eigen_alignment.load(std::memory_order_relaxed) == here) return;
  int first = 0;
  if (!shared::eigen_alignment.compare_exchange_strong(first, here) && first != here)
    throw Error(message("cpu: expected Eigen to align memory to ", first >> 16, " and ", first & 0xFFFF,
                        " bytes, as where this program first multiplied, found ", arrays, " and ", heap,
                        ": its parts are compiled with different -march, see docs/mixing-builds.md"));
}

template <class T>
auto eigen_array(T* data, Index count) {
  using Array = Eigen::Array<std::remove_const_t<T>, Eigen::Dynamic, 1>;
  return Eigen::Map<std::conditional_t<std::is_const_v<T>, const Array, Array>>(data, count);
}

/// Calls block(first, array of scratch) on 0 .. count-1 in blocks that stay in the nearest cache. What is computed into the scratch
/// is computed in whole registers but at the end: into memory that is not aligned Eigen computes the first values one by one, and
/// their last bits would depend on where it lies.
template <class T, class Block>
void eigen_blocks(Index count, const Block& block) {
  constexpr Index length = 512;
  alignas(64) T scratch[length];
  for (Index first = 0; first < count; first += length)
    block(first, eigen_array(static_cast<T*>(scratch), std::min(length, count - first)));
}
}  // namespace detail

namespace kernel {

template <class T>
void VectorMath<T>::exp(T* y, const T* x, T shift, Index count) {
  detail::eigen_array(y, count) = (detail::eigen_array(x, count) - shift).exp();
}

template <class T>
void VectorMath<T>::silu(T* y, const T* x, Index count) {
  detail::eigen_blocks<T>(count, [=](Index first, auto s) {
    const auto in = detail::eigen_array(x + first, s.size());
    s = in / (T(1) + (-in).exp());
    detail::eigen_array(y + first, s.size()) = s;
  });
}

template <class T>
void VectorMath<T>::silu_backward(T* dx, const T* dy, const T* x, Index count) {
  detail::eigen_blocks<T>(count, [=](Index first, auto s) {
    const auto in = detail::eigen_array(x + first, s.size());
    s = 1 / (T(1) + (-in).exp());
    s *= T(1) + in * (T(1) - s);
    detail::eigen_array(dx + first, s.size()) = detail::eigen_array(dy + first, s.size()) * s;
  });
}

template <class T>
void VectorMath<T>::gelu(T* y, const T* x, Index count) {
  constexpr T slope = static_cast<T>(-2 * detail::gelu_k), cubic = static_cast<T>(detail::gelu_cube);
  detail::eigen_blocks<T>(count, [=](Index first, auto s) {
    const auto in = detail::eigen_array(x + first, s.size());
    s = in / (T(1) + (slope * in * (T(1) + cubic * in.square())).exp());
    detail::eigen_array(y + first, s.size()) = s;
  });
}

template <class T>
void VectorMath<T>::gelu_backward(T* dx, const T* dy, const T* x, Index count) {
  constexpr T slope = static_cast<T>(2 * detail::gelu_k), cubic = static_cast<T>(detail::gelu_cube),
              far = static_cast<T>(detail::gelu_far);
  detail::eigen_blocks<T>(count, [=](Index first, auto s) {
    const auto in = detail::eigen_array(x + first, s.size());
    s = T(1) / (T(1) + (-slope * in * (T(1) + cubic * in.square())).exp());
    const auto near = in.max(-far).min(far);
    s *= T(1) + near * (T(1) - s) * slope * (T(1) + 3 * cubic * near.square());
    detail::eigen_array(dx + first, s.size()) = detail::eigen_array(dy + first, s.size()) * s;
  });
}

template <class T>
void VectorMath<T>::adamw(T* w, T* m, T* v, T* average, const T* g, Index count, const wu::detail::AdamWConstants<T>& by) {
  // One loop after the other over a block in the nearest cache: a single loop over all buffers waits longer for memory.
  constexpr Index block = 512;
  for (Index k = 0; k < count; k += block) {
    const Index n = std::min(block, count - k);
    const auto gradient = by.scale * detail::eigen_array(g + k, n);
    auto weight = detail::eigen_array(w + k, n), mean = detail::eigen_array(m + k, n),
         square = detail::eigen_array(v + k, n);
    mean = by.beta1 * mean + (1 - by.beta1) * gradient;
    square = by.beta2 * square + (1 - by.beta2) * gradient.square();
    weight -= by.rate * mean / (square.sqrt() * by.correction + by.epsilon) + by.decay * weight;
    if (average == nullptr) continue;
    auto over = detail::eigen_array(average + k, n);
    over += by.average * (weight - over);
  }
}

}  // namespace kernel

}  // namespace wu::cpu::inline WU_CPU_TARGET
