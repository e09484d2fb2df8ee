// A matrix product as it is asked of the GPU.
#pragma once

#include "wu/cuda/float8.hpp"

namespace wu::cuda {

/// The scalars of a product's operands.
enum class Scalar { f32, f64, bf16, f8 };
template <class T>
inline constexpr Scalar scalar_of = Scalar::f32;
template <>
inline constexpr Scalar scalar_of<double> = Scalar::f64;
template <>
inline constexpr Scalar scalar_of<bfloat16> = Scalar::bf16;

/// c (m, n) = alpha a b + beta c0 + bias, `batch` times. All row-major. Sums are taken in float for bf16 and f8, else in the
/// operands' type. In f8 row i of a and column j of b are their codes times scales_a[i] and scales_b[j]; b is transposed and alone.
struct Product {
  Index m = 0, n = 0, k = 0;
  const void *a = nullptr, *b = nullptr;            ///< (m, k) and (k, n), or what transposed they are
  bool transposed_a = false, transposed_b = false;  ///< a lies as (k, m); b lies as (n, k)
  Index row_a = 0, row_b = 0, row_c = 0;            ///< values from one row in memory to the next
  void* c = nullptr;
  const void* added = nullptr;  ///< c0, laid out as c; null: c itself
  const void* bias = nullptr;   ///< (n), of c's type; null: none
  double alpha = 1, beta = 0;
  Index batch = 1, step_a = 0, step_b = 0, step_c = 0;  ///< values from one product of the batch to the next
  Scalar operands = Scalar::f32, result = Scalar::f32;
  const float *scales_a = nullptr, *scales_b = nullptr;  ///< (m) and (n), of f8
  bool fast_sums = false;                                ///< f8: not every sum need be taken in all of a float's digits
};

}  // namespace wu::cuda
