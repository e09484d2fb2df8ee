// The search for NaN and infinity on the GPU, by cuda/kernels/finite.hpp.
#pragma once

#include <algorithm>
#include <span>

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/finite.hpp"
#include "wu/ops/all_finite.hpp"

namespace wu::cuda {

namespace detail {
/// found = mark where a value is not finite.
void find_non_finite(Context& ctx, auto x, std::span<const RowPart> parts, int* found, int mark) {
  check_contiguous(x);
  using T = value_of<decltype(x)>;
  check_types<T>();
  check_parts(parts, x.width);
  for (std::size_t first = 0; first < parts.size(); first += kernel::RowParts::most) {
    const auto some = parts.subspan(first, std::min<std::size_t>(kernel::RowParts::most, parts.size() - first));
    kernel::FindNonFinite<T> body{found, mark, x.data, x.width, {}};
    for (const RowPart& part : some) {
      body.parts.first[body.parts.count] = part.first;
      body.parts.values[body.parts.count++] = part.count;
    }
    ctx.run_blocks(body, {.blocks = x.rows() * body.parts.count});
  }
}
}  // namespace detail

/// ops/all_finite.hpp's. Waits for the result, so that it cannot be recorded.
bool all_finite(Context& ctx, auto x, std::span<const RowPart> parts) {
  int* const found = ctx.scratch<int>(1);
  runtime::zero(ctx.stream(), found, sizeof(int));
  detail::find_non_finite(ctx, x, parts, found, 1);
  int any = 0;
  ctx.download(&any, found, sizeof(int));
  return any == 0;
}

/// ops/all_finite.hpp's: notes what it finds.
void expect_finite(Context& ctx, auto x, std::span<const RowPart> parts, const char* sentence) {
  detail::find_non_finite(ctx, x, parts, ctx.note(), ctx.mark_of(sentence));
}

}  // namespace wu::cuda
