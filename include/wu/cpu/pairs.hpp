// The product of cpu/pair_product.hpp: a block of C stays in vector registers while the pairs of k go by. A program that links
// wu::precompiled does not include this file.
#pragma once

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstdint>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/pair_product.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {

/// sum + low(a) low(b) + high(a) high(b) in every lane.
template <Index W>
[[gnu::always_inline]] inline FloatLanes<W> add_pairs(const FloatLanes<W>& sum, const WordLanes<W>& a,
                                                      const WordLanes<W>& b) {
#if defined(__AVX512BF16__)
  return std::bit_cast<FloatLanes<W>>(
      _mm512_dpbf16_ps(std::bit_cast<__m512>(sum), std::bit_cast<__m512bh>(a), std::bit_cast<__m512bh>(b)));
#else
  using Floats = FloatLanes<W>;
  return sum + std::bit_cast<Floats>(a << 16) * std::bit_cast<Floats>(b << 16) +
         std::bit_cast<Floats>(a & 0xFFFF0000u) * std::bit_cast<Floats>(b & 0xFFFF0000u);
#endif
}

/// One group of A times one panel of B.
template <Index Rows, Index Columns>
void pair_block(float* C, Index c_row, const std::uint32_t* A, const std::uint32_t* B, Index pairs, bool add) {
  constexpr Index W = lanes<float>, V = Columns / W;
  FloatLanes<W> sum[Rows][V];
  for (Index r = 0; r < Rows; ++r)
    for (Index v = 0; v < V; ++v) sum[r][v] = add ? load<FloatLanes<W>>(C + r * c_row + v * W) : FloatLanes<W>{};
  for (Index k = 0; k < pairs; ++k, A += Rows, B += Columns) {
    WordLanes<W> b[V];
    for (Index v = 0; v < V; ++v) b[v] = load<WordLanes<W>>(B + v * W);
    for (Index r = 0; r < Rows; ++r) {
      const WordLanes<W> a = A[r] | WordLanes<W>{};
      for (Index v = 0; v < V; ++v) sum[r][v] = add_pairs<W>(sum[r][v], a, b[v]);
    }
  }
  for (Index r = 0; r < Rows; ++r)
    for (Index v = 0; v < V; ++v) store(C + r * c_row + v * W, sum[r][v]);
}

/// `count` rows of K values, turned so that the pairs of one k lie side by side, Width to a line; zero beyond count.
template <Index Width>
void turn_pairs(std::uint32_t* to, const bfloat16* from, Index row, Index count, Index K) {
  const Index whole = K / 2;
  constexpr Index strip = 16;  // pairs: one cache line of every row
  for (Index first = 0; first < whole; first += strip) {
    const Index end = std::min(whole, first + strip);
    for (Index r = 0; r < count; ++r)
      for (Index k = first; k < end; ++k) to[k * Width + r] = load<std::uint32_t>(from + r * row + 2 * k);
  }
  for (Index r = 0; r < count && K % 2 != 0; ++r) to[whole * Width + r] = from[r * row + K - 1].bits;
  for (Index k = 0; k < (K + 1) / 2 && count < Width; ++k) std::fill_n(to + k * Width + count, Width - count, 0u);
}

}  // namespace detail

namespace kernel {

template <class T>
void PairProduct<T>::pack_rows(Pair* to, const T* A, Index a_row, Index M, Index K) {
  for (Index m = 0; m < M; m += rows, to += rows * pairs(K))
    detail::turn_pairs<rows>(to, A + m * a_row, a_row, std::min(rows, M - m), K);
}

template <class T>
void PairProduct<T>::pack_transposed(Pair* to, const T* B, Index b_row, Index N, Index K) {
  for (Index n = 0; n < N; n += columns, to += columns * pairs(K))
    detail::turn_pairs<columns>(to, B + n * b_row, b_row, std::min(columns, N - n), K);
}

template <class T>
void PairProduct<T>::pack_columns(Pair* to, const T* B, Index b_row, Index N, Index K) {
  for (Index n = 0; n < N; n += columns, to += columns * pairs(K)) {
    const Index count = std::min(columns, N - n);
    for (Index k = 0; k < K; k += 2) {
      const T *const low = B + k * b_row + n, *const high = low + b_row;
      Pair* const line = to + k / 2 * columns;
      for (Index j = 0; j < count; ++j)
        line[j] = low[j].bits | (k + 1 < K ? static_cast<Pair>(high[j].bits) << 16 : Pair{0});
      std::fill_n(line + count, columns - count, Pair{0});
    }
  }
}

template <class T>
void PairProduct<T>::multiply(float* C, Index c_row, const Pair* A, const Pair* B, Index M, Index N, Index K, bool add) {
  for (Index n = 0; n < N; n += columns)
    for (Index m = 0; m < M; m += rows)
      detail::pair_block<rows, columns>(C + m * c_row + n, c_row, A + m * pairs(K), B + n * pairs(K), pairs(K), add);
}

}  // namespace kernel

}  // namespace wu::cpu::inline WU_CPU_TARGET
