// The search for NaN and infinity on the GPU, by cuda/kernels/finite.hpp.
#pragma once

#include <algorithm>
#include <span>

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/finite.hpp"
#include "wu/ops/all_finite.hpp"

namespace wu::cuda {

/// ops/all_finite.hpp's. Waits for the result, so that it cannot be recorded.
bool all_finite(Context& ctx, auto x, std::span<const RowPart> parts) {
  detail::check_contiguous(x);
  using T = value_of<decltype(x)>;
  detail::check_types<T>();
  detail::check_parts(parts, x.width);
  int* const found = ctx.scratch<int>(1);
  runtime::zero(ctx.stream(), found, sizeof(int));
  for (std::size_t first = 0; first < parts.size(); first += kernel::RowParts::most) {
    const auto some = parts.subspan(first, std::min<std::size_t>(kernel::RowParts::most, parts.size() - first));
    kernel::FindNonFinite<T> body{found, x.data, x.width, {}};
    for (const RowPart& part : some) {
      body.parts.first[body.parts.count] = part.first;
      body.parts.values[body.parts.count++] = part.count;
    }
    ctx.run_blocks(body, {.blocks = x.rows() * body.parts.count});
  }
  int any = 0;
  runtime::download(ctx.stream(), &any, found, sizeof(int));
  return any == 0;
}

}  // namespace wu::cuda
