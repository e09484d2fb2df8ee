// The products of cpu/skinny.hpp: blocks of sums stay in vector registers while the words of the other extent go by. A program
// that links wu::precompiled does not include this file.
#pragma once

#include <algorithm>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/packed_kernel.hpp"
#include "wu/cpu/skinny.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {

/// Registers of W sums of T's products, and of W words of T.
template <class T, Index W>
using SkinnySums = typename Lanes<typename kernel::Skinny<T>::Sum, W>::type;
template <class T, Index W>
using SkinnyWords = typename Lanes<typename kernel::Skinny<T>::Word, W>::type;

/// sum + a b in each of W lanes; for pairs, sum + low(a) low(b) + high(a) high(b).
template <class T, Index W>
[[gnu::always_inline]] inline SkinnySums<T, W> add_words(const SkinnySums<T, W>& sum,
                                                         const typename kernel::Skinny<T>::Word& a,
                                                         const SkinnyWords<T, W>& b) {
  return add_product(sum, static_cast<SkinnyWords<T, W>>(a - SkinnyWords<T, W>{}), b);
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
[[gnu::always_inline]] inline typename kernel::Skinny<T>::Word word_at(const T* from, Index count) {
  if constexpr (kernel::Skinny<T>::depth == 1) return *from;
  else return count > 1 ? load<std::uint32_t>(from) : std::uint32_t{from->bits};
}
/// W words of values that lie `row` apart, `count` of them in each.
template <Index W, class T>
[[gnu::always_inline]] inline SkinnyWords<T, W> words_below(const T* from, Index row, Index count) {
  if constexpr (kernel::Skinny<T>::depth == 1) return load<SkinnyWords<T, W>>(from);
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
void pack_words(typename kernel::Skinny<T>::Word* to, Index width, Index lines, const T* from, Index row, Index columns,
                Index K) {
  using Word = typename kernel::Skinny<T>::Word;
  constexpr Index depth = kernel::Skinny<T>::depth;
  for (Index line = 0; line < lines; ++line, to += width) {
    const Index k = line * depth, filled = k < K ? columns : 0;
    in_blocks<lanes<typename kernel::Skinny<T>::Sum>>(
        filled, [&]<Index W>(Index c) { store(to + c, words_below<W>(from + k * row + c, row, K - k)); });
    std::fill_n(to + filled, width - filled, Word{});
  }
}
/// The same from (columns, K).
template <class T>
void pack_words_transposed(typename kernel::Skinny<T>::Word* to, Index width, Index lines, const T* from, Index row,
                           Index columns, Index K) {
  using Word = typename kernel::Skinny<T>::Word;
  constexpr Index depth = kernel::Skinny<T>::depth;
  const Index filled = kernel::Skinny<T>::words(K);
  const auto one = [&](Index c, Index k) { to[k * width + c] = word_at(from + c * row + k * depth, K - k * depth); };
  in_blocks<lanes<typename kernel::Skinny<T>::Sum>>(K / depth, [&]<Index W>(Index k) {
    Index c = 0;
    if constexpr (2 * W >= lanes<typename kernel::Skinny<T>::Sum>)  // W words of W columns
      for (; c + W <= columns; c += W) {
        SkinnyWords<T, W> block[W];
        for (Index i = 0; i < W; ++i) block[i] = load<SkinnyWords<T, W>>(from + (c + i) * row + k * depth);
        transpose_lanes<W>(block);
        for (Index i = 0; i < W; ++i) store(to + (k + i) * width + c, block[i]);
      }
    for (; c < columns; ++c)
      for (Index i = 0; i < W; ++i) one(c, k + i);
  });
  if (K % depth != 0)
    for (Index c = 0; c < columns; ++c) one(c, filled - 1);
  for (Index k = 0; k < filled && columns < width; ++k) std::fill_n(to + k * width + columns, width - columns, Word{});
  std::fill_n(to + filled * width, (lines - filled) * width, Word{});
}

/// M rows by V registers of W columns of P, whose rows are p_row apart, as are the lines of v.
template <Index M, Index V, Index W, class T>
void project_block(T* p, Index p_row, const T* x, const typename kernel::Skinny<T>::Word* v, Index N) {
  constexpr Index depth = kernel::Skinny<T>::depth;
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
template <Index M, Index Width, class T, class Y>
void expand_block(Y* y, Index y_row, const T* p, const typename kernel::Skinny<T>::Word* u, Index any_width,
                  typename kernel::Skinny<T>::Sum scale) {
  constexpr Index W = lanes<typename kernel::Skinny<T>::Sum>, depth = kernel::Skinny<T>::depth,
                  panel = kernel::Skinny<T>::panel;
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
      Y* const at = y + m * y_row + i * W;
      store_sums<W>(at, load_sums<W>(at) + scale * sum[m][i]);
    }
}

template <class T, class Y>
using ExpandBlock = void (*)(Y*, Index, const T*, const typename kernel::Skinny<T>::Word*, Index,
                             typename kernel::Skinny<T>::Sum);
/// The one that is compiled for this width; for another, the one for all.
template <class T, class Y>
ExpandBlock<T, Y> expand_block_of(Index width) {
  switch (width) {
    case 4: return &expand_block<sum_rows, 4, T, Y>;
    case 8: return &expand_block<sum_rows, 8, T, Y>;
    case 16: return &expand_block<sum_rows, 16, T, Y>;
    case 32: return &expand_block<sum_rows, 32, T, Y>;
    case 64: return &expand_block<sum_rows, 64, T, Y>;
    default: return &expand_block<sum_rows, 0, T, Y>;
  }
}
/// Calls f(first row, rows, block) on blocks of rows: whole ones with the kernel of this width, the few that are left with that
/// for all.
template <class T, class Y, class F>
void each_expand_block(Index rows, Index width, const F& f) {
  const auto whole = expand_block_of<T, Y>(width);
  in_blocks<sum_rows>(rows, [&]<Index M>(Index r) {
    if constexpr (M == sum_rows) f(r, M, whole);
    else f(r, M, &expand_block<M, 0, T, Y>);
  });
}

/// J rows by one register of M.
template <Index J, class T>
void reduce_block(typename kernel::Skinny<T>::Sum* m, Index m_row, const typename kernel::Skinny<T>::Word* p, Index width,
                  const T* x, Index x_row, Index rows) {
  constexpr Index W = lanes<typename kernel::Skinny<T>::Sum>, depth = kernel::Skinny<T>::depth;
  SkinnySums<T, W> sum[J];
  for (Index j = 0; j < J; ++j) sum[j] = load<SkinnySums<T, W>>(m + j * m_row);
  const auto add = [&](Index r, Index count) __attribute__((always_inline)) {
    const auto b = words_below<W>(x + r * x_row, x_row, count);
    // The next rows, which the processor does not foresee from reading down columns.
    for (Index i = 0; i < depth; ++i) __builtin_prefetch(x + (r + i + rows) * x_row, 0, 2);
    for (Index j = 0; j < J; ++j) sum[j] = add_words<T, W>(sum[j], p[r / depth * width + j], b);
  };
  const Index whole = rows / depth * depth;
  for (Index r = 0; r < whole; r += depth) add(r, depth);
  if (whole < rows) add(whole, 1);
  for (Index j = 0; j < J; ++j) store(m + j * m_row, sum[j]);
}

}  // namespace detail

namespace kernel {

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
  const Index all = width(R), lines = words(all);
  detail::each_expand_block<T, T>(rows, all, [&](Index r, Index M, detail::ExpandBlock<T, T> block) {
    Index n = 0;
    for (; n + panel <= N; n += panel) block(Y + r * N + n, N, P + r * all, U + n * lines, all, scale);
    if (n == N) return;
    T edge[detail::sum_rows * panel] = {};  // the columns that are left, in a panel of their own
    for (Index m = 0; m < M; ++m) std::copy_n(Y + (r + m) * N + n, N - n, edge + m * panel);
    block(edge, panel, P + r * all, U + n * lines, all, scale);
    for (Index m = 0; m < M; ++m) std::copy_n(edge + m * panel, N - n, Y + (r + m) * N + n);
  });
}

template <class T>
void Skinny<T>::expand_sums(Sum* Y, Index y_row, const T* P, const Word* U, Index R, Index panels, Index rows, Sum scale) {
  const Index all = width(R);
  for (Index n = 0; n < panels; ++n, Y += panel, U += panel * words(all))
    detail::each_expand_block<T, Sum>(rows, all, [&](Index r, Index, detail::ExpandBlock<T, Sum> block) {
      block(Y + r * y_row, y_row, P + r * all, U, all, scale);
    });
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

}  // namespace kernel

}  // namespace wu::cpu::inline WU_CPU_TARGET
