// Between bfloat16 and float in vector registers. A compiler does not find these in a loop over single values, for the
// conversion asks of each whether it is a NaN.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "wu/core/dtype.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::detail {

template <Index W>
using FloatLanes = typename Lanes<float, W>::type;
template <Index W>
using WordLanes = typename Lanes<std::uint32_t, W>::type;
template <Index W>
using HalfWordLanes = typename Lanes<std::uint16_t, W>::type;

/// W values as floats; exact.
template <Index W>
[[gnu::always_inline]] inline FloatLanes<W> load_wide(const bfloat16* from) {
  if constexpr (W == 1) return static_cast<float>(*from);
  else return std::bit_cast<FloatLanes<W>>(__builtin_convertvector(load<HalfWordLanes<W>>(from), WordLanes<W>) << 16);
}
/// The same of values that are summed in their own type, so that a kernel can be written once.
template <Index W>
[[gnu::always_inline]] inline FloatLanes<W> load_wide(const float* from) {
  return load<FloatLanes<W>>(from);
}
template <Index W>
[[gnu::always_inline]] inline typename Lanes<double, W>::type load_wide(const double* from) {
  return load<typename Lanes<double, W>::type>(from);
}

/// W floats rounded as bfloat16's constructor does.
template <Index W>
[[gnu::always_inline]] inline void store_narrow(bfloat16* to, const FloatLanes<W>& values) {
  if constexpr (W == 1) *to = bfloat16(values);
  else {
    const auto bits = std::bit_cast<WordLanes<W>>(values);
    const WordLanes<W> rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
    const auto is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
    store(to, __builtin_convertvector(is_nan ? quiet : rounded, HalfWordLanes<W>));
  }
}

/// `count` values, rounded.
inline void narrow(bfloat16* to, const float* from, Index count) {
  in_blocks<lanes<float>>(count, [=]<Index W>(Index k) { store_narrow<W>(to + k, load_wide<W>(from + k)); });
}
/// `count` values, exact.
inline void widen(float* to, const bfloat16* from, Index count) {
  in_blocks<lanes<float>>(count, [=]<Index W>(Index k) { store(to + k, load_wide<W>(from + k)); });
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::detail
