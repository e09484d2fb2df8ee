// Matrix products with any sizes and strides, one thread each, through Eigen (cpu/eigen.hpp). Attention's scores and mixtures
// are such; the layers of a network go through cpu/product.hpp.
#pragma once

#include "wu/cpu/spaced.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// For float and double. Rows lie `stride` apart, values of a row side by side.
template <class T>
struct Matrix {
  /// C (M, N) = factor A B^T        A: (M, K)   B: (N, K)
  static void times_transposed(Spaced<T> C, T factor, Spaced<const T> A, Spaced<const T> B, Index M, Index N, Index K);
  /// C (M, N) = A B                 A: (M, K)   B: (K, N)
  static void times(Spaced<T> C, Spaced<const T> A, Spaced<const T> B, Index M, Index N, Index K);
  /// C (M, N) += A^T B              A: (K, M)   B: (K, N)
  static void add_transposed_times(Spaced<T> C, Spaced<const T> A, Spaced<const T> B, Index M, Index N, Index K);
};

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel

#ifndef WU_PRECOMPILED
#include "wu/cpu/eigen.hpp"
#endif
