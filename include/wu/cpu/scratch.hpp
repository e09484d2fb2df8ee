// What operations take from the workspace on the CPU, as wu::ReferenceScratch says it of the reference.
#pragma once

#include <cstddef>

#include "wu/cpu/attention.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

/// Bytes that operations take from the workspace on so many threads: wu::cpu::Scratch{ctx.threads()}. What linear layers take
/// lies in the context.
struct Scratch {
  int threads = 1;
  /// attention_forward, for groups of so many queries and keys and heads of width D.
  template <class T>
  constexpr std::size_t attention(Index queries, Index keys, Index D) const {
    return attention_scratch_bytes<T>(queries, keys, D, threads);
  }
  /// attention_backward.
  template <class T>
  constexpr std::size_t attention_backward(Index queries, Index keys, Index D) const {
    return attention_backward_scratch_bytes<T>(queries, keys, D, threads);
  }
  /// joint_linear_backward.
  template <class T>
  constexpr std::size_t joint_linear_backward(Index /*values*/) const {
    return 0;
  }
};

}  // namespace wu::cpu::inline WU_CPU_TARGET
