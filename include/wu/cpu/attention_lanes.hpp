// What the kernels of attention do within a register or between two: sums and maxima over lanes, dot products of rows, and two
// rows of weights joined for a product whose words are pairs.
#pragma once

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::detail {

template <Index First, class V, Index... J>
[[gnu::always_inline]] inline auto lanes_from(const V& v, std::integer_sequence<Index, J...>) {
  return __builtin_shufflevector(v, v, (First + J)...);
}
/// All W lanes of v as one number; of(a, b) takes numbers and registers.
template <Index W, class V, class Of>
[[gnu::always_inline]] inline auto fold(const V& v, const Of& of) {
  if constexpr (W == 2) return of(v[0], v[1]);
  else return fold<W / 2>(of(lanes_from<0>(v, Each<W / 2>{}), lanes_from<W / 2>(v, Each<W / 2>{})), of);
}
/// One step of sum_each: lanes whose bit S is set sum b, the others a.
template <Index S, class V, Index... J>
[[gnu::always_inline]] inline V sum_neighbours(const V& a, const V& b, std::integer_sequence<Index, J...>) {
  constexpr Index W = sizeof...(J);
  return __builtin_shufflevector(a, b, ((J & S) != 0 ? W + J - S : J)...) +
         __builtin_shufflevector(a, b, ((J & S) != 0 ? W + J : J + S)...);
}
/// Lane n: the sum over all lanes of register n.
template <Index Count, class V, Index S = 1>
[[gnu::always_inline]] inline V sum_each(const V (&all)[Count]) {
  if constexpr (Count == 1) return all[0];
  else {
    constexpr Index W = sizeof(V) / sizeof(all[0][0]);
    V half[Count / 2];
    for (Index n = 0; n < Count / 2; ++n) half[n] = sum_neighbours<S>(all[2 * n], all[2 * n + 1], Each<W>{});
    return sum_each<Count / 2, V, 2 * S>(half);
  }
}
inline constexpr auto sum_of_two = [](const auto& a, const auto& b) { return a + b; };
inline constexpr auto larger_of_two = [](const auto& a, const auto& b) { return a < b ? b : a; };

/// The first `count` lanes are v's, the others `rest`.
template <class T, Index W, class V>
[[gnu::always_inline]] inline V first_lanes(const V& v, Index count, T rest) {
  const auto number = []<Index... J>(std::integer_sequence<Index, J...>) { return V{static_cast<T>(J)...}; }(Each<W>{});
  const V all = rest - V{};
  return number < static_cast<T>(count) ? v : all;
}

/// The first `count` of W values, wide, then zeros.
template <Index W, class T>
[[gnu::always_inline]] inline auto load_some(const T* from, Index count) {
  T some[static_cast<std::size_t>(W)] = {};
  std::copy_n(from, count, some);
  return load_wide<W>(static_cast<const T*>(some));
}

/// sum over c of a_c b_c.
template <class T>
[[gnu::always_inline]] inline accumulator_t<T> dot(const T* a, const T* b, Index count) {
  using S = accumulator_t<T>;
  constexpr Index W = lanes<S>;
  typename Lanes<S, W>::type sum{};
  Index c = 0;
  for (; c + W <= count; c += W) sum += load_wide<W>(a + c) * load_wide<W>(b + c);
  if (c < count) sum += load_some<W>(a + c, count - c) * load_some<W>(b + c, count - c);
  return fold<W>(sum, sum_of_two);
}

/// to = factor * from, rounded to T.
template <class T>
[[gnu::always_inline]] inline void store_scaled(T* to, const accumulator_t<T>* from, accumulator_t<T> factor, Index count) {
  using S = accumulator_t<T>;
  in_blocks<lanes<S>>(count, [=]<Index W>(Index c) {
    store_narrow<W>(to + c, static_cast<typename Lanes<S, W>::type>(factor * load_wide<W>(from + c)));
  });
}

/// A register of words whose halves are low and high rounded likewise.
template <Index W>
[[gnu::always_inline]] inline WordLanes<W> join(const FloatLanes<W>& low, const FloatLanes<W>& high) {
#if defined(__AVX512BF16__)
  if constexpr (W == 16) {
    const auto halves = std::bit_cast<typename Lanes<std::uint16_t, 32>::type>(
        _mm512_cvtne2ps_pbh(std::bit_cast<__m512>(high), std::bit_cast<__m512>(low)));
    return [&]<Index... J>(std::integer_sequence<Index, J...>) {
      return std::bit_cast<WordLanes<W>>(__builtin_shufflevector(halves, halves, (J / 2 + J % 2 * 16)...));
    }(Each<32>{});
  }
#endif
  const auto rounded = [](const FloatLanes<W>& value) {
    const auto bits = std::bit_cast<WordLanes<W>>(value);
    const WordLanes<W> nearest = bits + 0x7FFFu + (bits >> 16 & 1u), quiet = bits | 0x400000u;
    return static_cast<WordLanes<W>>((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : nearest);
  };
  return rounded(low) >> 16 | (rounded(high) & 0xFFFF0000u);
}
/// The halves of joined words, low and high, in a row of their own each.
template <Index W>
[[gnu::always_inline]] inline void store_halves(bfloat16* low, bfloat16* high, const WordLanes<W>& joined) {
  store(low, __builtin_convertvector(joined, HalfWordLanes<W>));
  store(high, __builtin_convertvector(static_cast<WordLanes<W>>(joined >> 16), HalfWordLanes<W>));
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::detail
