// Pooling and bilinear upsampling on the CPU: lines of the result over threads. Every result is summed by one thread in a
// fixed order.
#pragma once

#include <algorithm>

#include "wu/cpu/bfloat16.hpp"
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
  const Index width = size.width, C = size.C, F = size.F;
  const Sum share = 1 / static_cast<Sum>(F * F);
  ctx.split(size.count * size.height * width, F * F * C, [=](int, Index begin, Index end) {
    for (Index cell = begin; cell < end; ++cell) {
      const T* const corner = fine + (cell / width * F * width + cell % width) * F * C;
      detail::each_wide<T>(C, [=]<Index W>(Index c) {
        detail::WideLanes<T, W> sum{};
        for (Index i = 0; i < F; ++i)
          for (Index j = 0; j < F; ++j) sum += detail::load_wide<W>(corner + (i * width * F + j) * C + c);
        detail::store_narrow<W>(coarse + cell * C + c, sum * share);
      });
    }
  });
}

template <class T>
void Resample<T>::pool_backward(Context& ctx, T* dfine, const T* dcoarse, Grids size) {
  const Index width = size.width, C = size.C, F = size.F;
  const Sum share = 1 / static_cast<Sum>(F * F);
  ctx.split(size.count * size.height * width, F * F * C, [=](int, Index begin, Index end) {
    for (Index cell = begin; cell < end; ++cell) {
      T* const corner = dfine + (cell / width * F * width + cell % width) * F * C;
      for (Index i = 0; i < F; ++i)
        for (Index j = 0; j < F; ++j)
          detail::each_wide<T>(C, [=]<Index W>(Index c) {
            detail::store_narrow<W>(corner + (i * width * F + j) * C + c,
                                    detail::load_wide<W>(dcoarse + cell * C + c) * share);
          });
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
        const Sum a = static_cast<Sum>((1 - v.weight) * (1 - u.weight)), b = static_cast<Sum>((1 - v.weight) * u.weight),
                  d = static_cast<Sum>(v.weight * (1 - u.weight)), e = static_cast<Sum>(v.weight * u.weight);
        const Index left = u.lower * C, right = u.upper * C;
        T* const out = fine + (line * width * F + w) * C;
        detail::each_wide<T>(C, [=]<Index W>(Index c) {
          const auto at = [c](const T* from) { return detail::load_wide<W>(from + c); };
          detail::store_narrow<W>(out + c,
                                  a * at(top + left) + b * at(top + right) + d * at(bottom + left) + e * at(bottom + right));
        });
      }
    }
  });
}

/// Down the columns a coarse line gathers from the fine ones between its neighbours; what it gathered is scattered along the
/// line.
template <class T>
void Resample<T>::upsample_backward(Context& ctx, T* dcoarse, const T* dfine, Grids size) {
  const Index height = size.height, width = size.width, C = size.C, F = size.F;
  const Index own = width * C + 2 * F;  // a line, and how much each fine line has of it
  Sum* const scratch = ctx.scratch<Sum>(ctx.threads() * own);
  ctx.split(size.count * height, width * F * F * C, [=](int thread, Index begin, Index end) {
    Sum *const out = scratch + thread * own, *const shares = out + width * C;
    for (Index line = begin; line < end; ++line) {
      const Index h = line % height, first = detail::reach_begin(h, F), last = detail::reach_end(h, F, height);
      std::fill_n(out, width * C, Sum(0));
      for (Index p = first; p < last; ++p)
        shares[p - first] = static_cast<Sum>(detail::share_of(detail::between(p, F, height), h));
      for (Index w = 0; w < width * F; ++w) {
        const T* const g = dfine + (line / height * height * F * width * F + w) * C;
        const auto u = detail::between(w, F, width);
        const Sum a = static_cast<Sum>(1 - u.weight), b = static_cast<Sum>(u.weight);
        detail::each_wide<T>(C, [=]<Index W>(Index c) {
          using V = detail::WideLanes<T, W>;
          V sum{};
          for (Index p = first; p < last; ++p) sum += shares[p - first] * detail::load_wide<W>(g + p * width * F * C + c);
          Sum *const left = out + u.lower * C + c, *const right = out + u.upper * C + c;
          detail::store(left, static_cast<V>(detail::load<V>(left) + a * sum));
          if (left != right) detail::store(right, static_cast<V>(detail::load<V>(right) + b * sum));
        });
      }
      detail::narrow(dcoarse + line * width * C, out, width * C);
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
