// What RMS norm and layer norm share on the CPU: rows over threads, a row being gone through several times while it lies in the
// nearest cache. The gradients of gain and bias are summed in the same pass as the gradient of x.
#pragma once

#include <array>
#include <cmath>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/row_groups.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// On rows of C values. Centred: layer norm, which takes off the mean; else RMS norm, whose mean is null. gain and bias may be
/// null, and so may gradients that are not wanted.
template <class T, bool Centred>
struct Norm {
  using Sum = accumulator_t<T>;
  static void forward(Context& ctx, T* y, Sum* mean, Sum* inverse, const T* x, const T* gain, const T* bias, Index rows,
                      Index C, Sum eps);
  /// add: dx +=
  static void backward(Context& ctx, T* dx, bool add, Sum* dgain, Sum* dbias, const T* dy, const T* x, const Sum* mean,
                       const Sum* inverse, const T* gain, Index rows, Index C);

 private:
  /// One row of backward; what it gives to dgain is added to C sums, to dbias the C after these.
  static void backward_row(T* dx, bool add, Sum* sums, const T* dy, const T* x, Sum centre, Sum inverse, const T* gain,
                           Index C);
};

template <class T, bool Centred>
void Norm<T, Centred>::forward(Context& ctx, T* y, Sum* mean, Sum* inverse, const T* x, const T* gain, const T* bias,
                               Index rows, Index C, Sum eps) {
  ctx.split(rows, C, [=](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const T* const in = x + r * C;
      Sum centre = 0;
      if constexpr (Centred)
        mean[r] = centre =
            detail::row_sums<Sum, 1>(
                C,
                [in]<Index W>(Index c) { return std::array<detail::WideLanes<T, W>, 1>{detail::load_wide<W>(in + c)}; })[0] /
            static_cast<Sum>(C);
      const Sum squares = detail::row_sums<Sum, 1>(C, [in, centre]<Index W>(Index c) {
        const detail::WideLanes<T, W> v = detail::load_wide<W>(in + c) - centre;
        return std::array<detail::WideLanes<T, W>, 1>{v * v};
      })[0];
      const Sum factor = inverse[r] = 1 / std::sqrt(squares / static_cast<Sum>(C) + eps);
      T* const out = y + r * C;
      detail::each_wide<T>(C, [=]<Index W>(Index c) {
        detail::WideLanes<T, W> v = (detail::load_wide<W>(in + c) - centre) * factor;
        if (gain) v *= detail::load_wide<W>(gain + c);
        if (bias) v += detail::load_wide<W>(bias + c);
        detail::store_narrow<W>(out + c, v);
      });
    }
  });
}

template <class T, bool Centred>
void Norm<T, Centred>::backward_row(T* dx, bool add, Sum* sums, const T* dy, const T* x, Sum centre, Sum inverse,
                                    const T* gain, Index C) {
  Sum level = 0, back = 0;  // dx = inverse (dy gain - level - (x - centre) back)
  if (dx) {
    const auto of_row = detail::row_sums<Sum, Centred ? 2 : 1>(C, [=]<Index W>(Index c) {
      using V = detail::WideLanes<T, W>;
      V h = detail::load_wide<W>(dy + c);
      if (gain) h *= detail::load_wide<W>(gain + c);
      const V along = h * (detail::load_wide<W>(x + c) - centre);
      if constexpr (Centred) return std::array<V, 2>{along, h};
      else return std::array<V, 1>{along};
    });
    back = of_row[0] * inverse * inverse / static_cast<Sum>(C);
    if constexpr (Centred) level = of_row[1] / static_cast<Sum>(C);
  }
  detail::each_wide<T>(C, [=]<Index W>(Index c) {
    using V = detail::WideLanes<T, W>;
    const V g = detail::load_wide<W>(dy + c), v = detail::load_wide<W>(x + c) - centre;
    if (dx) {
      V h = g;
      if (gain) h *= detail::load_wide<W>(gain + c);
      V out = inverse * (h - level - v * back);
      if (add) out += detail::load_wide<W>(dx + c);
      detail::store_narrow<W>(dx + c, out);
    }
    if (!sums) return;
    detail::store(sums + c, static_cast<V>(detail::load<V>(sums + c) + g * (v * inverse)));
    if constexpr (Centred) detail::store(sums + C + c, static_cast<V>(detail::load<V>(sums + C + c) + g));
  });
}

template <class T, bool Centred>
void Norm<T, Centred>::backward(Context& ctx, T* dx, bool add, Sum* dgain, Sum* dbias, const T* dy, const T* x,
                                const Sum* mean, const Sum* inverse, const T* gain, Index rows, Index C) {
  const auto some_rows = [=](Sum* sums, Index first, Index last) {
    for (Index r = first; r < last; ++r)
      backward_row(dx ? dx + r * C : nullptr, add, sums, dy + r * C, x + r * C, Centred ? mean[r] : Sum(0), inverse[r], gain,
                   C);
  };
  if (!dgain && !dbias) ctx.split(rows, C, [=](int, Index begin, Index end) { some_rows(nullptr, begin, end); });
  else
    detail::sum_row_groups<Sum>(
        ctx, 1, rows, Centred ? 2 * C : C, C,
        [=](Sum* sums, Index, Index first, Index last) { some_rows(sums, first, last); },
        [=](Index, const Sum* sums) {
          for (Index c = 0; c < C && dgain; ++c) dgain[c] += sums[c];
          for (Index c = 0; c < C && dbias; ++c) dbias[c] += sums[C + c];
        });
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel
