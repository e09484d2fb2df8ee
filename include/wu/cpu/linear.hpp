// Linear layers on the CPU: ops/linear.hpp's functions through Eigen's matrix products.
#pragma once

#include "wu/cpu/matrix.hpp"
#include "wu/ops/linear.hpp"

namespace wu::cpu {

void linear_forward(Context& ctx, auto y, auto x, auto W, auto b)
  requires has_product<value_of<decltype(x)>>
{
  constexpr Index In = detail::LinearWidths<x.width, W.width>::in, Out = detail::LinearOutputs<y.width, W.extents[0]>::out;
  check_rows("linear", x, y);
  const auto w = matrix(W.data, Out, In, In);
  split_rows(ctx, x.rows(), In * Out, [&](Index begin, Index count) {
    auto out = matrix(y.data + begin * Out, count, Out, Out);
    const auto in = matrix(x.data + begin * In, count, In, In);
    if (b.data) {
      out.rowwise() = matrix(b.data, 1, Out, Out).row(0);
      out.noalias() += in * w.transpose();
    } else out.noalias() = in * w.transpose();
  });
}

void linear_backward(Context& ctx, auto dx /* = */, auto dW /* += */, auto db /* += */, auto dy, auto x, auto W)
  requires has_product<value_of<decltype(x)>>
{
  constexpr Index In = detail::LinearWidths<x.width, W.width>::in, Out = detail::LinearOutputs<dy.width, W.extents[0]>::out;
  check_rows("linear backward", x, dy);
  const Index rows = dy.rows();
  if (dx.data)
    split_rows(ctx, rows, In * Out, [&](Index begin, Index count) {
      matrix(dx.data + begin * In, count, In, In).noalias() =
          matrix(dy.data + begin * Out, count, Out, Out) * matrix(W.data, Out, In, In);
    });
  if (dW.data || db.data)
    split_rows(ctx, Out, In * rows, [&](Index begin, Index count) {
      const auto g = matrix(dy.data + begin, rows, count, Out);
      if (dW.data) matrix(dW.data + begin * In, count, In, In).noalias() += g.transpose() * matrix(x.data, rows, In, In);
      if (db.data) matrix(db.data + begin, 1, count, Out).row(0) += g.colwise().sum();
    });
}

}  // namespace wu::cpu
