// Products in which one extent, the rank R of an adapter, is small. A general matrix product spends more time packing the long
// operand than multiplying it; here that is read, and written, where it lies, once, and only the adapter is packed. One thread's
// work each.
//     project   P (rows, R)  = X (rows, N) V (N, R)
//     expand    Y (rows, N) += scale P (rows, R) U (R, N)
//     reduce    M (R, N)    += P^T X                                 X: (rows, N)
// The kernels are compiled for ranks 4, 8, 16, 32 and 64. Another rank is filled with zeros up to the next of them, or, from 16
// on, to the next multiple of 16, for which there is a loop. A word is what one instruction multiplies in a lane: one value of
// float or double; of bfloat16, which is summed in float, two neighbours in the extent that is summed over. The order of every
// sum depends on N (for reduce: rows) alone.
#pragma once

#include <cstdint>
#include <type_traits>

#include "wu/core/dtype.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// The three products and how their small operands are packed. T: float, double or bfloat16. All matrices are row-major.
template <class T>
struct Skinny {
  using Sum = accumulator_t<T>;
  using Word = std::conditional_t<std::is_same_v<T, bfloat16>, std::uint32_t, T>;
  /// Values in a word.
  static constexpr Index depth = std::is_same_v<T, bfloat16> ? 2 : 1;
  /// Columns of U that are packed side by side.
  static constexpr Index panel = 2 * detail::lanes<Sum>;
  /// The most rows that reduce takes at once.
  static constexpr Index most_rows = 256;

  static constexpr Index up_to(Index multiple, Index count) { return (count + multiple - 1) / multiple * multiple; }
  static constexpr Index words(Index count) { return (count + depth - 1) / depth; }
  /// R with the zeros that fill it up: the columns of P.
  static constexpr Index width(Index R) { return R <= 4 ? 4 : R <= 8 ? 8 : up_to(16, R); }
  /// Words of packed operands: V, U, and the P of `rows` rows for reduce.
  static constexpr Index tall_words(Index N, Index R) { return words(N) * width(R); }
  static constexpr Index wide_words(Index R, Index N) { return words(width(R)) * up_to(panel, N); }
  static constexpr Index low_words(Index rows, Index R) { return words(rows) * width(R); }

  /// V (N, R), or given as its transpose (R, N).
  static void pack_tall(Word* to, const T* V, Index N, Index R);
  static void pack_tall_transposed(Word* to, const T* V, Index N, Index R);
  /// U (R, N), or given as its transpose (N, R).
  static void pack_wide(Word* to, const T* U, Index R, Index N);
  static void pack_wide_transposed(Word* to, const T* U, Index R, Index N);
  /// P (rows, R) for reduce.
  static void pack_low(Word* to, const T* P, Index rows, Index R);

  /// P (rows, width(R)) = X V.   V: packed
  static void project(T* P /* = */, const T* X, const Word* V, Index R, Index N, Index rows);
  /// Y += scale P U.   P: (rows, width(R))   U: packed
  static void expand(T* Y /* += */, const T* P, const Word* U, Index R, Index N, Index rows, Sum scale);
  /// The same for some whole panels of Y, sums that lie y_row apart. U: from their first on.
  static void expand_sums(Sum* Y /* += */, Index y_row, const T* P, const Word* U, Index R, Index panels, Index rows,
                          Sum scale);
  /// M (width(R), columns), with room for whole registers: rows up_to(panel, columns) sums apart. P: packed, at most most_rows
  /// rows. X: (rows, columns), rows x_row values apart.
  static void reduce(Sum* M /* += */, const Word* P, const T* X, Index x_row, Index R, Index columns, Index rows);
};

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel

#ifndef WU_PRECOMPILED
#include "wu/cpu/skinny_kernel.hpp"
#endif
