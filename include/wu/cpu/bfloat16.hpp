// Between bfloat16 and float in vector registers. A compiler does not find these in a loop over single values, for the
// conversion asks of each whether it is a NaN. float and double have the same two functions, which leave them as they are: a
// kernel that loads wide and stores narrow is written once for all three.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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
  // GCC 12 takes four instructions to make words of a register's half words, where the processor has one. (The masks, of all
  // lanes, spare its warning about registers that are not set.)
#if defined(__AVX512F__)
  else if constexpr (W == 16)
    return std::bit_cast<FloatLanes<W>>(std::bit_cast<WordLanes<W>>(_mm512_maskz_cvtepu16_epi32(0xFFFF, load<__m256i>(from)))
                                        << 16);
#endif
#if defined(__AVX2__)
  else if constexpr (W == 8)
    return std::bit_cast<FloatLanes<W>>(std::bit_cast<WordLanes<W>>(_mm256_cvtepu16_epi32(load<__m128i>(from))) << 16);
#endif
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

/// W floats rounded as bfloat16's constructor does, but that the processor's own instruction takes subnormal numbers, those below
/// 2^-126, for zero.
template <Index W>
[[gnu::always_inline]] inline void store_narrow(bfloat16* to, const FloatLanes<W>& values) {
#if defined(__AVX512BF16__)
  __m512 all{};  // fewer lanes too, so that no number depends on the lane it comes to lie in
  std::memcpy(&all, &values, sizeof(values));
  const __m256bh rounded = _mm512_cvtneps_pbh(all);
  std::memcpy(static_cast<void*>(to), &rounded, W * sizeof(bfloat16));
#else
  if constexpr (W == 1) *to = bfloat16(values);
  else {
    const auto bits = std::bit_cast<WordLanes<W>>(values);
    const WordLanes<W> rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
    const auto is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
    store(to, __builtin_convertvector(is_nan ? quiet : rounded, HalfWordLanes<W>));
  }
#endif
}
/// Floats and doubles as they are.
template <Index W>
[[gnu::always_inline]] inline void store_narrow(float* to, const FloatLanes<W>& values) {
  store(to, values);
}
template <Index W>
[[gnu::always_inline]] inline void store_narrow(double* to, const typename Lanes<double, W>::type& values) {
  store(to, values);
}

/// W values of the type in which T is summed.
template <class T, Index W>
using WideLanes = typename Lanes<accumulator_t<T>, W>::type;

/// Calls block.template operator()<W>(first) on 0 .. count-1, W a register's worth of what T is summed in, then less at the end.
template <class T, class Block>
[[gnu::always_inline]] inline void each_wide(Index count, const Block& block) {
  in_blocks<lanes<accumulator_t<T>>>(count, block);
}

/// `count` values, rounded to T.
template <class T>
inline void narrow(T* to, const accumulator_t<T>* from, Index count) {
  each_wide<T>(count, [=]<Index W>(Index k) { store_narrow<W>(to + k, load_wide<W>(from + k)); });
}
/// `count` values, exact.
template <class T>
inline void widen(accumulator_t<T>* to, const T* from, Index count) {
  each_wide<T>(count, [=]<Index W>(Index k) { store(to + k, load_wide<W>(from + k)); });
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::detail
