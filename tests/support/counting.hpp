// A context that counts the floating-point operations of every product it is asked for, and lets the reference do them. What
// modules say about their operations is compared with it.
#pragma once

#include <initializer_list>
#include <span>

#include "wu/ops/attention.hpp"
#include "wu/ops/depthwise.hpp"
#include "wu/ops/linear.hpp"
#include "wu/ops/lora.hpp"

namespace wu::test {

struct Counting : reference {
  double operations = 0;

  void count(double factor, std::initializer_list<Index> extents) {
    for (const Index extent : extents) factor *= static_cast<double>(extent);
    operations += factor;
  }
};

// More fitting than the reference's functions, for a context of this type.
void linear_forward(Counting& ctx, auto y, auto x, auto W, auto b) {
  ctx.count(2, {x.rows(), x.width, y.width});
  wu::linear_forward(static_cast<reference&>(ctx), y, x, W, b);
}
void lora_forward(Counting& ctx, Workspace& ws, auto y, auto xa, auto x, auto adapter, std::span<const Index> which,
                  double scale) {
  for (const Index k : which)
    if (k != no_adapter) ctx.count(2, {x.rows() / static_cast<Index>(which.size()), xa.width, x.width + y.width});
  wu::lora_forward(static_cast<reference&>(ctx), ws, y, xa, x, adapter, which, scale);
}
template <Index D>
void attention_forward(Counting& ctx, Workspace& ws, auto out, auto lse, auto q, auto k, auto v, const AttentionRows& rows) {
  ctx.count(4, {rows.groups(), rows.query.size(), rows.key.size(), q.width});
  wu::attention_forward<D>(static_cast<reference&>(ctx), ws, out, lse, q, k, v, rows);
}
void depthwise_forward(Counting& ctx, auto y, auto x, auto W) {
  ctx.count(2, {x.size(), W.extents[0]});
  wu::depthwise_forward(static_cast<reference&>(ctx), y, x, W);
}

}  // namespace wu::test
