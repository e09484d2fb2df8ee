// What the kernels of attention are given, and how they read the rows of one head: where they lie if those are evenly spaced,
// else from a packed copy.
#pragma once

#include <algorithm>

#include "wu/cpu/spaced.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/attention.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
using namespace wu::detail;

/// How many queries are answered together. A multiple of the rows of every packed product.
inline constexpr Index query_tile = 96;

/// The head's rows first .. first + count-1 of a map: where they are if evenly spaced, else copied to scratch.
template <class T>
Spaced<const T> pack(Spaced<const T> all, Index base, const RowMap& map, Index first, Index count, Index column, Index D,
                     T* scratch) {
  if (map.regular()) return {all.row(base + first * map.axes[3].stride) + column, all.stride * map.axes[3].stride};
  for (Index i = 0; i < count; ++i) std::copy_n(all.row(base + map(first + i)) + column, D, scratch + i * D);
  return {scratch, D};
}
}  // namespace detail

namespace kernel {
/// The operands of one attention: rows of `heads` heads of D channels each, and which rows attend to which.
template <class T>
struct AttentionOperands {
  Spaced<const T> q, k, v;
  const AttentionRows& rows;
  Index heads, D;
};
template <class T>
struct AttentionGradients {
  Spaced<T> dq, dk, dv;
  Spaced<const T> dout, out;
  Spaced<const accumulator_t<T>> lse;
};
}  // namespace kernel

}  // namespace wu::cpu::inline WU_CPU_TARGET
