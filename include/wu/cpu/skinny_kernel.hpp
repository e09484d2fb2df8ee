// The products of cpu/skinny.hpp: blocks of sums stay in vector registers while the words of the other extent go by. A program
// that links wu::precompiled does not include this file.
#pragma once

#if defined(__AVX512BF16__) && defined(__AVX512VL__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/skinny.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {

/// Registers of W sums of T's products, and of W words of T.
template <class T, Index W>
using SkinnySums = typename Lanes<typename Skinny<T>::Sum, W>::type;
template <class T, Index W>
using SkinnyWords = typename Lanes<typename Skinny<T>::Word, W>::type;

/// sum + a b in each of W lanes; for pairs, sum + low(a) low(b) + high(a) high(b).
template <class T, Index W>
[[gnu::always_inline]] inline SkinnySums<T, W> add_words(const SkinnySums<T, W>& sum, const typename Skinny<T>::Word& a,
                                                         const SkinnyWords<T, W>& b) {
  if constexpr (Skinny<T>::depth == 1) return sum + a * b;
  else {
    using Floats = FloatLanes<W>;
    const WordLanes<W> all = a - WordLanes<W>{};
#if defined(__AVX512BF16__) && defined(__AVX512VL__)
    if constexpr (W == 16)
      return std::bit_cast<Floats>(
          _mm512_dpbf16_ps(std::bit_cast<__m512>(sum), std::bit_cast<__m512bh>(all), std::bit_cast<__m512bh>(b)));
    else if constexpr (W == 8)
      return std::bit_cast<Floats>(
          _mm256_dpbf16_ps(std::bit_cast<__m256>(sum), std::bit_cast<__m256bh>(all), std::bit_cast<__m256bh>(b)));
    else
      return std::bit_cast<Floats>(
          _mm_dpbf16_ps(std::bit_cast<__m128>(sum), std::bit_cast<__m128bh>(all), std::bit_cast<__m128bh>(b)));
#else
    return sum + std::bit_cast<Floats>(all << 16) * std::bit_cast<Floats>(b << 16) +
           std::bit_cast<Floats>(all & 0xFFFF0000u) * std::bit_cast<Floats>(b & 0xFFFF0000u);
#endif
  }
}

/// W values as sums, and back, rounded once.
template <Index W, class T>
[[gnu::always_inline]] inline SkinnySums<T, W> load_sums(const T* from) {
  if constexpr (std::is_same_v<T, bfloat16>) return load_wide<W>(from);
  else return load<SkinnySums<T, W>>(from);
}
template <Index W, class T>
[[gnu::always_inline]] inline void store_sums(T* to, const SkinnySums<T, W>& sums) {
  if constexpr (std::is_same_v<T, bfloat16>) store_narrow<W>(to, sums);
  else store(to, sums);
}

/// The word of `count` <= depth neighbours; what it lacks is zero.
template <class T>
[[gnu::always_inline]] inline typename Skinny<T>::Word word_at(const T* from, Index count) {
  if constexpr (Skinny<T>::depth == 1) return *from;
  else return count > 1 ? load<std::uint32_t>(from) : std::uint32_t{from->bits};
}
/// W words of values that lie `row` apart, `count` of them in each.
template <Index W, class T>
[[gnu::always_inline]] inline SkinnyWords<T, W> words_below(const T* from, Index row, Index count) {
  if constexpr (Skinny<T>::depth == 1) return load<SkinnyWords<T, W>>(from);
  else {
    const auto half = [](const T* values) {
      if constexpr (W == 1) return std::uint32_t{values->bits};
      else return __builtin_convertvector(load<HalfWordLanes<W>>(values), WordLanes<W>);
    };
    return count > 1 ? half(from) | half(from + row) << 16 : half(from);
  }
}

/// Lines of Width words, one for each word of k, from (K, columns) values; zero beyond these, and up to `lines` lines.
template <class T>
void pack_words(typename Skinny<T>::Word* to, Index width, Index lines, const T* from, Index row, Index columns, Index K) {
  using Word = typename Skinny<T>::Word;
  constexpr Index depth = Skinny<T>::depth;
  for (Index line = 0; line < lines; ++line, to += width) {
    const Index k = line * depth, filled = k < K ? columns : 0;
    in_blocks<lanes<typename Skinny<T>::Sum>>(
        filled, [&]<Index W>(Index c) { store(to + c, words_below<W>(from + k * row + c, row, K - k)); });
    std::fill_n(to + filled, width - filled, Word{});
  }
}
/// The same from (columns, K).
template <class T>
void pack_words_transposed(typename Skinny<T>::Word* to, Index width, Index lines, const T* from, Index row, Index columns,
                           Index K) {
  using Word = typename Skinny<T>::Word;
  constexpr Index depth = Skinny<T>::depth, strip = 16;  // words: about a cache line of every row
  const Index filled = Skinny<T>::words(K);
  for (Index first = 0; first < filled; first += strip) {
    const Index end = std::min(filled, first + strip);
    for (Index c = 0; c < columns; ++c)
      for (Index k = first; k < end; ++k) to[k * width + c] = word_at(from + c * row + k * depth, K - k * depth);
  }
  for (Index k = 0; k < filled && columns < width; ++k) std::fill_n(to + k * width + columns, width - columns, Word{});
  std::fill_n(to + filled * width, (lines - filled) * width, Word{});
}

/// M rows by V registers of W columns of P, whose rows are p_row apart, as are the lines of v.
template <Index M, Index V, Index W, class T>
void project_block(T* p, Index p_row, const T* x, const typename Skinny<T>::Word* v, Index N) {
  constexpr Index depth = Skinny<T>::depth;
  SkinnySums<T, W> sum[M][V] = {};
  const auto add = [&](Index n, Index count) __attribute__((always_inline)) {
    SkinnyWords<T, W> b[V];
    for (Index i = 0; i < V; ++i) b[i] = load<SkinnyWords<T, W>>(v + n / depth * p_row + i * W);
    for (Index m = 0; m < M; ++m) {
      const auto a = word_at(x + m * N + n, count);
      for (Index i = 0; i < V; ++i) sum[m][i] = add_words<T, W>(sum[m][i], a, b[i]);
    }
  };
  const Index whole = N / depth * depth;
  for (Index n = 0; n < whole; n += depth) add(n, depth);
  if (whole < N) add(whole, 1);
  for (Index m = 0; m < M; ++m)
    for (Index i = 0; i < V; ++i) store_sums<W>(p + m * p_row + i * W, sum[m][i]);
}

/// M rows by one panel of Y, whose rows lie y_row apart. Width: that of P where it is compiled for, 0 where not.
template <Index M, Index Width, class T>
void expand_block(T* y, Index y_row, const T* p, const typename Skinny<T>::Word* u, Index any_width,
                  typename Skinny<T>::Sum scale) {
  constexpr Index W = lanes<typename Skinny<T>::Sum>, depth = Skinny<T>::depth, panel = Skinny<T>::panel;
  const Index width = Width > 0 ? Width : any_width;
  SkinnySums<T, W> sum[M][2] = {};
  for (Index j = 0; j < width; j += depth, u += panel) {
    const auto left = load<SkinnyWords<T, W>>(u), right = load<SkinnyWords<T, W>>(u + W);
    for (Index m = 0; m < M; ++m) {
      const auto a = word_at(p + m * width + j, depth);
      sum[m][0] = add_words<T, W>(sum[m][0], a, left);
      sum[m][1] = add_words<T, W>(sum[m][1], a, right);
    }
  }
  for (Index m = 0; m < M; ++m)
    for (Index i = 0; i < 2; ++i) {
      T* const at = y + m * y_row + i * W;
      store_sums<W>(at, load_sums<W>(at) + scale * sum[m][i]);
    }
}

template <Index Width, class T>
void expand_all(T* y, const T* p, const typename Skinny<T>::Word* u, Index width, Index N, Index rows,
                typename Skinny<T>::Sum scale) {
  constexpr Index panel = Skinny<T>::panel;
  const Index lines = Skinny<T>::words(width);
  in_blocks<sum_rows>(rows, [&]<Index M>(Index r) {
    Index n = 0;
    for (; n + panel <= N; n += panel) expand_block<M, Width>(y + r * N + n, N, p + r * width, u + n * lines, width, scale);
    if (n == N) return;
    T edge[M * panel] = {};  // the columns that are left, in a panel of their own
    for (Index m = 0; m < M; ++m) std::copy_n(y + (r + m) * N + n, N - n, edge + m * panel);
    expand_block<M, Width>(static_cast<T*>(edge), panel, p + r * width, u + n * lines, width, scale);
    for (Index m = 0; m < M; ++m) std::copy_n(edge + m * panel, N - n, y + (r + m) * N + n);
  });
}

/// J rows by one register of M.
template <Index J, class T>
void reduce_block(typename Skinny<T>::Sum* m, Index m_row, const typename Skinny<T>::Word* p, Index width, const T* x,
                  Index x_row, Index rows) {
  constexpr Index W = lanes<typename Skinny<T>::Sum>, depth = Skinny<T>::depth;
  SkinnySums<T, W> sum[J];
  for (Index j = 0; j < J; ++j) sum[j] = load<SkinnySums<T, W>>(m + j * m_row);
  const auto add = [&](Index r, Index count) __attribute__((always_inline)) {
    const auto b = words_below<W>(x + r * x_row, x_row, count);
    for (Index j = 0; j < J; ++j) sum[j] = add_words<T, W>(sum[j], p[r / depth * width + j], b);
  };
  const Index whole = rows / depth * depth;
  for (Index r = 0; r < whole; r += depth) add(r, depth);
  if (whole < rows) add(whole, 1);
  for (Index j = 0; j < J; ++j) store(m + j * m_row, sum[j]);
}

}  // namespace detail

template <class T>
void Skinny<T>::pack_tall(Word* to, const T* V, Index N, Index R) {
  detail::pack_words(to, width(R), words(N), V, R, R, N);
}
template <class T>
void Skinny<T>::pack_tall_transposed(Word* to, const T* V, Index N, Index R) {
  detail::pack_words_transposed(to, width(R), words(N), V, N, R, N);
}
template <class T>
void Skinny<T>::pack_wide(Word* to, const T* U, Index R, Index N) {
  const Index lines = words(width(R));
  for (Index n = 0; n < N; n += panel) detail::pack_words(to + n * lines, panel, lines, U + n, N, std::min(panel, N - n), R);
}
template <class T>
void Skinny<T>::pack_wide_transposed(Word* to, const T* U, Index R, Index N) {
  const Index lines = words(width(R));
  for (Index n = 0; n < N; n += panel)
    detail::pack_words_transposed(to + n * lines, panel, lines, U + n * R, R, std::min(panel, N - n), R);
}
template <class T>
void Skinny<T>::pack_low(Word* to, const T* P, Index rows, Index R) {
  detail::pack_words(to, width(R), words(rows), P, R, R, rows);
}

template <class T>
void Skinny<T>::project(T* P, const T* X, const Word* V, Index R, Index N, Index rows) {
  constexpr Index lanes = detail::lanes<Sum>;
  const Index all = width(R);
  const auto groups = [&]<Index W, Index Vectors>() {
    for (Index j = 0; j < all; j += Vectors * W)
      detail::in_blocks<detail::sum_rows>(
          rows, [&]<Index M>(Index r) { detail::project_block<M, Vectors, W>(P + r * all + j, all, X + r * N, V + j, N); });
  };
  if (all == 4) groups.template operator()<std::min(lanes, Index{4}), 1>();
  else if (all == 8) groups.template operator()<std::min(lanes, Index{8}), 1>();
  else if (all % (2 * lanes) != 0) groups.template operator()<lanes, 1>();
  else groups.template operator()<lanes, 2>();
}

template <class T>
void Skinny<T>::expand(T* Y, const T* P, const Word* U, Index R, Index N, Index rows, Sum scale) {
  const Index all = width(R);
  const auto compiled = [&]<Index Width>() { detail::expand_all<Width>(Y, P, U, all, N, rows, scale); };
  switch (all) {
    case 4: return compiled.template operator()<4>();
    case 8: return compiled.template operator()<8>();
    case 16: return compiled.template operator()<16>();
    case 32: return compiled.template operator()<32>();
    case 64: return compiled.template operator()<64>();
    default: return compiled.template operator()<0>();
  }
}

template <class T>
void Skinny<T>::reduce(Sum* M, const Word* P, const T* X, Index x_row, Index R, Index columns, Index rows) {
  constexpr Index lanes = detail::lanes<Sum>;
  const Index all = width(R), m_row = up_to(panel, columns);
  const auto registers = [&]<Index J>() {
    const auto one = [&](Index n, const T* x, Index row) {
      for (Index j = 0; j < all; j += J) detail::reduce_block<J>(M + j * m_row + n, m_row, P + j, all, x, row, rows);
    };
    Index n = 0;
    for (; n + lanes <= columns; n += lanes) one(n, X + n, x_row);
    if (n == columns) return;
    T edge[most_rows * lanes] = {};  // the columns that are left, in a register of their own
    for (Index r = 0; r < rows; ++r) std::copy_n(X + r * x_row + n, columns - n, edge + r * lanes);
    one(n, edge, lanes);
  };
  if (all == 4) registers.template operator()<4>();
  else if (all == 8 || detail::sum_rows < 8) registers.template operator()<8>();
  else registers.template operator()<16>();
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
