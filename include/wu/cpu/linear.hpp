// Linear layers on the CPU: ops/linear.hpp's functions through the products of cpu/product.hpp, rows of the result over threads.
#pragma once

#include <algorithm>

#include "wu/cpu/matrix.hpp"
#include "wu/cpu/product.hpp"
#include "wu/ops/linear.hpp"

namespace wu::cpu {

namespace detail {
using namespace wu::detail;
}  // namespace detail

void linear_forward(Context& ctx, auto y, auto x, auto W, auto b)
  requires has_product<value_of<decltype(x)>>
{
  detail::check_contiguous(y, x, W, b);
  constexpr Index In = detail::LinearWidths<x.width, W.width>::in, Out = detail::LinearOutputs<y.width, W.extents[0]>::out;
  static_assert(detail::LinearOutputs<b.width, Out>::out == Out);
  using T = value_of<decltype(x)>;
  check_rows("linear", x, y);
  T* const turned = ctx.scratch<T>(In * Out);
  transpose(turned, W.data, Out, In);
  split_rows(ctx, x.rows(), In * Out, [&](Index begin, Index count) {
    if (b.data)
      for (Index r = begin; r < begin + count; ++r) std::copy_n(b.data, Out, y.data + r * Out);
    product<Out, T>(y.data + begin * Out, Out, x.data + begin * In, In, 1, turned, Out, count, In, b.data != nullptr);
  });
}

void linear_backward(Context& ctx, auto dx /* = */, auto dW /* += */, auto db /* += */, auto dy, auto x, auto W)
  requires has_product<value_of<decltype(x)>>
{
  detail::check_contiguous(dx, dW, db, dy, x, W);
  constexpr Index In = detail::LinearWidths<x.width, W.width>::in, Out = detail::LinearOutputs<dy.width, W.extents[0]>::out;
  using T = value_of<decltype(x)>;
  detail::check_linear_backward(dx, dW, db, dy, x, W);
  const Index rows = dy.rows();
  if (dx.data)
    split_rows(ctx, rows, In * Out, [&](Index begin, Index count) {
      product<In, T>(dx.data + begin * In, In, dy.data + begin * Out, Out, 1, W.data, In, count, Out, false);
    });
  if (dW.data || db.data)
    split_rows(ctx, Out, In * rows, [&](Index begin, Index count) {
      if (dW.data) product<In, T>(dW.data + begin * In, In, dy.data + begin, 1, Out, x.data, In, count, rows, true);
      if (!db.data) return;
      for (Index s = 0; s < rows; ++s)
        for (Index o = begin; o < begin + count; ++o) db.data[o] += dy.data[s * Out + o];
    });
}

}  // namespace wu::cpu
