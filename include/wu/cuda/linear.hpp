// Linear layers on the GPU: products by cuBLASLt, the bias added with them. Those whose weights a Float8Weights holds too are
// multiplied in FP8: what goes in is rounded to it first, a row at a time.
#pragma once

#include <array>

#include "wu/cuda/column_sums.hpp"
#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/float8.hpp"
#include "wu/ops/fused_linear.hpp"
#include "wu/ops/linear.hpp"

namespace wu::cuda {

namespace detail {
/// x (rows, In) in FP8, in the context's scratch memory.
inline Float8Rows to_float8(Context& ctx, const bfloat16* x, Index rows, Index In) {
  constexpr Index boundary = 256;
  const Index bytes = (rows * In + boundary - 1) / boundary * boundary;
  std::byte* const memory = ctx.scratch<std::byte>(bytes + rows * static_cast<Index>(sizeof(float)));
  const Float8Rows made{reinterpret_cast<float8*>(memory), reinterpret_cast<float*>(memory + bytes), rows, In};
  const kernel::QuantiseRows body(made.codes, made.scales, x, rows, In);
  ctx.run_blocks(body, {.blocks = body.blocks(), .threads = body.threads});
  return made;
}

/// y (rows, Out) = x (rows, In) W^T + b + residual
template <class T>
Product linear_product(T* y, const T* residual, const T* x, const T* W, const T* b, Index rows, Index In, Index Out) {
  return {.m = rows,
          .n = Out,
          .k = In,
          .a = x,
          .b = W,
          .transposed_b = true,
          .row_a = In,
          .row_b = In,
          .row_c = Out,
          .c = y,
          .added = residual,
          .bias = b,
          .beta = residual ? 1.0 : 0.0,
          .operands = scalar_of<T>,
          .result = scalar_of<T>};
}
/// The same of operands in FP8.
inline Product in_float8(Product p, const Float8Rows& x, const Float8Rows& W) {
  p.a = x.codes, p.b = W.codes, p.operands = Scalar::f8;
  p.scales_a = x.scales, p.scales_b = W.scales, p.fast_sums = W.fast_sums;
  return p;
}

template <class T>
void linear(Context& ctx, T* y, const T* residual, const T* x, const T* W, const T* b, Index rows, Index In, Index Out) {
  if (rows == 0 || Out == 0) return;
  Product p = linear_product(y, residual, x, W, b, rows, In, Out);
  if constexpr (std::is_same_v<T, bfloat16>)
    if (const Float8Rows* const codes = residual == y ? nullptr : ctx.float8_of(W, Out, In))
      p = in_float8(p, to_float8(ctx, x, rows, In), *codes);
  runtime::multiply(ctx.stream(), p);
}

/// dx (rows, In) = or += dy (rows, Out) W
template <class T>
void linear_dx(Context& ctx, T* dx, bool add, const T* dy, const T* W, Index rows, Index In, Index Out) {
  if (rows == 0 || In == 0) return;
  runtime::multiply(ctx.stream(), {.m = rows,
                                   .n = In,
                                   .k = Out,
                                   .a = dy,
                                   .b = W,
                                   .row_a = Out,
                                   .row_b = In,
                                   .row_c = In,
                                   .c = dx,
                                   .beta = add ? 1.0 : 0.0,
                                   .operands = scalar_of<T>,
                                   .result = scalar_of<T>});
}

/// dW (Out, In) += dy^T x,  db (Out) += sum over rows of dy; each may be null.
template <class T>
void linear_dW(Context& ctx, accumulator_t<T>* dW, accumulator_t<T>* db, const T* dy, const T* x, Index rows, Index In,
               Index Out) {
  if (rows == 0) return;
  if (dW && Out > 0 && In > 0)
    runtime::multiply(ctx.stream(), {.m = Out,
                                     .n = In,
                                     .k = rows,
                                     .a = dy,
                                     .b = x,
                                     .transposed_a = true,
                                     .row_a = Out,
                                     .row_b = In,
                                     .row_c = In,
                                     .c = dW,
                                     .beta = 1,
                                     .operands = scalar_of<T>,
                                     .result = scalar_of<accumulator_t<T>>});
  add_column_sums(ctx, {db}, kernel::BiasTerms<T>{dy, Out}, rows, Out);
}
}  // namespace detail

/// ops/linear.hpp's.
void linear_forward(Context& ctx, auto y, auto x, auto W, auto b) {
  detail::check_contiguous(y, x, W, b);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y, W, b);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, y.width, b.width>;
  check_rows("linear", x, y);
  const T* const no_residual = nullptr;
  detail::linear<T>(ctx, y.data, no_residual, x.data, W.data, b.data, x.rows(), Widths::in, Widths::out);
}

/// ops/linear.hpp's.
void linear_backward(Context& ctx, auto dx /* = */, auto dW /* += */, auto db /* += */, auto dy, auto x, auto W) {
  detail::check_contiguous(dx, dW, db, dy, x, W);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(dx, dy, W);
  detail::check_sums<T>(dW, db);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, dy.width, W.extents[0]>;
  constexpr Index In = Widths::in, Out = Widths::out;
  static_assert(detail::LinearGradients<Out, In, dx.width, dW.extents[0], dW.width, db.width>::fit);
  detail::check_linear_backward(dx, dy, x);
  if (ctx.float8_of(W.data, Out, In))
    throw Error(
        "cuda: expected a backward pass without wu::cuda::Float8Weights of its weights, for FP8 is for inference alone");
  detail::linear_dW<T>(ctx, dW.data, db.data, dy.data, x.data, x.rows(), In, Out);
  if (dx.data) detail::linear_dx<T>(ctx, dx.data, false, dy.data, W.data, x.rows(), In, Out);
}

/// ops/fused_linear.hpp's: the residual is what the product is added to.
void linear_residual_forward(Context& ctx, auto y, auto residual, auto x, auto W, auto b) {
  detail::check_contiguous(y, residual, x, W, b);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(y, residual, W, b);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, y.width, b.width>;
  static_assert(detail::SameWidth<y.width, residual.width>::value == Widths::out);
  check_rows("linear", x, y, residual);
  detail::linear<T>(ctx, y.data, residual.data, x.data, W.data, b.data, x.rows(), Widths::in, Widths::out);
}

/// ops/fused_linear.hpp's: in FP8 x is rounded once for all layers.
template <class Y, class Layer, std::size_t N>
void joint_linear_forward(Context& ctx, const std::array<Y, N>& y, auto x, const std::array<Layer, N>& layers) {
  if constexpr (N > 1 && std::is_same_v<value_of<decltype(x)>, bfloat16>) {
    const auto codes_of = [&](const Layer& layer) { return ctx.float8_of(layer.weight.data, Y::width, x.width); };
    if (x.rows() > 0 && std::all_of(layers.begin(), layers.end(), codes_of)) {
      for (const Y& result : y) check_rows("linear", x, result);
      const Float8Rows once = detail::to_float8(ctx, x.data, x.rows(), x.width);
      for (std::size_t i = 0; i < N; ++i) {
        const bfloat16* const no_residual = nullptr;
        const Layer& layer = layers[i];
        const Product p = detail::linear_product<bfloat16>(y[i].data, no_residual, x.data, layer.weight.data,
                                                           layer.bias.data, x.rows(), x.width, Y::width);
        runtime::multiply(ctx.stream(), detail::in_float8(p, once, *codes_of(layer)));
      }
      return;
    }
  }
  for (std::size_t i = 0; i < N; ++i) linear_forward(ctx, y[i], x, layers[i].weight, layers[i].bias);
}

/// ops/fused_linear.hpp's: the second and later dx are added by the product.
template <class DLayer, class DY, class Layer, std::size_t N>
void joint_linear_backward(Context& ctx, Workspace&, auto dx, bool add_to_dx, const std::array<DLayer, N>& dlayers /* += */,
                           const std::array<DY, N>& dy, auto x, const std::array<Layer, N>& layers) {
  using T = value_of<decltype(x)>;
  for (std::size_t i = 0; i < N; ++i) {
    const auto no_dx = decltype(dx)();
    linear_backward(ctx, no_dx, dlayers[i].weight, dlayers[i].bias, dy[i], x, layers[i].weight);
    if (!dx.data) continue;
    check_rows("linear backward", x, dx);
    detail::linear_dx<T>(ctx, dx.data, add_to_dx || i > 0, dy[i].data, layers[i].weight.data, x.rows(), dx.width,
                         dy[i].width);
  }
}

}  // namespace wu::cuda
