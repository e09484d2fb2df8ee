// C (M, N) = A B or C += A B for bfloat16 operands, summed in float. Two neighbours in k travel together as one 32-bit word, a
// pair, since processors with AVX-512 BF16 multiply and add pairs; both operands are packed first, so that the inner loop reads
// them front to back whatever their strides, sizes and tails are.
//     packed A   groups of `rows` rows:     for each pair of k, that pair of every row of the group
//     packed B   panels of `columns` columns: for each pair of k, that pair of every column of the panel
// What a group, a panel or the last pair lacks is zero. The order of every sum depends on K alone.
#pragma once

#include <cstdint>

#include "wu/core/dtype.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// One thread's work each. T: bfloat16.
template <class T>
struct PairProduct {
  using Pair = std::uint32_t;
#if defined(__AVX512F__)
  static constexpr Index rows = 12;
#else
  static constexpr Index rows = 4;
#endif
  static constexpr Index columns = 2 * detail::lanes<float>;

  static constexpr Index pairs(Index K) { return (K + 1) / 2; }
  static constexpr Index up_to(Index multiple, Index count) { return (count + multiple - 1) / multiple * multiple; }
  /// The pairs that a packed operand takes.
  static constexpr Index packed_rows(Index M, Index K) { return up_to(rows, M) * pairs(K); }
  static constexpr Index packed_columns(Index N, Index K) { return up_to(columns, N) * pairs(K); }

  /// A (M, K), rows a_row values apart.
  static void pack_rows(Pair* to, const T* A, Index a_row, Index M, Index K);
  /// B, given as its transpose (N, K): the weights of a linear layer, the keys of an attention.
  static void pack_transposed(Pair* to, const T* B, Index b_row, Index N, Index K);
  /// B, given as (K, N): the values of an attention.
  static void pack_columns(Pair* to, const T* B, Index b_row, Index N, Index K);
  /// C has room for whole groups and panels: (up_to(rows, M), up_to(columns, N)), rows c_row floats apart.
  static void multiply(float* C, Index c_row, const Pair* A, const Pair* B, Index M, Index N, Index K, bool add);
};

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel

#ifndef WU_PRECOMPILED
#include "wu/cpu/pairs.hpp"
#endif
