// Matrix products through Eigen, split over threads by rows of the result. Sizes and strides in elements, row-major.
#pragma once

#include <Eigen/Core>

#include "wu/cpu/context.hpp"

namespace wu::cpu {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using ConstMatrix = Eigen::Map<const RowMajor<T>, 0, Eigen::OuterStride<>>;
template <class T>
using MutableMatrix = Eigen::Map<RowMajor<T>, 0, Eigen::OuterStride<>>;

template <class T>
ConstMatrix<T> matrix(const T* data, Index rows, Index columns, Index stride) {
  return {data, rows, columns, Eigen::OuterStride<>(stride)};
}
template <class T>
MutableMatrix<T> matrix(T* data, Index rows, Index columns, Index stride) {
  return {data, rows, columns, Eigen::OuterStride<>(stride)};
}

/// Whether Eigen multiplies T; the reference loops answer for other scalars (bfloat16).
template <class T>
inline constexpr bool has_product = std::is_same_v<T, float> || std::is_same_v<T, double>;

/// Calls product(begin, end) on slices of a result with `rows` rows, on all threads when the work is worth it.
template <class Product>
void split_rows(Context& ctx, Index rows, Index operations_per_row, Product&& product) {
  ctx.split(rows, operations_per_row, [&](int, Index begin, Index end) { product(begin, end - begin); });
}

}  // namespace wu::cpu
