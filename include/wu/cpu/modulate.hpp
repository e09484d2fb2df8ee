// Adaptive modulation on the CPU, by rows; backward's sums are taken in the same pass.
#pragma once

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/row_groups.hpp"
#include "wu/cpu/spaced.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/modulate.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
/// On rows of C values in groups of k.
template <class T>
struct Modulate {
  using Sum = accumulator_t<T>;
  static void forward(Context& ctx, T* y, const T* x, Spaced<const T> shift, Spaced<const T> scale, Index rows, Index k,
                      Index C);
  static void backward(Context& ctx, T* dx, Spaced<T> dshift, Spaced<T> dscale, const T* dy, const T* x,
                       Spaced<const T> scale, Index groups, Index k, Index C);
  static void gated_add(Context& ctx, T* y, const T* h, Spaced<const T> gate, Index rows, Index k, Index C);
  static void gated_add_backward(Context& ctx, T* dh, Spaced<T> dgate, const T* dy, const T* h, Spaced<const T> gate,
                                 Index groups, Index k, Index C);
};

template <class T>
void Modulate<T>::forward(Context& ctx, T* y, const T* x, Spaced<const T> shift, Spaced<const T> scale, Index rows, Index k,
                          Index C) {
  ctx.split(rows, C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const T *const in = x + r * C, *const by = scale.row(r / k), *const to = shift.row(r / k);
      T* const out = y + r * C;
      detail::each_wide<T>(C, [=]<Index W>(Index c) {
        detail::store_narrow<W>(
            out + c, detail::load_wide<W>(in + c) * (Sum(1) + detail::load_wide<W>(by + c)) + detail::load_wide<W>(to + c));
      });
    }
  });
}

template <class T>
void Modulate<T>::backward(Context& ctx, T* dx, Spaced<T> dshift, Spaced<T> dscale, const T* dy, const T* x,
                           Spaced<const T> scale, Index groups, Index k, Index C) {
  detail::sum_row_groups<Sum>(
      ctx, groups, k, 2 * C, C,
      [=](Sum* sums, Index g, Index first, Index last) {
        const T* const by = scale.row(g);
        for (Index r = first; r < last; ++r)
          detail::each_wide<T>(C, [=]<Index W>(Index c) {
            using V = detail::WideLanes<T, W>;
            const V d = detail::load_wide<W>(dy + r * C + c);
            detail::store(sums + c, static_cast<V>(detail::load<V>(sums + c) + d));
            Sum* const along = sums + C + c;
            detail::store(along, static_cast<V>(detail::load<V>(along) + d * detail::load_wide<W>(x + r * C + c)));
            if (dx) detail::store_narrow<W>(dx + r * C + c, d * (Sum(1) + detail::load_wide<W>(by + c)));
          });
      },
      [=](Index g, const Sum* sums) {
        if (dshift.data) detail::narrow(dshift.row(g), sums, C);
        if (dscale.data) detail::narrow(dscale.row(g), sums + C, C);
      });
}

template <class T>
void Modulate<T>::gated_add(Context& ctx, T* y, const T* h, Spaced<const T> gate, Index rows, Index k, Index C) {
  ctx.split(rows, C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const T *const in = h + r * C, *const by = gate.row(r / k);
      T* const out = y + r * C;
      detail::each_wide<T>(C, [=]<Index W>(Index c) {
        detail::store_narrow<W>(out + c,
                                detail::load_wide<W>(out + c) + detail::load_wide<W>(by + c) * detail::load_wide<W>(in + c));
      });
    }
  });
}

template <class T>
void Modulate<T>::gated_add_backward(Context& ctx, T* dh, Spaced<T> dgate, const T* dy, const T* h, Spaced<const T> gate,
                                     Index groups, Index k, Index C) {
  detail::sum_row_groups<Sum>(
      ctx, groups, k, C, C,
      [=](Sum* sums, Index g, Index first, Index last) {
        const T* const by = gate.row(g);
        for (Index r = first; r < last; ++r)
          detail::each_wide<T>(C, [=]<Index W>(Index c) {
            using V = detail::WideLanes<T, W>;
            const V d = detail::load_wide<W>(dy + r * C + c);
            detail::store(sums + c, static_cast<V>(detail::load<V>(sums + c) + d * detail::load_wide<W>(h + r * C + c)));
            if (dh) detail::store_narrow<W>(dh + r * C + c, d * detail::load_wide<W>(by + c));
          });
      },
      [=](Index g, const Sum* sums) {
        if (dgate.data) detail::narrow(dgate.row(g), sums, C);
      });
}
}  // namespace kernel

/// ops/modulate.hpp's, on all threads.
void modulate_forward(Context& ctx, auto y, auto x, auto shift, auto scale)
  requires detail::one_type<decltype(y), decltype(x), decltype(shift), decltype(scale)>
{
  detail::check_contiguous(y, x);
  constexpr Index C = detail::SameWidth<x.width, y.width, shift.width, scale.width>::value;
  using T = value_of<decltype(x)>;
  check_rows("modulate", x, y);
  check_rows("modulate", shift, scale);
  const Index k = detail::group_rows("modulate", x.rows(), scale.rows());
  kernel::Modulate<T>::forward(ctx, y.data, x.data, spaced(shift), spaced(scale), x.rows(), k, C);
}

/// ops/modulate.hpp's, on all threads.
void modulate_backward(Context& ctx, auto dx /* = */, auto dshift /* = */, auto dscale /* = */, auto dy, auto x, auto scale)
  requires detail::one_type<decltype(dx), decltype(dshift), decltype(dscale), decltype(dy), decltype(x), decltype(scale)>
{
  detail::check_contiguous(dx, dy, x);
  constexpr Index C = detail::SameWidth<x.width, dy.width, dx.width, scale.width, dshift.width, dscale.width>::value;
  check_rows("modulate backward", x, dy);
  if (dx.data) check_rows("modulate backward", x, dx);
  if (dshift.data) check_rows("modulate backward", scale, dshift);
  if (dscale.data) check_rows("modulate backward", scale, dscale);
  const Index groups = scale.rows(), k = detail::group_rows("modulate backward", x.rows(), groups);
  kernel::Modulate<value_of<decltype(x)>>::backward(ctx, dx.data, spaced(dshift), spaced(dscale), dy.data, x.data,
                                                    spaced(scale), groups, k, C);
}

/// ops/modulate.hpp's, on all threads.
void gated_add_forward(Context& ctx, auto y /* += */, auto h, auto gate)
  requires detail::one_type<decltype(y), decltype(h), decltype(gate)>
{
  detail::check_contiguous(y, h);
  constexpr Index C = detail::SameWidth<h.width, y.width, gate.width>::value;
  check_rows("gated add", h, y);
  const Index k = detail::group_rows("gated add", h.rows(), gate.rows());
  kernel::Modulate<value_of<decltype(h)>>::gated_add(ctx, y.data, h.data, spaced(gate), h.rows(), k, C);
}

/// ops/modulate.hpp's, on all threads.
void gated_add_backward(Context& ctx, auto dh /* = */, auto dgate /* = */, auto dy, auto h, auto gate)
  requires detail::one_type<decltype(dh), decltype(dgate), decltype(dy), decltype(h), decltype(gate)>
{
  detail::check_contiguous(dh, dy, h);
  constexpr Index C = detail::SameWidth<h.width, dy.width, dh.width, gate.width, dgate.width>::value;
  check_rows("gated add backward", h, dy);
  if (dh.data) check_rows("gated add backward", h, dh);
  if (dgate.data) check_rows("gated add backward", gate, dgate);
  const Index groups = gate.rows(), k = detail::group_rows("gated add backward", h.rows(), groups);
  kernel::Modulate<value_of<decltype(h)>>::gated_add_backward(ctx, dh.data, spaced(dgate), dy.data, h.data, spaced(gate),
                                                              groups, k, C);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
