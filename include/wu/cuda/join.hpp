// Two tables of rows as one on the GPU, by cuda/kernels/join.hpp.
#pragma once

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/join.hpp"
#include "wu/ops/join.hpp"

namespace wu::cuda {

namespace detail {
template <class T>
void join(Context& ctx, T* y, T* a, T* b, Index of_a, Index of_b, Index groups, bool joins) {
  const Index count = groups * (of_a + of_b);
  ctx.run(kernel::JoinRows<T>{y, a, b, count, of_a, of_b, joins}, count);
}
}  // namespace detail

/// ops/join.hpp's.
void join_rows_forward(Context& ctx, auto y, auto a, auto b, Index groups) {
  detail::check_contiguous(y, a, b);
  static_assert(detail::SameWidth<y.width, a.width, b.width>::value > 0);
  using T = value_of<decltype(y)>;
  detail::check_types<T>(a, b);
  detail::check_join("join rows", y.rows(), a.rows(), b.rows(), groups);
  detail::join<T>(ctx, y.data, const_cast<T*>(a.data), const_cast<T*>(b.data), a.size() / groups, b.size() / groups, groups,
                  true);
}

/// ops/join.hpp's.
void join_rows_backward(Context& ctx, auto da /* = */, auto db /* = */, auto dy, Index groups) {
  detail::check_contiguous(da, db, dy);
  static_assert(detail::SameWidth<dy.width, da.width, db.width>::value > 0);
  using T = value_of<decltype(dy)>;
  detail::check_types<T>(da, db);
  detail::check_join("join rows backward", dy.rows(), da.rows(), db.rows(), groups);
  detail::join<T>(ctx, const_cast<T*>(dy.data), da.data, db.data, da.size() / groups, db.size() / groups, groups, false);
}

}  // namespace wu::cuda
