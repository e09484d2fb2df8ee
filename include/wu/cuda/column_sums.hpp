// Sums over rows by cuda/kernels/column_sums.hpp.
#pragma once

#include <array>

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/column_sums.hpp"

namespace wu::cuda::detail {

/// to_i (width) += what Terms adds over all rows; null: not wanted.
template <class Terms>
void add_column_sums(Context& ctx, const std::array<typename Terms::Sum*, Terms::count>& to, const Terms& terms, Index rows,
                     Index width) {
  using Sum = typename Terms::Sum;
  if (width == 0 || std::all_of(to.begin(), to.end(), [](const Sum* sums) { return !sums; })) return;
  const Index stripes = kernel::Stripes::count(rows, width, ctx.about().multiprocessors);
  const kernel::Stripes cut{rows, width, stripes};
  Sum* const partial = ctx.scratch<Sum>(stripes * Terms::count * width);
  using First = kernel::StripeSums<Terms>;
  ctx.run_blocks(First{partial, terms, cut}, {cut.column_blocks() * stripes, First::threads, First::shared_bytes});
  kernel::AddStripes<Sum, Terms::count> second{{}, partial, width, stripes};
  std::copy(to.begin(), to.end(), second.to);
  ctx.run(second, Terms::count * width);
}

}  // namespace wu::cuda::detail
