// Pooling and bilinear upsampling on the CPU: lines of the result over threads. Every result is summed by one thread in a
// fixed order.
#pragma once

#include "wu/cpu/context.hpp"
#include "wu/ops/resample.hpp"

namespace wu::cpu {

namespace detail {
using namespace wu::detail;
}  // namespace detail

void pool_forward(Context& ctx, auto coarse /* = */, auto fine) {
  detail::check_contiguous(coarse, fine);
  const Index F = detail::resample_factor("pool", fine, coarse);
  ctx.split(coarse.rows(), F * F * fine.width,
            [&](int, Index begin, Index end) { detail::pool_cells(coarse, fine, F, begin, end); });
}

void pool_backward(Context& ctx, auto dfine /* = */, auto dcoarse) {
  detail::check_contiguous(dfine, dcoarse);
  const Index F = detail::resample_factor("pool backward", dfine, dcoarse);
  ctx.split(dcoarse.rows(), F * F * dfine.width,
            [&](int, Index begin, Index end) { detail::spread_cells(dfine, dcoarse, F, begin, end); });
}

void upsample_forward(Context& ctx, auto fine /* = */, auto coarse) {
  detail::check_contiguous(fine, coarse);
  const Index F = detail::resample_factor("upsample", fine, coarse);
  ctx.split(fine.extent(0) * fine.extent(1), fine.extent(2) * fine.width,
            [&](int, Index begin, Index end) { detail::upsample_lines(fine, coarse, F, begin, end); });
}

void upsample_backward(Context& ctx, auto dcoarse /* = */, auto dfine) {
  detail::check_contiguous(dcoarse, dfine);
  constexpr Index C = detail::SameWidth<dfine.width, dcoarse.width>::value;
  using Sum = sum_of<decltype(dcoarse)>;
  using Out = value_of<decltype(dcoarse)>;
  const Index F = detail::resample_factor("upsample backward", dfine, dcoarse), height = dcoarse.extent(1),
              width = dcoarse.extent(2);
  // Down the columns a coarse line gathers from the fine ones between its neighbours; what it gathered is scattered along the line.
  Sum* const lines = ctx.scratch<Sum>(ctx.threads() * width * C);
  ctx.split(dcoarse.extent(0) * height, width * F * F * C, [&](int thread, Index begin, Index end) {
    Sum* const out = lines + thread * width * C;
    for (Index line = begin; line < end; ++line) {
      const Index h = line % height, first = detail::reach_begin(h, F), last = detail::reach_end(h, F, height);
      std::fill_n(out, width * C, Sum(0));
      for (Index w = 0; w < width * F; ++w) {
        const auto* const g = dfine.data + (line / height * height * F * width * F + w) * C;
        Sum sum[C] = {};
        for (Index p = first; p < last; ++p) {
          const auto v = detail::between(p, F, height);
          const Sum weight = static_cast<Sum>(detail::share_of(v, h));
          const auto* const from = g + p * width * F * C;
          for (Index c = 0; c < C; ++c) sum[c] += weight * Sum(from[c]);
        }
        const auto u = detail::between(w, F, width);
        const Sum a = static_cast<Sum>(1 - u.weight), b = static_cast<Sum>(u.weight);
        auto *const left = out + u.lower * C, *const right = out + u.upper * C;
        for (Index c = 0; c < C; ++c) left[c] += a * sum[c];
        if (u.upper != u.lower)
          for (Index c = 0; c < C; ++c) right[c] += b * sum[c];
      }
      std::transform(out, out + width * C, dcoarse.data + line * width * C, [](Sum v) { return static_cast<Out>(v); });
    }
  });
}

}  // namespace wu::cpu
