// Pooling and bilinear upsampling on the CPU: lines of the result over threads. Every result is summed by one thread in a
// fixed order.
#pragma once

#include <algorithm>

#include "wu/cpu/context.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/resample.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
using detail::Grids;

template <class T>
struct Resample {
  using Sum = accumulator_t<T>;
  static void pool(Context& ctx, T* coarse, const T* fine, Grids size);
  static void pool_backward(Context& ctx, T* dfine, const T* dcoarse, Grids size);
  static void upsample(Context& ctx, T* fine, const T* coarse, Grids size);
  static void upsample_backward(Context& ctx, T* dcoarse, const T* dfine, Grids size);
};

template <class T>
void Resample<T>::pool(Context& ctx, T* coarse, const T* fine, Grids size) {
  Sum* const sums = ctx.scratch<Sum>(ctx.threads() * size.C);
  ctx.split(size.count * size.height * size.width, size.F * size.F * size.C, [=](int thread, Index begin, Index end) {
    detail::pool_cells(coarse, fine, sums + thread * size.C, size, begin, end);
  });
}

template <class T>
void Resample<T>::pool_backward(Context& ctx, T* dfine, const T* dcoarse, Grids size) {
  ctx.split(size.count * size.height * size.width, size.F * size.F * size.C,
            [=](int, Index begin, Index end) { detail::spread_cells(dfine, dcoarse, size, begin, end); });
}

template <class T>
void Resample<T>::upsample(Context& ctx, T* fine, const T* coarse, Grids size) {
  ctx.split(size.count * size.height * size.F, size.width * size.F * size.C,
            [=](int, Index begin, Index end) { detail::upsample_lines(fine, coarse, size, begin, end); });
}

/// Down the columns a coarse line gathers from the fine ones between its neighbours; what it gathered is scattered along the
/// line.
template <class T>
void Resample<T>::upsample_backward(Context& ctx, T* dcoarse, const T* dfine, Grids size) {
  const Index height = size.height, width = size.width, C = size.C, F = size.F;
  Sum* const lines = ctx.scratch<Sum>(ctx.threads() * (width + 1) * C);
  ctx.split(size.count * height, width * F * F * C, [=](int thread, Index begin, Index end) {
    Sum *const out = lines + thread * (width + 1) * C, *const sum = out + width * C;
    for (Index line = begin; line < end; ++line) {
      const Index h = line % height, first = detail::reach_begin(h, F), last = detail::reach_end(h, F, height);
      std::fill_n(out, width * C, Sum(0));
      for (Index w = 0; w < width * F; ++w) {
        const T* const g = dfine + (line / height * height * F * width * F + w) * C;
        std::fill_n(sum, C, Sum(0));
        for (Index p = first; p < last; ++p) {
          const Sum weight = static_cast<Sum>(detail::share_of(detail::between(p, F, height), h));
          const T* const from = g + p * width * F * C;
          for (Index c = 0; c < C; ++c) sum[c] += weight * Sum(from[c]);
        }
        const auto u = detail::between(w, F, width);
        const Sum a = static_cast<Sum>(1 - u.weight), b = static_cast<Sum>(u.weight);
        Sum *const left = out + u.lower * C, *const right = out + u.upper * C;
        for (Index c = 0; c < C; ++c) left[c] += a * sum[c];
        if (u.upper != u.lower)
          for (Index c = 0; c < C; ++c) right[c] += b * sum[c];
      }
      for (Index k = 0; k < width * C; ++k) dcoarse[line * width * C + k] = static_cast<T>(out[k]);
    }
  });
}
}  // namespace kernel

/// ops/resample.hpp's, on all threads.
void pool_forward(Context& ctx, auto coarse /* = */, auto fine)
  requires detail::one_type<decltype(coarse), decltype(fine)>
{
  kernel::Resample<value_of<decltype(fine)>>::pool(ctx, coarse.data, fine.data, detail::grids("pool", fine, coarse));
}

/// ops/resample.hpp's, on all threads.
void pool_backward(Context& ctx, auto dfine /* = */, auto dcoarse)
  requires detail::one_type<decltype(dfine), decltype(dcoarse)>
{
  kernel::Resample<value_of<decltype(dfine)>>::pool_backward(ctx, dfine.data, dcoarse.data,
                                                             detail::grids("pool backward", dfine, dcoarse));
}

/// ops/resample.hpp's, on all threads.
void upsample_forward(Context& ctx, auto fine /* = */, auto coarse)
  requires detail::one_type<decltype(fine), decltype(coarse)>
{
  kernel::Resample<value_of<decltype(fine)>>::upsample(ctx, fine.data, coarse.data, detail::grids("upsample", fine, coarse));
}

/// ops/resample.hpp's, on all threads.
void upsample_backward(Context& ctx, auto dcoarse /* = */, auto dfine)
  requires detail::one_type<decltype(dcoarse), decltype(dfine)>
{
  kernel::Resample<value_of<decltype(dfine)>>::upsample_backward(ctx, dcoarse.data, dfine.data,
                                                                 detail::grids("upsample backward", dfine, dcoarse));
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
