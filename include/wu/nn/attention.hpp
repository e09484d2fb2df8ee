// Multi-head attention with its four projections and rotary positions, on groups of rows. Self attention takes the same rows
// for both sides, cross attention takes keys and values from a memory u that is not normed again.       paper section 3.5
//     q = rope(x W_q), k = rope(u W_k), v = u W_v;   y = attention(q, k, v) W_o.        x, y: (rows, C)   u: (memory rows, C)
#pragma once

#include <algorithm>
#include <tuple>

#include "wu/core/fits.hpp"
#include "wu/nn/linear.hpp"
#include "wu/ops/attention.hpp"
#include "wu/ops/fused_linear.hpp"
#include "wu/ops/rope.hpp"
#include "wu/ops/scratch.hpp"

namespace wu {

namespace detail {
template <Index C, Index HeadWidth>
struct HeadsDivide {
  static_assert(fits<(C % HeadWidth == 0), "Attention: a head width of ", HeadWidth, " does not divide the model width, ", C,
                     "; give a divisor of it">);
  static constexpr bool value = true;
};
}  // namespace detail

/// Four projections C -> C with bias, rotary positions, heads of HeadWidth. The formula stands at the top of the file.
template <Index C, Index HeadWidth>
struct Attention {
  static_assert(detail::HeadsDivide<C, HeadWidth>::value);
  static constexpr Index heads = C / HeadWidth;

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    typename Linear<C, C>::template Parameters<T> W_q, W_k, W_v, W_o;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      at("W_q", W_q);
      at("W_k", W_k);
      at("W_v", W_v);
      at("W_o", W_o);
    }
  };

  /// "width 256, 8 heads × 32"
  static std::string describe_width() {
    return "width " + text::grouped(C) + ", " + text::counted(heads, "head") + " × " + text::grouped(HeadWidth);
  }
  static std::string describe() { return "Attention of " + describe_width() + ": " + text::parameters<Attention>(); }

  /// What forward takes before the weights: y, x, u.
  template <class T>
  using Operands = std::tuple<View<T, dyn, C>, View<const T, dyn, C>, View<const T, dyn, C>>;
  /// What backward needs, in the workspace until the caller's scope ends.
  template <class T>
  struct Saved {
    View<const T, dyn, C> x, u;
    View<T, dyn, C> q, k, v, mixed;
    View<accumulator_t<T>, dyn, heads> lse;
  };
  /// What forward takes from the workspace and keeps, for so many rows of x and of u. A device's own scratch is not counted.
  template <class T>
  static constexpr std::size_t saved_bytes(Index rows, Index memory_rows) {
    return 2 * Workspace::bytes_of<T>(rows * C) + 2 * Workspace::bytes_of<T>(memory_rows * C) +
           Workspace::bytes_of<accumulator_t<T>>(rows * heads);
  }
  /// What forward takes from the workspace, for groups of so many queries and keys. scratch: a device's, as ReferenceScratch.
  template <class T>
  static constexpr ForwardBytes forward_bytes(Index rows, Index memory_rows, Index queries, Index keys,
                                              const auto& scratch) {
    const std::size_t kept = saved_bytes<T>(rows, memory_rows);
    return {kept + scratch.template attention<T>(queries, keys, HeadWidth), kept};
  }
  /// What backward takes from the workspace at once.
  template <class T>
  static constexpr std::size_t backward_bytes(Index rows, Index memory_rows, Index queries, Index keys,
                                              const auto& scratch) {
    return Workspace::bytes_of<T>(rows * C) + 2 * Workspace::bytes_of<T>(memory_rows * C) +
           std::max(scratch.template attention_backward<T>(queries, keys, HeadWidth),
                    scratch.template joint_linear_backward<T>(memory_rows * C));
  }
  /// Floating-point operations of forward in products, where each row of x attends to so many rows of u.
  static constexpr double operations(Index rows, Index memory_rows, Index attended) {
    return Linear<C, C>::operations(2 * rows + 2 * memory_rows) +
           4 * static_cast<double>(rows) * static_cast<double>(attended) * static_cast<double>(C);
  }

  /// y, x: (rows, C); y null: not wanted; it may lie where x does, which Saved then has lost: put x into it before backward.
  /// u: (memory rows, C); x and u may be the same rows. rotary_q and rotary_k are tables made by Rotary::make, or Rotary<T, 0>.
  /// residual: (rows, C), not y's own memory, added to y; null: nothing. Throws ShapeError where `rows` does not cover x and u.
  template <class T>
  static Saved<T> forward(auto& ctx, Workspace& ws, View<T, dyn, C> y, View<const T, dyn, C> x, View<const T, dyn, C> u,
                          const Parameters<const T>& p, const auto& rotary_q, const auto& rotary_k,
                          const AttentionRows& rows, View<const T, dyn, C> residual = {}) {
    Saved<T> s{x,
               u,
               ws.take<T, dyn, C>(x.rows()),
               ws.take<T, dyn, C>(u.rows()),
               ws.take<T, dyn, C>(u.rows()),
               ws.take<T, dyn, C>(x.rows()),
               ws.take<accumulator_t<T>, dyn, heads>(x.rows())};
    if (x.data == u.data && x.rows() == u.rows())
      joint_linear_forward(ctx, std::array{s.q, s.k, s.v}, x, std::array{p.W_q, p.W_k, p.W_v});
    else {
      linear_forward(ctx, s.q, x, p.W_q.weight, p.W_q.bias);
      joint_linear_forward(ctx, std::array{s.k, s.v}, u, std::array{p.W_k, p.W_v});
    }
    rope_forward<HeadWidth>(ctx, s.q, rotary_q);
    rope_forward<HeadWidth>(ctx, s.k, rotary_k);
    attention_forward<HeadWidth>(ctx, ws, s.mixed, s.lse, as_const(s.q), as_const(s.k), as_const(s.v), rows);
    if (!y.data) return s;
    if (residual.data) linear_residual_forward(ctx, y, residual, as_const(s.mixed), p.W_o.weight, p.W_o.bias);
    else linear_forward(ctx, y, s.mixed, p.W_o.weight, p.W_o.bias);
    return s;
  }

  /// dx, dy: (rows, C), not one memory   du: (memory rows, C); null: the same rows on both sides, whose gradient is all in dx.
  template <class T>
  static void backward(auto& ctx, Workspace& ws, View<T, dyn, C> dx /* = */, View<T, dyn, C> du /* += */,
                       const Parameters<accumulator_t<T>>& dp, View<const T, dyn, C> dy, const Saved<T>& s,
                       const Parameters<const T>& p, const auto& rotary_q, const auto& rotary_k, const AttentionRows& rows) {
    const Workspace::Scope scope(ws);
    const auto dmixed = dx;  // until dx itself is made
    const auto dq = ws.take<T, dyn, C>(s.x.rows()), dk = ws.take<T, dyn, C>(s.u.rows()), dv = ws.take<T, dyn, C>(s.u.rows());
    linear_backward(ctx, dmixed, dp.W_o.weight, dp.W_o.bias, dy, s.mixed, p.W_o.weight);
    attention_backward<HeadWidth>(ctx, ws, dq, dk, dv, as_const(dmixed), as_const(s.mixed), as_const(s.lse), as_const(s.q),
                                  as_const(s.k), as_const(s.v), rows);
    rope_backward<HeadWidth>(ctx, dq, rotary_q);
    rope_backward<HeadWidth>(ctx, dk, rotary_k);
    if (!du.data)
      return joint_linear_backward(ctx, ws, dx, false, std::array{dp.W_q, dp.W_k, dp.W_v},
                                   std::array{as_const(dq), as_const(dk), as_const(dv)}, s.x,
                                   std::array{p.W_q, p.W_k, p.W_v});
    linear_backward(ctx, dx, dp.W_q.weight, dp.W_q.bias, as_const(dq), s.x, p.W_q.weight);
    joint_linear_backward(ctx, ws, du, true, std::array{dp.W_k, dp.W_v}, std::array{as_const(dk), as_const(dv)}, s.u,
                          std::array{p.W_k, p.W_v});
  }
};

}  // namespace wu
