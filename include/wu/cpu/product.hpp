// C (M, N) = A B, or C += A B, for the layers of a network. A may be read along either axis (a row and a column stride), B and
// C are row-major, so that forward, dx and dW need no packed copies. A block of C stays in vector registers while k goes by; k
// goes in slices whose part of B stays in the second cache. The order of every sum depends on K alone.
#pragma once

#include <algorithm>

#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {

/// Columns of C are worked on in strips of this many registers.
#if defined(__AVX512F__)
inline constexpr Index product_rows = 8, product_vectors = 3;
#elif defined(__AVX__)
inline constexpr Index product_rows = 4, product_vectors = 3;
#else
inline constexpr Index product_rows = 4, product_vectors = 2;
#endif
inline constexpr Index product_slice = 256;

/// The operands of one product, at the strip of columns and the slice of k that is being worked on.
template <class T>
struct ProductAt {
  T* C;
  const T *A, *B;
  Index c_row, a_row, a_column, b_row, K;
  bool add;
};

/// Rows x (Vectors registers) of C, from row m on.
template <Index Lane, Index Rows, Index Vectors, class T>
[[gnu::always_inline]] inline void product_block(const ProductAt<T>& at, Index m) {
  using V = typename Lanes<T, Lane>::type;
  T* const C = at.C + m * at.c_row;
  const T* const A = at.A + m * at.a_row;
  const T* const B = at.B;
  const Index c_row = at.c_row, a_row = at.a_row, a_column = at.a_column, b_row = at.b_row, K = at.K;
  V sum[Rows][Vectors];
  for (Index r = 0; r < Rows; ++r)
    for (Index v = 0; v < Vectors; ++v) sum[r][v] = at.add ? load<V>(C + r * c_row + v * Lane) : V{};
  for (Index k = 0; k < K; ++k) {
    V b[Vectors];
    for (Index v = 0; v < Vectors; ++v) b[v] = load<V>(B + k * b_row + v * Lane);
    for (Index r = 0; r < Rows; ++r) {
      const T a = A[r * a_row + k * a_column];
      for (Index v = 0; v < Vectors; ++v) sum[r][v] += a * b[v];
    }
  }
  for (Index r = 0; r < Rows; ++r)
    for (Index v = 0; v < Vectors; ++v) store(C + r * c_row + v * Lane, sum[r][v]);
}

/// All rows of one strip of columns.
template <Index Lane, Index Vectors, class T>
void product_strip(const ProductAt<T>& at, Index M) {
  Index m = 0;
  auto rows = [&]<Index Rows>(std::integral_constant<Index, Rows>) {
    for (; m + Rows <= M; m += Rows) product_block<Lane, Rows, Vectors>(at, m);
  };
  rows(std::integral_constant<Index, product_rows>{});
  if constexpr (product_rows > 4) rows(std::integral_constant<Index, 4>{});
  rows(std::integral_constant<Index, 1>{});
}

/// Strips of so many vectors while they fit in the columns that are left.
template <Index Lane, Index Vectors, class T>
void product_strips(ProductAt<T>& at, Index M, Index& left) {
  for (constexpr Index width = Vectors * Lane; left >= width; left -= width, at.C += width, at.B += width)
    product_strip<Lane, Vectors>(at, M);
  if constexpr (Vectors > 1) product_strips<Lane, Vectors - 1>(at, M, left);
  else if constexpr (Lane > 1) product_strips<Lane / 2, 1>(at, M, left);
}

}  // namespace detail

/// The product and the transpose that the operations of cpu/ are made of.
template <class T>
struct Product {
  /// add: C += A B, else C = A B.   A(m, k) = A[m a_row + k a_column], B: (K, N), C: (M, N).
  static void multiply(T* C, Index c_row, const T* A, Index a_row, Index a_column, const T* B, Index b_row, Index M, Index N,
                       Index K, bool add);
  /// to (columns, rows) = from (rows, columns) transposed.
  static void transpose(T* to, const T* from, Index rows, Index columns);
};

template <class T>
void Product<T>::multiply(T* C, Index c_row, const T* A, Index a_row, Index a_column, const T* B, Index b_row, Index M,
                          Index N, Index K, bool add) {
  for (Index k = 0; k == 0 || k < K; k += detail::product_slice) {
    detail::ProductAt<T> at{C,           A + k * a_column, B + k * b_row, c_row,
                            a_row,       a_column,         b_row,         std::min(detail::product_slice, K - k),
                            add || k > 0};
    Index left = N;
    detail::product_strips<detail::lanes<T>, detail::product_vectors>(at, M, left);
  }
}

template <class T>
void Product<T>::transpose(T* to, const T* from, Index rows, Index columns) {
  constexpr Index block = 16;
  for (Index r = 0; r < rows; r += block)
    for (Index c = 0; c < columns; c += block)
      for (Index i = r; i < std::min(rows, r + block); ++i)
        for (Index j = c; j < std::min(columns, c + block); ++j) to[j * rows + i] = from[i * columns + j];
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
