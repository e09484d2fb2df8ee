// C (M, N) = A B, or C += A B, with N known at compile time: the products of layers whose sizes stand in their types. A may be
// read along either axis (a row and a column stride), B and C are row-major, so that forward, dx and dW need no packed copies.
// A block of C stays in vector registers while k goes by; k goes in slices whose part of B stays in the second cache.
// The order of every sum depends on K alone.
#pragma once

#include <algorithm>

#include "wu/cpu/skinny.hpp"

namespace wu::cpu {

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

/// Rows x (Vectors registers) of C.
template <class T, Index Lane, Index Rows, Index Vectors>
[[gnu::always_inline]] inline void product_block(T* C, Index c_row, const T* A, Index a_row, Index a_column, const T* B,
                                                 Index b_row, Index K, bool add) {
  using V = typename Lanes<T, Lane>::type;
  V sum[Rows][Vectors];
  for (Index r = 0; r < Rows; ++r)
    for (Index v = 0; v < Vectors; ++v) sum[r][v] = add ? load<V>(C + r * c_row + v * Lane) : V{};
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
template <class T, Index Lane, Index Vectors>
void product_strip(T* C, Index c_row, const T* A, Index a_row, Index a_column, const T* B, Index b_row, Index M, Index K,
                   bool add) {
  Index m = 0;
  auto rows = [&]<Index Rows>(std::integral_constant<Index, Rows>) {
    for (; m + Rows <= M; m += Rows)
      product_block<T, Lane, Rows, Vectors>(C + m * c_row, c_row, A + m * a_row, a_row, a_column, B, b_row, K, add);
  };
  rows(std::integral_constant<Index, product_rows>{});
  if constexpr (product_rows > 4) rows(std::integral_constant<Index, 4>{});
  rows(std::integral_constant<Index, 1>{});
}

template <class T, Index Lane, Index N, Index From>
void product_columns(T* C, Index c_row, const T* A, Index a_row, Index a_column, const T* B, Index b_row, Index M, Index K,
                     bool add) {
  constexpr Index left = (N - From) / Lane, vectors = std::min(left, product_vectors);
  if constexpr (vectors > 0) {
    constexpr Index strips = left / vectors, width = vectors * Lane;
    for (Index s = 0; s < strips; ++s)
      product_strip<T, Lane, vectors>(C + From + s * width, c_row, A, a_row, a_column, B + From + s * width, b_row, M, K,
                                      add);
    if constexpr (From + strips * width < N)
      product_columns<T, Lane, N, From + strips * width>(C, c_row, A, a_row, a_column, B, b_row, M, K, add);
  } else if constexpr (From < N) product_columns<T, Lane / 2, N, From>(C, c_row, A, a_row, a_column, B, b_row, M, K, add);
}

}  // namespace detail

/// add: C += A B, else C = A B.   A(m, k) = A[m a_row + k a_column], B: (K, N), C: (M, N).
template <Index N, class T>
void product(T* C, Index c_row, const T* A, Index a_row, Index a_column, const T* B, Index b_row, Index M, Index K,
             bool add) {
  for (Index k = 0; k == 0 || k < K; k += detail::product_slice)
    detail::product_columns<T, detail::register_bytes / static_cast<Index>(sizeof(T)), N, 0>(
        C, c_row, A + k * a_column, a_row, a_column, B + k * b_row, b_row, M, std::min(detail::product_slice, K - k),
        add || k > 0);
}

/// to (Columns, rows) = from (rows, Columns) transposed.
template <class T>
void transpose(T* to, const T* from, Index rows, Index columns) {
  constexpr Index block = 16;
  for (Index r = 0; r < rows; r += block)
    for (Index c = 0; c < columns; c += block)
      for (Index i = r; i < std::min(rows, r + block); ++i)
        for (Index j = c; j < std::min(columns, c + block); ++j) to[j * rows + i] = from[i * columns + j];
}

}  // namespace wu::cpu
