// The per-sample low-rank product on the CPU: Eigen's products, samples split over threads. Adapter gradients are split over
// requests, so that no two threads add to the same one and the order of the sums is fixed.
#pragma once

#include "wu/cpu/matrix.hpp"
#include "wu/ops/lora.hpp"

namespace wu::cpu {

void lora_forward(Context& ctx, Workspace&, auto y /* += */, auto xa, auto x, auto adapter, std::span<const Index> which, double scale)
  requires has_product<value_of<decltype(x)>>
{
  using W = detail::LoraWidths<x.width, adapter.in, y.width, adapter.out>;
  constexpr Index In = W::in, Out = W::out, R = detail::LoraRank<adapter.rank, xa.width>::rank;
  using T = value_of<decltype(x)>;
  check_rows("lora", x, y, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  // Parts of samples, so that one sample alone keeps all threads busy too.
  ctx.split(x.rows(), (In + Out) * R, [&](int, Index begin, Index end) {
    for (Index r = begin; r < end;) {
      const Index sample = r / rows, k = which[static_cast<std::size_t>(sample)], count = std::min(end, (sample + 1) * rows) - r;
      if (k != no_adapter) {
        auto product = matrix(xa.data + r * R, count, R, R);
        product.noalias() = matrix(x.data + r * In, count, In, In) * matrix(adapter.A + k * adapter.stride, R, In, In).transpose();
        matrix(y.data + r * Out, count, Out, Out).noalias() +=
            static_cast<T>(scale) * product * matrix(adapter.B + k * adapter.stride, Out, R, R).transpose();
      }
      r += count;
    }
  });
}

void lora_backward(Context& ctx, Workspace& ws, auto dx /* += */, auto dadapter /* += */, auto dy, auto x, auto xa, auto adapter,
                   std::span<const Index> which, double scale)
  requires has_product<value_of<decltype(x)>>
{
  using W = detail::LoraWidths<x.width, adapter.in, dy.width, adapter.out>;
  constexpr Index In = W::in, Out = W::out, R = detail::LoraRank<adapter.rank, xa.width>::rank;
  using T = value_of<decltype(x)>;
  check_rows("lora backward", x, dy, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  const Workspace::Scope scope(ws);
  T* const g = ws.take_values<T>(x.rows() * R);
  ctx.split(x.rows(), (In + Out) * R, [&](int, Index begin, Index end) {
    for (Index r = begin; r < end;) {
      const Index sample = r / rows, k = which[static_cast<std::size_t>(sample)], count = std::min(end, (sample + 1) * rows) - r;
      if (k != no_adapter) {
        auto product = matrix(g + r * R, count, R, R);
        product.noalias() = static_cast<T>(scale) * matrix(dy.data + r * Out, count, Out, Out) * matrix(adapter.B + k * adapter.stride, Out, R, R);
        if (dx.data) matrix(dx.data + r * In, count, In, In).noalias() += product * matrix(adapter.A + k * adapter.stride, R, In, In);
      }
      r += count;
    }
  });
  if (!dadapter.A) return;
  ctx.split(dadapter.count, x.rows() / dadapter.count * (In + Out) * R, [&](int, Index begin, Index end) {
    for (std::size_t s = 0; s < which.size(); ++s) {
      const Index k = which[s], r = static_cast<Index>(s) * rows;
      if (k < begin || k >= end) continue;
      matrix(dadapter.A + k * dadapter.stride, R, In, In).noalias() +=
          matrix(g + r * R, rows, R, R).transpose() * matrix(x.data + r * In, rows, In, In);
      matrix(dadapter.B + k * dadapter.stride, Out, R, R).noalias() +=
          static_cast<T>(scale) * matrix(dy.data + r * Out, rows, Out, Out).transpose() * matrix(xa.data + r * R, rows, R, R);
    }
  });
}

}  // namespace wu::cpu
