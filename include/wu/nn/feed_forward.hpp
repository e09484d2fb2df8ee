// The feed-forward part of a transformer block:  y = fc2(SiLU(fc1(x))).   x, y: (rows, C)
#pragma once

#include <tuple>

#include "wu/core/workspace.hpp"
#include "wu/nn/linear.hpp"
#include "wu/ops/fused_linear.hpp"
#include "wu/ops/scratch.hpp"

namespace wu {

/// Two linear layers with bias and SiLU between them; not gated.
template <Index C, Index Hidden>
struct FeedForward {
  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    typename Linear<C, Hidden>::template Parameters<T> fc1;
    typename Linear<Hidden, C>::template Parameters<T> fc2;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      at("fc1", fc1);
      at("fc2", fc2);
    }
  };

  /// "256 → 1024 → 256"
  static std::string describe_widths() {
    return text::grouped(C) + " → " + text::grouped(Hidden) + " → " + text::grouped(C);
  }
  static std::string describe() { return "FeedForward " + describe_widths() + ", SiLU: " + text::parameters<FeedForward>(); }

  /// What forward takes before the weights: y, x.
  template <class T>
  using Operands = std::tuple<View<T, dyn, C>, View<const T, dyn, C>>;
  /// What backward needs, in the workspace until the caller's scope ends. SiLU's output is as large and soon computed again.
  template <class T>
  struct Saved {
    View<const T, dyn, C> x;
    View<T, dyn, Hidden> up;
  };
  /// What forward takes from the workspace and keeps.
  template <class T>
  static constexpr std::size_t saved_bytes(Index rows) {
    return Workspace::bytes_of<T>(rows * Hidden);
  }
  /// What forward takes from the workspace, y wanted or not.
  template <class T>
  static constexpr ForwardBytes forward_bytes(bool wanted, Index rows) {
    const std::size_t kept = saved_bytes<T>(rows);
    return {kept + (wanted ? Workspace::bytes_of<T>(rows * Hidden) : 0), kept};
  }
  /// What backward takes from the workspace at once.
  template <class T>
  static constexpr std::size_t backward_bytes(Index rows) {
    return Workspace::bytes_of<T>(rows * Hidden);
  }
  /// Floating-point operations of forward in products.
  static constexpr double operations(Index rows) {
    return Linear<C, Hidden>::operations(rows) + Linear<Hidden, C>::operations(rows);
  }

  /// y, x: (rows, C). y null: not wanted; it may lie where x does, which Saved then has lost: put x into it before
  /// backward. residual: (rows, C), not y's own memory, added to y; null: nothing.
  template <class T>
  static Saved<T> forward(auto& ctx, Workspace& ws, View<T, dyn, C> y, View<const T, dyn, C> x, const Parameters<const T>& p,
                          View<const T, dyn, C> residual = {}) {
    const Saved<T> s{x, ws.take<T, dyn, Hidden>(x.rows())};
    if (!y.data) {
      linear_forward(ctx, s.up, x, p.fc1.weight, p.fc1.bias);
      return s;
    }
    const Workspace::Scope scope(ws);
    const auto activated = ws.take<T, dyn, Hidden>(x.rows());
    linear_silu_forward(ctx, s.up, activated, x, p.fc1.weight, p.fc1.bias);
    if (residual.data) linear_residual_forward(ctx, y, residual, as_const(activated), p.fc2.weight, p.fc2.bias);
    else linear_forward(ctx, y, activated, p.fc2.weight, p.fc2.bias);
    return s;
  }

  /// dx, dy: (rows, C). Overwrites dx, adds to dp.
  template <class T>
  static void backward(auto& ctx, Workspace& ws, View<T, dyn, C> dx, const Parameters<accumulator_t<T>>& dp,
                       View<const T, dyn, C> dy, const Saved<T>& s, const Parameters<const T>& p) {
    const Workspace::Scope scope(ws);
    // First SiLU's output, until the gradients of fc2's weights are made from it; then the gradient of it, in the same place.
    const auto hidden = ws.take<T, dyn, Hidden>(dy.rows());
    const View<T, dyn, Hidden> no_dx;
    const Parameters<accumulator_t<T>> none;
    silu_forward(ctx, hidden, s.up);
    linear_backward(ctx, no_dx, dp.fc2.weight, dp.fc2.bias, dy, as_const(hidden), p.fc2.weight);
    linear_silu_backward(ctx, hidden, none.fc2.weight, none.fc2.bias, dy, as_const(hidden), as_const(s.up), p.fc2.weight);
    linear_backward(ctx, dx, dp.fc1.weight, dp.fc1.bias, as_const(hidden), s.x, p.fc1.weight);
  }
};

}  // namespace wu
