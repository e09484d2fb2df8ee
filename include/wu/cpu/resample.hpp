// Pooling and bilinear upsampling on the CPU: lines of the result over threads. Every result is summed by one thread in a
// fixed order.
#pragma once

#include <algorithm>

#include "wu/cpu/context.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/resample.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
/// Coarse pictures (count, height, width, C) and fine ones F times as high and wide.
struct Grids {
  Index count, height, width, C, F;
};

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
  const Index height = size.height, width = size.width, C = size.C, F = size.F;
  const Sum share = 1 / static_cast<Sum>(F * F);
  Sum* const sums = ctx.scratch<Sum>(ctx.threads() * C);
  ctx.split(size.count * height * width, F * F * C, [=](int thread, Index begin, Index end) {
    Sum* const sum = sums + thread * C;
    for (Index cell = begin; cell < end; ++cell) {
      const T* const corner = fine + (cell / width * F * width + cell % width) * F * C;
      std::fill_n(sum, C, Sum(0));
      for (Index i = 0; i < F; ++i)
        for (Index j = 0; j < F; ++j) {
          const T* const in = corner + (i * width * F + j) * C;
          for (Index c = 0; c < C; ++c) sum[c] += Sum(in[c]);
        }
      for (Index c = 0; c < C; ++c) coarse[cell * C + c] = static_cast<T>(sum[c] * share);
    }
  });
}

template <class T>
void Resample<T>::pool_backward(Context& ctx, T* dfine, const T* dcoarse, Grids size) {
  const Index height = size.height, width = size.width, C = size.C, F = size.F;
  const Sum share = 1 / static_cast<Sum>(F * F);
  ctx.split(size.count * height * width, F * F * C, [=](int, Index begin, Index end) {
    for (Index cell = begin; cell < end; ++cell) {
      const T* const g = dcoarse + cell * C;
      T* const corner = dfine + (cell / width * F * width + cell % width) * F * C;
      for (Index i = 0; i < F; ++i)
        for (Index j = 0; j < F; ++j) {
          T* const out = corner + (i * width * F + j) * C;
          for (Index c = 0; c < C; ++c) out[c] = static_cast<T>(Sum(g[c]) * share);
        }
    }
  });
}

template <class T>
void Resample<T>::upsample(Context& ctx, T* fine, const T* coarse, Grids size) {
  const Index height = size.height, width = size.width, C = size.C, F = size.F;
  ctx.split(size.count * height * F, width * F * C, [=](int, Index begin, Index end) {
    for (Index line = begin; line < end; ++line) {
      const auto v = detail::between(line % (height * F), F, height);
      const T* const top = coarse + (line / (height * F) * height + v.lower) * width * C;
      const T* const bottom = coarse + (line / (height * F) * height + v.upper) * width * C;
      for (Index w = 0; w < width * F; ++w) {
        const auto u = detail::between(w, F, width);
        const Sum a = static_cast<Sum>((1 - v.weight) * (1 - u.weight)), b = static_cast<Sum>((1 - v.weight) * u.weight);
        const Sum d = static_cast<Sum>(v.weight * (1 - u.weight)), e = static_cast<Sum>(v.weight * u.weight);
        const T *const top_left = top + u.lower * C, *const top_right = top + u.upper * C;
        const T *const bottom_left = bottom + u.lower * C, *const bottom_right = bottom + u.upper * C;
        T* const out = fine + (line * width * F + w) * C;
        for (Index c = 0; c < C; ++c)
          out[c] = static_cast<T>(a * Sum(top_left[c]) + b * Sum(top_right[c]) + d * Sum(bottom_left[c]) +
                                  e * Sum(bottom_right[c]));
      }
    }
  });
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

namespace detail {
/// What both grids agree on; throws unless the fine one is a whole multiple of the coarse one.
kernel::Grids grids(const char* what, auto fine, auto coarse) {
  check_contiguous(fine, coarse);
  constexpr Index C = SameWidth<fine.width, coarse.width>::value;
  return {coarse.extent(0), coarse.extent(1), coarse.extent(2), C, resample_factor(what, fine, coarse)};
}
}  // namespace detail

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
