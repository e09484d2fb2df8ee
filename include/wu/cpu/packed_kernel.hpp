// The product of cpu/packed_product.hpp: a block of C stays in vector registers while the words of k go by. A program that links
// wu::precompiled does not include this file.
#pragma once

#if defined(__AVX512BF16__) && defined(__AVX512VL__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <utility>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/packed_product.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {

/// sum + a b in every lane; for pairs, sum + low(a) low(b) + high(a) high(b).
template <class Sum, class Word>
[[gnu::always_inline]] inline Sum add_product(const Sum& sum, const Word& a, const Word& b) {
  if constexpr (std::is_same_v<Sum, Word>) return sum + a * b;
  else {
#if defined(__AVX512BF16__) && defined(__AVX512VL__)
    if constexpr (sizeof(Sum) == sizeof(__m128))
      return std::bit_cast<Sum>(
          _mm_dpbf16_ps(std::bit_cast<__m128>(sum), std::bit_cast<__m128bh>(a), std::bit_cast<__m128bh>(b)));
    else if constexpr (sizeof(Sum) == sizeof(__m256))
      return std::bit_cast<Sum>(
          _mm256_dpbf16_ps(std::bit_cast<__m256>(sum), std::bit_cast<__m256bh>(a), std::bit_cast<__m256bh>(b)));
    else
      return std::bit_cast<Sum>(
          _mm512_dpbf16_ps(std::bit_cast<__m512>(sum), std::bit_cast<__m512bh>(a), std::bit_cast<__m512bh>(b)));
#else
    return sum + std::bit_cast<Sum>(a << 16) * std::bit_cast<Sum>(b << 16) +
           std::bit_cast<Sum>(a & 0xFFFF0000u) * std::bit_cast<Sum>(b & 0xFFFF0000u);
#endif
  }
}

/// Rows rows of A times the first Vectors registers of one panel of B. Word k of row r of A lies at A[r a_row + k a_step].
template <class Product, Index Rows, Index Vectors>
[[gnu::always_inline]] inline void packed_block(typename Product::Sum* C, Index c_row, const typename Product::Word* A,
                                                Index a_row, Index a_step, const typename Product::Word* B, Index words,
                                                bool add) {
  constexpr Index W = lanes<typename Product::Sum>;
  using Sums = typename Lanes<typename Product::Sum, W>::type;
  using Words = typename Lanes<typename Product::Word, W>::type;
  Sums sum[Rows][Vectors];
  for (Index r = 0; r < Rows; ++r)
    for (Index v = 0; v < Vectors; ++v) sum[r][v] = add ? load<Sums>(C + r * c_row + v * W) : Sums{};
  for (Index k = 0; k < words; ++k, A += a_step, B += Product::columns) {
    Words b[Vectors];
    for (Index v = 0; v < Vectors; ++v) b[v] = load<Words>(B + v * W);
    for (Index r = 0; r < Rows; ++r) {
      const Words a = A[r * a_row] - Words{};
      for (Index v = 0; v < Vectors; ++v) sum[r][v] = add_product(sum[r][v], a, b[v]);
    }
  }
  for (Index r = 0; r < Rows; ++r)
    for (Index v = 0; v < Vectors; ++v) store(C + r * c_row + v * W, sum[r][v]);
}

/// All of C. A's row m, which begins a group, is at A + m a_group.
template <class Product>
[[gnu::always_inline]] inline void packed_blocks(typename Product::Sum* C, Index c_row, const typename Product::Word* A,
                                                 Index a_group, Index a_row, Index a_step, const typename Product::Word* B,
                                                 Index M, Index N, Index words, bool add) {
  constexpr Index rows = Product::rows, columns = Product::columns;
  const auto panel = [&]<Index Vectors>(Index n) {
    const auto block = [&]<Index Rows>(Index m) {
      packed_block<Product, Rows, Vectors>(C + m * c_row + n, c_row, A + m * a_group, a_row, a_step, B + n * words, words,
                                           add);
    };
    for (Index m = 0; m < M; m += rows)
      if (M - m > 8 || rows <= 4) block.template operator()<rows>(m);
      else if (M - m > 4) block.template operator()<std::min(rows, Index{8})>(m);
      else block.template operator()<4>(m);
  };
  for (Index n = 0; n < N; n += columns)
    if (N - n > columns / 2) panel.template operator()<2>(n);
    else panel.template operator()<1>(n);
}

/// One exchange of a transpose: lanes whose bit S is set move to the partner row, and from it.
template <Index S, class V, Index... J>
[[gnu::always_inline]] inline void exchange(V& a, V& b, std::integer_sequence<Index, J...>) {
  constexpr Index W = sizeof...(J);
  const V low = __builtin_shufflevector(a, b, ((J & S) != 0 ? W + J - S : J)...);
  b = __builtin_shufflevector(a, b, ((J & S) != 0 ? W + J : J + S)...);
  a = low;
}
/// W registers of W lanes, transposed.
template <Index W, class V, Index S = 1>
[[gnu::always_inline]] inline void transpose_lanes(V (&rows)[W]) {
  if constexpr (S < W) {
    for (Index i = 0; i < W; ++i)
      if ((i & S) == 0) exchange<S>(rows[i], rows[i + S], Each<W>{});
    transpose_lanes<W, V, 2 * S>(rows);
  }
}

/// W lines of Some words each, Width apart, from rows that lie `row` values apart. Rows and values beyond `count` and `left` are
/// zero; Whole: there are none.
template <class Product, Index Width, Index Some, bool Whole, class T>
[[gnu::always_inline]] inline void turn_block(typename Product::Word* to, const T* from, Index row, Index count,
                                              Index left) {
  constexpr Index W = lanes<typename Product::Sum>, D = Product::depth;
  using Words = typename Lanes<typename Product::Word, W>::type;
  using Kept = typename Lanes<typename Product::Word, Some>::type;
  // A block narrower than a register is transposed as a whole one, of which only some lanes are kept.
  Words block[W];
  for (Index r = 0; r < W; ++r) {
    if constexpr (Whole) {
      block[r] = r < Some ? load<Words>(from + r * row) : Words{};
      if (r < Some)
        __builtin_prefetch(from + r * row + 4 * W * D);  // too many streams for the processor to follow by itself
    } else {
      T some[static_cast<std::size_t>(W * D)] = {};
      if (r < Some && r < count) std::copy_n(from + r * row, std::min(left, W * D), some);
      block[r] = load<Words>(static_cast<const T*>(some));
    }
  }
  transpose_lanes<W>(block);
  const Index lines = Whole ? W : std::min(W, Product::words(left));
  for (Index line = 0; line < lines; ++line) std::memcpy(static_cast<void*>(to + line * Width), &block[line], sizeof(Kept));
}

/// `count` rows of K values, turned so that the words of one k lie side by side, Width to a line; zero beyond count.
template <class Product, Index Width, class T>
void turn_words(typename Product::Word* to, const T* from, Index row, Index count, Index K) {
  constexpr Index W = lanes<typename Product::Sum>, step = W * Product::depth;
  for (Index k = 0; k < K; k += step, to += W * Width)
    in_blocks<W>(Width, [&]<Index Some>(Index first) {
      const T* const at = from + first * row + k;
      if (K - k >= step && count >= first + Some) turn_block<Product, Width, Some, true>(to + first, at, row, Some, step);
      else turn_block<Product, Width, Some, false>(to + first, at, row, count - first, K - k);
    });
}

/// Width columns of (K, count), which lie so already; pairs are joined from two rows.
template <class Product, Index Width, class T>
void join_words(typename Product::Word* to, const T* from, Index row, Index count, Index K) {
  using Word = typename Product::Word;
  count = std::min(count, Width);
  for (Index k = 0; k < K; k += Product::depth, to += Width) {
    const T* const low = from + k * row;
    if constexpr (Product::depth == 1) {
      if (count == Width) std::memcpy(to, low, sizeof(Word) * Width);
      else std::copy_n(low, count, to);
    } else {
      const bool pair = k + 1 < K;
      in_blocks<lanes<float>>(count, [&]<Index W>(Index j) {
        const auto half = [j](const T* values) {
          if constexpr (W == 1) return static_cast<Word>(values[j].bits);
          else return __builtin_convertvector(load<HalfWordLanes<W>>(values + j), WordLanes<W>);
        };
        store(to + j, pair ? half(low) | half(low + row) << 16 : half(low));
      });
    }
    if (count < Width) std::fill_n(to + count, Width - count, Word{});
  }
}

}  // namespace detail

namespace kernel {

template <class T>
void PackedProduct<T>::pack_rows(Word* to, const T* A, Index a_row, Index M, Index K) {
  for (Index m = 0; m < M; m += rows, to += rows * words(K))
    detail::turn_words<PackedProduct, rows>(to, A + m * a_row, a_row, M - m, K);
}

template <class T>
void PackedProduct<T>::pack_rows_transposed(Word* to, const T* A, Index a_row, Index M, Index K) {
  for (Index m = 0; m < M; m += rows, to += rows * words(K))
    detail::join_words<PackedProduct, rows>(to, A + m, a_row, M - m, K);
}

template <class T>
void PackedProduct<T>::pack_columns(Word* to, const T* B, Index b_row, Index N, Index K) {
  for (Index n = 0; n < N; n += columns, to += columns * words(K))
    detail::join_words<PackedProduct, columns>(to, B + n, b_row, N - n, K);
}

template <class T>
void PackedProduct<T>::pack_columns_transposed(Word* to, const T* B, Index b_row, Index N, Index K) {
  for (Index n = 0; n < N; n += columns, to += columns * words(K))
    detail::turn_words<PackedProduct, columns>(to, B + n * b_row, b_row, N - n, K);
}

template <class T>
void PackedProduct<T>::multiply(Sum* C, Index c_row, const Word* A, const Word* B, Index M, Index N, Index K, bool add) {
  detail::packed_blocks<PackedProduct>(C, c_row, A, words(K), 1, rows, B, M, N, words(K), add);
}

template <class T>
void PackedProduct<T>::multiply_rows(Sum* C, Index c_row, const Word* A, Index a_row, const Word* B, Index M, Index N,
                                     Index K, bool add) {
  detail::packed_blocks<PackedProduct>(C, c_row, A, a_row, a_row, 1, B, M, N, words(K), add);
}

template <class T>
void PackedProduct<T>::multiply_columns(Sum* C, Index c_row, const Word* A, Index a_row, const Word* B, Index M, Index N,
                                        Index K, bool add) {
  detail::packed_blocks<PackedProduct>(C, c_row, A, 1, 1, a_row, B, M, N, words(K), add);
}

}  // namespace kernel

}  // namespace wu::cpu::inline WU_CPU_TARGET
