// Embedding on the CPU: rows over threads; the table's gradient by columns over threads, each going through all rows in order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/spaced.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/embedding.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
/// On rows of C values.
template <class T>
struct Embedding {
  using Sum = accumulator_t<T>;
  static void forward(Context& ctx, Spaced<T> y, std::span<const std::int32_t> ids, Spaced<const T> table, Index C);
  static void backward(Context& ctx, Spaced<Sum> dtable, Spaced<const T> dy, std::span<const std::int32_t> ids, Index C);
};

template <class T>
void Embedding<T>::forward(Context& ctx, Spaced<T> y, std::span<const std::int32_t> ids, Spaced<const T> table, Index C) {
  ctx.split(static_cast<Index>(ids.size()), C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) std::copy_n(table.row(ids[static_cast<std::size_t>(r)]), C, y.row(r));
  });
}

template <class T>
void Embedding<T>::backward(Context& ctx, Spaced<Sum> dtable, Spaced<const T> dy, std::span<const std::int32_t> ids,
                            Index C) {
  constexpr Index line = 64;
  const Index rows = static_cast<Index>(ids.size());
  ctx.split((C + line - 1) / line, rows * line, [=](int, Index begin, Index end) {
    const Index from = begin * line, until = std::min(C, end * line);
    for (Index r = 0; r < rows; ++r) {
      Sum* const to = dtable.row(ids[static_cast<std::size_t>(r)]) + from;
      const T* const g = dy.row(r) + from;
      detail::each_wide<T>(until - from, [=]<Index W>(Index c) {
        detail::store_narrow<W>(to + c, detail::load_wide<W>(to + c) + detail::load_wide<W>(g + c));
      });
    }
  });
}
}  // namespace kernel

/// ops/embedding.hpp's, on all threads.
void embedding_forward(Context& ctx, auto y, std::span<const std::int32_t> ids, auto table)
  requires detail::one_type<decltype(y), decltype(table)>
{
  constexpr Index C = detail::SameWidth<y.width, table.width>::value;
  detail::check_ids(ids, y.rows(), table.rows());
  kernel::Embedding<value_of<decltype(y)>>::forward(ctx, spaced(y), ids, spaced(table), C);
}

/// ops/embedding.hpp's, on all threads.
void embedding_backward(Context& ctx, auto dtable /* += */, auto dy, std::span<const std::int32_t> ids)
  requires detail::summed_as<decltype(dy), decltype(dtable)>
{
  constexpr Index C = detail::SameWidth<dy.width, dtable.width>::value;
  detail::check_ids(ids, dy.rows(), dtable.rows());
  if (dtable.data) kernel::Embedding<value_of<decltype(dy)>>::backward(ctx, spaced(dtable), spaced(dy), ids, C);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
