// A linear layer's parameters, and the layer with a low-rank adapter beside it.
#pragma once

#include "wu/ops/reference.hpp"  // first, so that a message out of it tells a short way here

#include <span>

#include "wu/core/describe.hpp"
#include "wu/ops/linear.hpp"
#include "wu/ops/lora.hpp"
#include "wu/ops/lora_linear.hpp"

namespace wu {

/// y = x W^T + b.   x: (rows, In)   y: (rows, Out)
/// What the operations check is checked here first: a mistake's message then names the layer that was called.
template <Index In, Index Out>
struct Linear {
  static constexpr Index in = In, out = Out;

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    View<T, Out, In> weight;
    View<T, Out> bias;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      at("weight", weight);
      at("bias", bias);
    }
  };

  static std::string describe() {
    return "Linear " + text::grouped(In) + " → " + text::grouped(Out) + ": " + text::parameters<Linear>();
  }
  /// Floating-point operations of forward in products: 2 for each multiplication and its addition.
  static constexpr double operations(Index rows) {
    return 2 * static_cast<double>(rows) * static_cast<double>(In) * static_cast<double>(Out);
  }

  /// y: (rows, Out)   x: (rows, In). p: Parameters.
  static void forward(auto& ctx, auto y, auto x, const auto& p) {
    detail::ExpectDevice<std::remove_reference_t<decltype(ctx)>>();
    detail::check_scalars(x, p.weight);
    static_assert(detail::LinearWidths<Out, In, x.width, y.width, Out>::in == In);
    linear_forward(ctx, y, x, p.weight, p.bias);
  }
  /// dx may be null. dp's views may be null: a frozen layer.
  static void backward(auto& ctx, auto dx /* = */, const auto& dp /* += */, auto dy, auto x, const auto& p) {
    linear_backward(ctx, dx, dp.weight, dp.bias, dy, x, p.weight);
  }
};

/// y_s = x_s W^T + b + scale * (x_s A_k^T) B_k^T, k = which[s]: a frozen layer with each sample's own adapter beside it.
/// Without adapters (null A) it is the frozen layer, bit for bit; so are the rows of a sample that has none.
///                                                                                                    paper section 3.2
template <Index In, Index Out, Index Rank>
struct LoRALinear {
  static constexpr Index in = In, out = Out, rank = Rank;
  /// A (Rank, In) and B (Out, Rank) of one request.
  static constexpr Index adapter_values = Rank * (In + Out);
  /// Those of the frozen layer; the adapter is an argument.
  template <class T>
  using Parameters = typename Linear<In, Out>::template Parameters<T>;

  static std::string describe() {
    return "LoRA" + Linear<In, Out>::describe() + "; an adapter of rank " + text::grouped(Rank) + " has " +
           text::counted(adapter_values, "value");
  }

  /// What backward needs beside x: x A^T, (rows, Rank); null without adapters.
  template <class T>
  using Saved = View<T, dyn, Rank>;
  /// What forward takes from the workspace and keeps, with or without adapters.
  template <class T>
  static constexpr std::size_t saved_bytes(Index rows, bool adapted = true) {
    return adapted ? Workspace::bytes_of<T>(rows * Rank) : 0;
  }
  /// Floating-point operations of forward in products, where every row has an adapter or none has.
  static constexpr double operations(Index rows, bool adapted = true) {
    return Linear<In, Out>::operations(rows) +
           (adapted ? 2 * static_cast<double>(rows) * static_cast<double>(adapter_values) : 0);
  }

  /// y: (rows, Out)   x: (rows, In)   which: an adapter's index or no_adapter for each sample. Throws ShapeError as
  /// lora_forward does.
  template <class T>
  static Saved<T> forward(auto& ctx, Workspace& ws, View<T, dyn, Out> y, View<const T, dyn, In> x, const auto& p,
                          AdapterView<const T, In, Out, Rank> adapter, std::span<const Index> which, double scale) {
    detail::ExpectDevice<std::remove_reference_t<decltype(ctx)>>();
    detail::check_scalars(x, p.weight);
    Saved<T> xa;
    if (adapter.A) xa = ws.take<T, dyn, Rank>(x.rows());
    lora_linear_forward(ctx, ws, y, xa, x, p.weight, p.bias, adapter, which, scale);
    return xa;
  }

  /// dx: (rows, In), may be null   dadapter: an AdapterView of T or of accumulator_t<T>, null A and B if not wanted   dp: null
  /// views for a frozen layer.
  template <class T>
  static void backward(auto& ctx, Workspace& ws, View<T, dyn, In> dx /* = */, const auto& dp /* += */,
                       auto dadapter /* += */, View<const T, dyn, Out> dy, View<const T, dyn, In> x, const Saved<T>& xa,
                       const auto& p, AdapterView<const T, In, Out, Rank> adapter, std::span<const Index> which,
                       double scale) {
    const AdapterView<value_of<decltype(dadapter)>, In, Out, Rank> gradients = dadapter;
    lora_linear_backward(ctx, ws, dx, dp.weight, dp.bias, gradients, dy, x, xa, p.weight, adapter, which, scale);
  }
};

}  // namespace wu
