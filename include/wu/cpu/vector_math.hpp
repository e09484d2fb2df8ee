// Functions of whole arrays in vector registers: std::exp and std::sqrt in a loop are not vectorised, for they may set errno. All
// on the calling thread. A result depends on its operands alone, not on where in the arrays they lie.
#pragma once

#include "wu/core/view.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/adamw.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// For float and double. Results may lie where an operand does.
template <class T>
struct VectorMath {
  /// y = x / (1 + exp(-x)), and dx = dy y'(x)
  static void silu(T* y, const T* x, Index count);
  static void silu_backward(T* dx, const T* dy, const T* x, Index count);
  /// y = x (1 + tanh(u)) / 2 = x / (1 + exp(-2 u)), u = k (x + a x^3), and dx = dy y'(x)
  static void gelu(T* y, const T* x, Index count);
  static void gelu_backward(T* dx, const T* dy, const T* x, Index count);
  /// ops/adamw.hpp's update of weights, moments and, unless it is null, average
  static void adamw(T* w, T* m, T* v, T* average, const T* g, Index count, const wu::detail::AdamWConstants<T>& by);
};

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel

#ifndef WU_PRECOMPILED
#include "wu/cpu/vector_math_kernel.hpp"
#endif
