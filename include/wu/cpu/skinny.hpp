// Products in which one extent, the rank R of an adapter, is small. A general matrix product spends more time packing such
// operands than multiplying them; here the long matrix is read where it lies and the sums of a block stay in vector registers.
//     project   P (rows, R)  = X (rows, N) V (N, R)
//     expand    Y (rows, N) += P (rows, R) U (R, N)
//     reduce    M (R, N)    += P^T X, for some of the columns        X: (rows, N)
// Row-major and contiguous; any R, N and rows. The order of every sum depends on these extents alone.
#pragma once

#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {

/// M rows by W columns of P.
template <Index M, Index W, class T>
void project_block(T* p, const T* x, const T* v, Index R, Index N) {
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
template <Index M, Index K, Index W, class T>
void expand_block(T* y, const T* p, const T* u, Index R, Index N) {
  using V = typename Lanes<T, W>::type;
  [&]<Index... i>(std::integer_sequence<Index, i...>) {
    V sum[M * K];
    ((sum[i] = load<V>(y + i / K * N + i % K * W)), ...);
    for (Index j = 0; j < R; ++j) ((sum[i] += p[i / K * R + j] * load<V>(u + j * N + i % K * W)), ...);
    (store(y + i / K * N + i % K * W, sum[i]), ...);
  }(Each<M * K>{});
}

/// J rows by K vectors of W columns of M.
template <Index J, Index K, Index W, class T>
void reduce_block(T* m, const T* p, const T* x, Index R, Index N, Index rows) {
  using V = typename Lanes<T, W>::type;
  [&]<Index... i>(std::integer_sequence<Index, i...>) {
    V sum[J * K];
    ((sum[i] = load<V>(m + i / K * N + i % K * W)), ...);
    for (Index r = 0; r < rows; ++r) ((sum[i] += p[r * R + i / K] * load<V>(x + r * N + i % K * W)), ...);
    (store(m + i / K * N + i % K * W, sum[i]), ...);
  }(Each<J * K>{});
}

}  // namespace detail

/// The three products; the formulas stand at the top of the file.
template <class T>
struct Skinny {
  /// P = X V.
  static void project(T* p /* = */, const T* x, const T* v, Index R, Index N, Index rows);
  /// Y += P U.
  static void expand(T* y /* += */, const T* p, const T* u, Index R, Index N, Index rows);
  /// Columns from .. to-1 of M alone.
  static void reduce(T* m /* += */, const T* p, const T* x, Index R, Index N, Index rows, Index from, Index to);
};

template <class T>
void Skinny<T>::project(T* p, const T* x, const T* v, Index R, Index N, Index rows) {
  detail::in_blocks<8>(rows, [&]<Index M>(Index r) {
    detail::in_blocks<detail::lanes<T>>(
        R, [&]<Index W>(Index j) { detail::project_block<M, W>(p + r * R + j, x + r * N, v + j, R, N); });
  });
}

template <class T>
void Skinny<T>::expand(T* y, const T* p, const T* u, Index R, Index N, Index rows) {
  constexpr Index lanes = detail::lanes<T>;
  detail::in_blocks<detail::sum_rows>(rows, [&]<Index M>(Index r) {
    detail::in_blocks<2 * lanes>(N, [&]<Index W>(Index n) {
      constexpr Index w = W < lanes ? W : lanes;
      detail::expand_block<M, W / w, w>(y + r * N + n, p + r * R, u + n, R, N);
    });
  });
}

template <class T>
void Skinny<T>::reduce(T* m, const T* p, const T* x, Index R, Index N, Index rows, Index from, Index to) {
  constexpr Index lanes = detail::lanes<T>;
  detail::in_blocks<detail::sum_rows>(R, [&]<Index J>(Index j) {
    detail::in_blocks<2 * lanes>(
        to,
        [&]<Index W>(Index n) {
          constexpr Index w = W < lanes ? W : lanes;
          detail::reduce_block<J, W / w, w>(m + j * N + n, p + j, x + n, R, N, rows);
        },
        from);
  });
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
