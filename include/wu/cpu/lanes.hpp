// Vector registers: how wide they are on the machine that is compiled for, values in their lanes, and sums over lanes.
#pragma once

#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "wu/core/view.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::detail {

/// Bytes of a vector register, and how many rows of two registers of sums fit beside their operands.
#if defined(__AVX512F__)
inline constexpr Index register_bytes = 64, sum_rows = 8;
#elif defined(__AVX__)
inline constexpr Index register_bytes = 32, sum_rows = 4;
#else
inline constexpr Index register_bytes = 16, sum_rows = 4;
#endif

// Compilers do find vector code in loops over small arrays, but whether the sums stay in registers changes from one version
// to the next by a factor of five. Vector types of GCC and Clang say it outright.
template <class T, Index W>
struct Lanes {
  typedef T type __attribute__((vector_size(W * sizeof(T))));
};
template <class T>
struct Lanes<T, 1> {
  using type = T;
};
/// How many values of T fill a register.
template <class T>
inline constexpr Index lanes = register_bytes / static_cast<Index>(sizeof(T));

template <class V, class T>
[[gnu::always_inline]] inline V load(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}
template <class V, class T>
[[gnu::always_inline]] inline void store(T* to, const V& v) {
  std::memcpy(static_cast<void*>(to), &v, sizeof(V));
}

template <Index N>
using Each = std::make_integer_sequence<Index, N>;

/// Cuts from .. count-1 into blocks of Size, a power of two, then of smaller powers of two, and calls
/// block.template operator()<size>(first) on each.
template <Index Size, class Block>
[[gnu::always_inline]] inline void in_blocks(Index count, const Block& block, Index from = 0) {
  for (; from + Size <= count; from += Size) block.template operator()<Size>(from);
  if constexpr (Size > 1) in_blocks<Size / 2>(count, block, from);
}

/// How many values of S are summed side by side.
template <class S>
inline constexpr Index side_by_side = static_cast<Index>(128 / sizeof(S));

/// Sum of term(c) over c = 0 .. count-1: partial sums side by side, which the compiler keeps in vector registers, then halved.
template <class S>
inline S lane_sum(Index count, auto&& term) {
  constexpr Index L = side_by_side<S>;
  S part[L] = {};
  Index c = 0;
  for (; c + L <= count; c += L)
    for (Index j = 0; j < L; ++j) part[j] += term(c + j);
  for (Index j = 0; c + j < count; ++j) part[j] += term(c + j);
  for (Index half = L / 2; half > 0; half /= 2)
    for (Index j = 0; j < half; ++j) part[j] += part[j + half];
  return part[0];
}

/// The sum over W lanes, halved until one is left.
template <class S, Index W>
[[gnu::always_inline]] inline S sum_over(const typename Lanes<S, W>::type& values) {
  if constexpr (W == 1) return values;
  else {
    struct Halves {
      typename Lanes<S, W / 2>::type low, high;
    };
    const auto halves = std::bit_cast<Halves>(values);
    return sum_over<S, W / 2>(halves.low + halves.high);
  }
}

/// N sums over c = 0 .. count-1 at once: term.template operator()<W>(c) gives W lanes of each, as a std::array, from c on. Four
/// registers of partial sums for each, then halved; the order depends on count alone.
template <class S, std::size_t N, class Term>
[[gnu::always_inline]] inline std::array<S, N> row_sums(Index count, const Term& term) {
  constexpr Index W = lanes<S>;
  using Parts = std::array<typename Lanes<S, W>::type, N>;
  const auto add = [](Parts& part, const Parts& more) {
    for (std::size_t n = 0; n < N; ++n) part[n] += more[n];
  };
  Parts a{}, b{}, c{}, d{};
  Index k = 0;
  for (; k + 4 * W <= count; k += 4 * W) {
    add(a, term.template operator()<W>(k)), add(b, term.template operator()<W>(k + W));
    add(c, term.template operator()<W>(k + 2 * W)), add(d, term.template operator()<W>(k + 3 * W));
  }
  for (; k + W <= count; k += W) add(a, term.template operator()<W>(k));
  add(a, b), add(c, d), add(a, c);
  std::array<S, N> sums;
  for (std::size_t n = 0; n < N; ++n) sums[n] = sum_over<S, W>(a[n]);
  if constexpr (W > 1)
    in_blocks<W / 2>(
        count,
        [&]<Index few>(Index at) {
          const auto more = term.template operator()<few>(at);
          for (std::size_t n = 0; n < N; ++n) sums[n] += sum_over<S, few>(more[n]);
        },
        k);
  return sums;
}

/// The largest of count > 0 values, none of them NaN.
template <class S>
inline S lane_max(Index count, const S* values) {
  constexpr Index L = side_by_side<S>;
  S part[L];
  for (Index j = 0; j < L; ++j) part[j] = values[0];
  Index c = 0;
  for (; c + L <= count; c += L)
    for (Index j = 0; j < L; ++j) part[j] = part[j] < values[c + j] ? values[c + j] : part[j];
  for (; c < count; ++c) part[0] = part[0] < values[c] ? values[c] : part[0];
  for (Index j = 1; j < L; ++j) part[0] = part[0] < part[j] ? part[j] : part[0];
  return part[0];
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::detail
