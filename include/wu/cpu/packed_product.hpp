// C (M, N) = A B or C += A B for one thread, operands packed first, so that the inner loop reads them front to back whatever
// their strides, sizes and tails are. A word is what one instruction multiplies in a lane: one value of float or double; for
// bfloat16 two neighbours in k, since processors with AVX-512 BF16 multiply and add pairs. bfloat16 is summed in float.
//     packed A   groups of `rows` rows:       for each word of k, that word of every row of the group
//     packed B   panels of `columns` columns: for each word of k, that word of every column of the panel
// What a group, a panel or the last word lacks is zero. The order of every sum depends on K alone.
#pragma once

#include <cstdint>
#include <type_traits>

#include "wu/core/dtype.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// T: float, double or bfloat16.
template <class T>
struct PackedProduct {
  using Sum = accumulator_t<T>;
  using Word = std::conditional_t<std::is_same_v<T, bfloat16>, std::uint32_t, T>;
  /// Values of k in a word.
  static constexpr Index depth = std::is_same_v<T, bfloat16> ? 2 : 1;
#if defined(__AVX512F__)
  static constexpr Index rows = 12;
#else
  static constexpr Index rows = 4;
#endif
  static constexpr Index columns = 2 * detail::lanes<Sum>;

  static constexpr Index words(Index K) { return (K + depth - 1) / depth; }
  static constexpr Index up_to(Index multiple, Index count) { return (count + multiple - 1) / multiple * multiple; }
  /// The words that a packed operand takes.
  static constexpr Index packed_rows(Index M, Index K) { return up_to(rows, M) * words(K); }
  static constexpr Index packed_columns(Index N, Index K) { return up_to(columns, N) * words(K); }

  /// A as (M, K), rows a_row values apart.
  static void pack_rows(Word* to, const T* A, Index a_row, Index M, Index K);
  /// A given as its transpose, (K, M).
  static void pack_rows_transposed(Word* to, const T* A, Index a_row, Index M, Index K);
  /// B as (K, N): the values of an attention.
  static void pack_columns(Word* to, const T* B, Index b_row, Index N, Index K);
  /// B given as its transpose, (N, K): the weights of a linear layer, the keys of an attention.
  static void pack_columns_transposed(Word* to, const T* B, Index b_row, Index N, Index K);
  /// C has room for whole groups and panels: (up_to(rows, M), up_to(columns, N)), rows c_row sums apart. A, B: packed.
  static void multiply(Sum* C, Index c_row, const Word* A, const Word* B, Index M, Index N, Index K, bool add);
  /// The same with A as it lies: M rows of words(K) words, a_row words apart. Rows up to a multiple of four are read.
  static void multiply_rows(Sum* C, Index c_row, const Word* A, Index a_row, const Word* B, Index M, Index N, Index K,
                            bool add);
  /// And with A given as its transpose: words(K) rows of M words. Columns up to a multiple of four are read.
  static void multiply_columns(Sum* C, Index c_row, const Word* A, Index a_row, const Word* B, Index M, Index N, Index K,
                               bool add);
};

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel

#ifndef WU_PRECOMPILED
#include "wu/cpu/packed_kernel.hpp"
#endif
