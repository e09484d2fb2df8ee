// Attention of at most 16 queries to at most 16 keys on the CPU: over the layers of a network, over the ranks of an adapter.
// Products of that size cost more to set up than to compute. Here channels lie across the lanes, and the sums over
// lanes of a register's worth of scores are taken together. The formulas of ops/attention.hpp, with
// delta_i = sum_j p_ij (dout_i . v_j).
#pragma once

#include "wu/cpu/attention_operands.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
/// The most queries and the most keys.
inline constexpr Index short_rows = 16;
}  // namespace detail

namespace kernel {
/// T: float, double or bfloat16.
template <class T>
struct ShortAttention {
  using Sum = accumulator_t<T>;
  static constexpr bool answers(Index queries, Index keys) {
    return queries <= detail::short_rows && keys <= detail::short_rows;
  }
  static bool answers(const AttentionRows& rows) { return answers(rows.query.size(), rows.key.size()); }
  static void forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<Sum> lse, const AttentionOperands<T>& in);
  static void backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g, const AttentionOperands<T>& in);
  /// Bytes of scratch that each takes for each thread.
  static constexpr Index forward_bytes(Index D) { return copied_bytes(D); }
  static constexpr Index backward_bytes(Index D) { return 4 * copied_bytes(D); }
  /// Those of one operand's rows.
  static constexpr Index copied_bytes(Index D) { return static_cast<Index>(Workspace::bytes_of<T>(detail::short_rows * D)); }
};
}  // namespace kernel

}  // namespace wu::cpu::inline WU_CPU_TARGET

#ifndef WU_PRECOMPILED
#include "wu/cpu/short_attention_kernel.hpp"
#endif
