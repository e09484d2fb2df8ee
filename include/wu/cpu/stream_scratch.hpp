// What the CPU takes beside the workspace that stream_plan (generator/stream.hpp) counts, which knows no device.
#pragma once

#include <algorithm>
#include <cstddef>

#include "wu/cpu/attention.hpp"
#include "wu/cpu/linear.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

/// Bytes of scratch of generate_tokens<Generator, T> on the CPU.
struct StreamScratch {
  std::size_t attention = 0;  ///< on top of stream_plan's, in the same workspace
  std::size_t linear = 0;     ///< in the context
};

/// For conditions of condition_length rows on so many threads.
template <class Generator, class T>
constexpr StreamScratch stream_scratch(Index condition_length, int threads) {
  constexpr Index C = Generator::C;
  StreamScratch scratch;
  const auto attend = [&](Index queries, Index keys) {
    scratch.attention = std::max(scratch.attention, attention_scratch_bytes<T>(queries, keys, Generator::D, threads));
  };
  for (std::size_t k = 0; k < Generator::Block::self_count; ++k)
    attend(Generator::Block::attended(k), Generator::Block::attended(k));
  attend(detail::query_tile, condition_length);
  const auto multiply = [&](Index In, Index Out) {
    scratch.linear = std::max(scratch.linear, linear_scratch_bytes<T>(In, Out, threads));
  };
  multiply(Generator::input, C), multiply(C, C);
  multiply(C, Generator::Block::hidden), multiply(Generator::Block::hidden, C);
  multiply(Generator::c, Generator::d);
  return scratch;
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
