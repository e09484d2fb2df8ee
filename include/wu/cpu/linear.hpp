// Linear layers on the CPU: the functions of ops/linear.hpp and ops/fused_linear.hpp through the product of cpu/gemm.hpp, for
// float, double and bfloat16. Gradients of weights are summed in float where the weights are bfloat16.
#pragma once

#include <algorithm>
#include <array>

#include "wu/cpu/context.hpp"
#include "wu/cpu/gemm.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/fused_linear.hpp"
#include "wu/ops/linear.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
/// y_i (rows, Out) = x (rows, In) W_i^T + b_i for up to Gemm<T>::most layers of one input, and what stands next to them.
template <class T>
struct Linear {
  using Sum = accumulator_t<T>;
  static constexpr std::size_t most = Gemm<T>::most;
  struct Layer {
    const T *W = nullptr, *b = nullptr;
    T* y = nullptr;
    const T* residual = nullptr;
    T* activated = nullptr;  // SiLU
    GemmAddition<Sum> addition{};
  };
  struct Gradient {
    const T *dy = nullptr, *W = nullptr;
    Sum *dW = nullptr, *db = nullptr;
  };
  struct Sizes {
    Index rows, In, Out;
  };
  static void forward(Context& ctx, const T* x, const std::array<Layer, most>& layers, std::size_t count, Sizes sizes);
  /// dx and every dW and db may be null. silu_at: dx is multiplied by SiLU's slope there. add: dx += instead of dx =.
  static void backward(Context& ctx, T* dx, bool add, const T* silu_at, const T* x,
                       const std::array<Gradient, most>& gradients, std::size_t count, Sizes sizes,
                       GemmAddition<Sum> addition = {});

 private:
  static void sum_rows(Context& ctx, Sum* db, const T* dy, Index rows, Index Out);
};

template <class T>
void Linear<T>::forward(Context& ctx, const T* x, const std::array<Layer, most>& layers, std::size_t count, Sizes sizes) {
  typename Gemm<T>::Problem problem;
  problem.M = sizes.rows;
  problem.terms[0] = {{x, sizes.In}, sizes.In};
  problem.output_count = count;
  for (std::size_t i = 0; i < count; ++i) {
    const Layer& layer = layers[i];
    auto& output = problem.outputs[i];
    output.N = sizes.Out;
    output.B[0] = {layer.W, sizes.In, true};
    output.finish.bias = layer.b;
    output.finish.residual = layer.residual;
    output.finish.y = layer.y, output.finish.y_row = sizes.Out;
    output.finish.activated = layer.activated;
    output.finish.addition = layer.addition;
  }
  Gemm<T>::multiply(ctx, problem);
}

template <class T>
void Linear<T>::backward(Context& ctx, T* dx, bool add, const T* silu_at, const T* x,
                         const std::array<Gradient, most>& gradients, std::size_t count, Sizes sizes,
                         GemmAddition<Sum> addition) {
  if (dx) {
    typename Gemm<T>::Problem problem;
    problem.M = sizes.rows;
    problem.term_count = count;
    auto& output = problem.outputs[0];
    output.N = sizes.In;
    for (std::size_t i = 0; i < count; ++i) {
      problem.terms[i] = {{gradients[i].dy, sizes.Out}, sizes.Out};
      output.B[i] = {gradients[i].W, sizes.In};
    }
    output.finish.y = dx, output.finish.y_row = sizes.In;
    output.finish.residual = add ? dx : nullptr;
    output.finish.slope_at = silu_at;
    output.finish.addition = addition;
    Gemm<T>::multiply(ctx, problem);
  }
  // Rows are what is summed over here. There may be very many, so they come in parts that fit into scratch memory.
  constexpr Index part = 4096;
  for (std::size_t i = 0; i < count; ++i) {
    const Gradient& g = gradients[i];
    if (!g.dW || sizes.In == 0) {
      if (g.db) sum_rows(ctx, g.db, g.dy, sizes.rows, sizes.Out);
      continue;
    }
    for (Index r = 0; r < sizes.rows; r += part) {
      typename Gemm<T>::Problem problem;
      problem.M = sizes.Out;
      problem.terms[0] = {{g.dy + r * sizes.Out, sizes.Out, true}, std::min(part, sizes.rows - r)};
      auto& output = problem.outputs[0];
      output.N = sizes.In;
      output.B[0] = {x + r * sizes.In, sizes.In};
      output.finish.add_to = g.dW, output.finish.y_row = sizes.In;
      problem.row_sums = g.db;
      Gemm<T>::multiply(ctx, problem);
    }
  }
}

/// db += the sum over rows of dy, where dW is not wanted.
template <class T>
void Linear<T>::sum_rows(Context& ctx, Sum* db, const T* dy, Index rows, Index Out) {
  constexpr Index W = detail::lanes<Sum>;
  ctx.split((Out + W - 1) / W, rows * W, [&](int, Index begin, Index end) {
    detail::in_blocks<W>(
        std::min(Out, end * W),
        [&]<Index Some>(Index o) {
          using V = typename detail::Lanes<Sum, Some>::type;
          V sum = detail::load<V>(db + o);
          for (Index r = 0; r < rows; ++r) sum += detail::load_wide<Some>(dy + r * Out + o);
          detail::store(db + o, sum);
        },
        begin * W);
  });
}
}  // namespace kernel

/// Bytes that linear_forward takes from the context's scratch. T: float, double or bfloat16.
template <class T>
constexpr std::size_t linear_scratch_bytes(Index In, Index Out, int threads) {
  return static_cast<std::size_t>(kernel::Gemm<T>::scratch_bytes(In, Out, 1, threads));
}

/// ops/linear.hpp's, on all threads. For float, double and bfloat16.
void linear_forward(Context& ctx, auto y, auto x, auto W, auto b)
  requires detail::one_product_type<decltype(y), decltype(x), decltype(W), decltype(b)>
{
  detail::check_contiguous(y, x, W, b);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, y.width, b.width>;
  check_rows("linear", x, y);
  kernel::Linear<value_of<decltype(x)>>::forward(ctx, x.data, {{{W.data, b.data, y.data}}}, 1,
                                                 {x.rows(), Widths::in, Widths::out});
}

/// ops/linear.hpp's, on all threads. For float, double and bfloat16.
void linear_backward(Context& ctx, auto dx /* = */, auto dW /* += */, auto db /* += */, auto dy, auto x, auto W)
  requires detail::one_product_type<decltype(dx), decltype(dy), decltype(x), decltype(W)> &&
           detail::summed_as<decltype(x), decltype(dW), decltype(db)>
{
  detail::check_contiguous(dx, dW, db, dy, x, W);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, dy.width, W.extents[0]>;
  static_assert(detail::LinearGradients<Widths::out, Widths::in, dx.width, dW.extents[0], dW.width, db.width>::fit);
  detail::check_linear_backward(dx, dy, x);
  kernel::Linear<value_of<decltype(x)>>::backward(ctx, dx.data, false, nullptr, x.data,
                                                  {{{dy.data, W.data, dW.data, db.data}}}, 1,
                                                  {dy.rows(), Widths::in, Widths::out});
}

/// ops/fused_linear.hpp's, on all threads. For float, double and bfloat16.
void linear_residual_forward(Context& ctx, auto y, auto residual, auto x, auto W, auto b)
  requires detail::one_product_type<decltype(y), decltype(residual), decltype(x), decltype(W), decltype(b)>
{
  detail::check_contiguous(y, residual, x, W, b);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, y.width, b.width>;
  constexpr Index Out = detail::SameWidth<Widths::out, residual.width>::value;
  check_rows("linear", x, y, residual);
  kernel::Linear<value_of<decltype(x)>>::forward(ctx, x.data, {{{W.data, b.data, y.data, residual.data}}}, 1,
                                                 {x.rows(), Widths::in, Out});
}

/// ops/fused_linear.hpp's, on all threads. For float, double and bfloat16.
void linear_silu_forward(Context& ctx, auto up, auto activated, auto x, auto W, auto b)
  requires detail::one_product_type<decltype(up), decltype(activated), decltype(x), decltype(W), decltype(b)>
{
  detail::check_contiguous(up, activated, x, W, b);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, up.width, b.width>;
  constexpr Index Out = detail::SameWidth<Widths::out, activated.width>::value;
  check_rows("linear", x, up, activated);
  kernel::Linear<value_of<decltype(x)>>::forward(ctx, x.data, {{{W.data, b.data, up.data, nullptr, activated.data}}}, 1,
                                                 {x.rows(), Widths::in, Out});
}

/// ops/fused_linear.hpp's, on all threads. For float, double and bfloat16.
void linear_silu_backward(Context& ctx, auto dup /* = */, auto dW /* += */, auto db /* += */, auto dy, auto activated,
                          auto up, auto W)
  requires detail::one_product_type<decltype(dup), decltype(dy), decltype(activated), decltype(up), decltype(W)> &&
           detail::summed_as<decltype(dup), decltype(dW), decltype(db)>
{
  detail::check_contiguous(dup, dW, db, dy, activated, up, W);
  using Widths = detail::LinearWidths<W.extents[0], W.width, activated.width, dy.width, W.extents[0]>;
  constexpr Index In = detail::SameWidth<Widths::in, up.width>::value;
  static_assert(detail::LinearGradients<Widths::out, In, dup.width, dW.extents[0], dW.width, db.width>::fit);
  detail::check_linear_backward(dup, dy, activated);
  check_rows("linear backward", activated, up);
  kernel::Linear<value_of<decltype(dup)>>::backward(ctx, dup.data, false, up.data, activated.data,
                                                    {{{dy.data, W.data, dW.data, db.data}}}, 1,
                                                    {dy.rows(), In, Widths::out});
}

/// ops/fused_linear.hpp's, on all threads, in one product. For float, double and bfloat16, and up to 3 layers.
template <class Y, class Layer, std::size_t N>
void joint_linear_forward(Context& ctx, const std::array<Y, N>& y, auto x, const std::array<Layer, N>& layers)
  requires(detail::one_product_type<Y, decltype(x), decltype(layers[0].weight)> && N <= kernel::Gemm<float>::most)
{
  detail::check_contiguous(x);
  using T = value_of<decltype(x)>;
  using Weight = std::remove_cvref_t<decltype(layers[0].weight)>;
  using Widths = detail::LinearWidths<Weight::extents[0], Weight::width, x.width, Y::width, Weight::extents[0]>;
  std::array<typename kernel::Linear<T>::Layer, kernel::Linear<T>::most> all{};
  for (std::size_t i = 0; i < N; ++i) {
    check_rows("linear", x, y[i]);
    all[i] = {layers[i].weight.data, layers[i].bias.data, y[i].data};
  }
  kernel::Linear<T>::forward(ctx, x.data, all, N, {x.rows(), Widths::in, Widths::out});
}

/// ops/fused_linear.hpp's, on all threads. For float, double and bfloat16, and up to 3 layers.
template <class DLayer, class DY, class Layer, std::size_t N>
void joint_linear_backward(Context& ctx, Workspace&, auto dx, bool add_to_dx, const std::array<DLayer, N>& dlayers /* += */,
                           const std::array<DY, N>& dy, auto x, const std::array<Layer, N>& layers)
  requires(detail::one_product_type<decltype(dx), DY, decltype(x), decltype(layers[0].weight)> &&
           detail::summed_as<decltype(x), decltype(dlayers[0].weight)> && N <= kernel::Gemm<float>::most)
{
  detail::check_contiguous(dx, x);
  using T = value_of<decltype(x)>;
  using Weight = std::remove_cvref_t<decltype(layers[0].weight)>;
  using Widths = detail::LinearWidths<Weight::extents[0], Weight::width, x.width, DY::width, Weight::extents[0]>;
  static_assert(detail::SameWidth<Widths::in, dx.width>::value == Widths::in);
  std::array<typename kernel::Linear<T>::Gradient, kernel::Linear<T>::most> all{};
  for (std::size_t i = 0; i < N; ++i) {
    detail::check_linear_backward(dx, dy[i], x);
    all[i] = {dy[i].data, layers[i].weight.data, dlayers[i].weight.data, dlayers[i].bias.data};
  }
  kernel::Linear<T>::backward(ctx, dx.data, add_to_dx, nullptr, x.data, all, N, {x.rows(), Widths::in, Widths::out});
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
