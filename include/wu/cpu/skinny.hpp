// Products in which one extent, the rank of an adapter, is small and known at compile time. A general matrix product spends
// more time packing such operands than multiplying them; here the long matrix is read where it lies and the sums of a block
// stay in vector registers.
//     skinny_project   P (rows, R)  = X (rows, N) V (N, R)
//     skinny_expand    Y (rows, N) += P (rows, R) U (R, N)
//     skinny_reduce    M (R, N)    += P^T X, a piece of the columns at a time         X: (rows, N)
// Row-major and contiguous; any R, N and rows. The order of every sum depends on these extents alone.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include "wu/core/view.hpp"

namespace wu::cpu {

namespace detail {

/// Bytes of a vector register of the machine that is compiled for, and how many rows of two registers of sums fit beside
/// their operands.
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

template <class V, class T>
[[gnu::always_inline]] inline V load(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}
template <class V, class T>
[[gnu::always_inline]] inline void store(T* to, const V& v) {
  std::memcpy(to, &v, sizeof(V));
}

template <Index N>
using Each = std::make_integer_sequence<Index, N>;

/// Calls block.template operator()<Size>(from) on 0..N-1: blocks of Size, a power of two, then of smaller powers of two.
template <Index Size, Index N, Index From = 0, class Block>
[[gnu::always_inline]] inline void in_blocks(const Block& block) {
  constexpr Index end = From + (N - From) / Size * Size;
  for (Index at = From; at < end; at += Size) block.template operator()<Size>(at);
  if constexpr (end < N) in_blocks<Size / 2, N, end>(block);
}
/// The same for a number of rows known only at run time.
template <Index Size, class Block>
[[gnu::always_inline]] inline void in_row_blocks(Index rows, const Block& block, Index from = 0) {
  for (; from + Size <= rows; from += Size) block.template operator()<Size>(from);
  if constexpr (Size > 1) {
    if (from < rows) in_row_blocks<Size / 2>(rows, block, from);
  }
}

/// M rows by W columns of P.
template <Index M, Index W, Index R, Index N, class T>
void project_block(T* p, const T* x, const T* v) {
  using V = typename Lanes<T, W>::type;
  [&]<Index... m>(std::integer_sequence<Index, m...>) {
    V sum[M] = {};
    for (Index n = 0; n < N; ++n) {
      const V w = load<V>(v + n * R);
      ((sum[m] += x[m * N + n] * w), ...);
    }
    (store(p + m * R, sum[m]), ...);
  }(Each<M>{});
}

/// M rows by K vectors of W columns of Y.
template <Index M, Index K, Index W, Index R, Index N, class T>
void expand_block(T* y, const T* p, const T* u) {
  using V = typename Lanes<T, W>::type;
  [&]<Index... i>(std::integer_sequence<Index, i...>) {
    V sum[M * K];
    ((sum[i] = load<V>(y + i / K * N + i % K * W)), ...);
    for (Index j = 0; j < R; ++j) ((sum[i] += p[i / K * R + j] * load<V>(u + j * N + i % K * W)), ...);
    (store(y + i / K * N + i % K * W, sum[i]), ...);
  }(Each<M * K>{});
}

/// J rows by K vectors of W columns of M.
template <Index J, Index K, Index W, Index R, Index N, class T>
void reduce_block(T* m, const T* p, const T* x, Index rows) {
  using V = typename Lanes<T, W>::type;
  [&]<Index... i>(std::integer_sequence<Index, i...>) {
    V sum[J * K];
    ((sum[i] = load<V>(m + i / K * N + i % K * W)), ...);
    for (Index r = 0; r < rows; ++r) ((sum[i] += p[r * R + i / K] * load<V>(x + r * N + i % K * W)), ...);
    (store(m + i / K * N + i % K * W, sum[i]), ...);
  }(Each<J * K>{});
}

/// The largest power of two that is at most n.
constexpr Index power_of_two(Index n) {
  Index p = 1;
  while (2 * p <= n) p *= 2;
  return p;
}
template <class T, Index N>
inline constexpr Index lanes = power_of_two(std::min<Index>(N, register_bytes / static_cast<Index>(sizeof(T))));
}  // namespace detail

template <Index R, Index N, class T>
void skinny_project(T* p /* = */, const T* x, const T* v, Index rows) {
  detail::in_row_blocks<8>(rows, [&]<Index M>(Index r) {
    detail::in_blocks<detail::lanes<T, R>, R>(
        [&]<Index W>(Index j) { detail::project_block<M, W, R, N>(p + r * R + j, x + r * N, v + j); });
  });
}

template <Index R, Index N, class T>
void skinny_expand(T* y /* += */, const T* p, const T* u, Index rows) {
  constexpr Index lanes = detail::lanes<T, N>;
  detail::in_row_blocks<detail::sum_rows>(rows, [&]<Index M>(Index r) {
    detail::in_blocks<2 * lanes, N>([&]<Index W>(Index n) {
      constexpr Index w = std::min(W, lanes);
      detail::expand_block<M, W / w, w, R, N>(y + r * N + n, p + r * R, u + n);
    });
  });
}

/// Adds to columns piece * Width .. of M, fewer than Width if that is the last piece.
template <Index R, Index N, Index Width, class T>
void skinny_reduce(T* m /* += */, Index piece, const T* p, const T* x, Index rows) {
  const auto sums = [&]<Index Columns>(Index from) {
    constexpr Index lanes = detail::lanes<T, Columns>;
    detail::in_blocks<detail::power_of_two(std::min(R, detail::sum_rows)), R>([&]<Index J>(Index j) {
      detail::in_blocks<2 * lanes, Columns>([&]<Index W>(Index n) {
        constexpr Index w = std::min(W, lanes);
        detail::reduce_block<J, W / w, w, R, N>(m + j * N + from + n, p + j, x + from + n, rows);
      });
    });
  };
  if (piece < N / Width) sums.template operator()<Width>(piece * Width);
  else if constexpr (N % Width != 0) sums.template operator()<N % Width>(N / Width * Width);
}

}  // namespace wu::cpu
