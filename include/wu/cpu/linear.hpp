// Linear layers on the CPU: ops/linear.hpp's functions through the products of cpu/product.hpp, rows of the result over threads.
#pragma once

#include <algorithm>

#include "wu/cpu/context.hpp"
#include "wu/cpu/pair_linear.hpp"
#include "wu/cpu/product.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/linear.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
/// y (rows, Out) = x (rows, In) W^T + b, and its gradients; null: no bias, or not wanted.
template <class T>
struct Linear {
  static void forward(Context& ctx, T* y, const T* x, const T* W, const T* b, Index rows, Index In, Index Out);
  static void backward(Context& ctx, T* dx, T* dW, T* db, const T* dy, const T* x, const T* W, Index rows, Index In,
                       Index Out);
};

template <class T>
void Linear<T>::forward(Context& ctx, T* y, const T* x, const T* W, const T* b, Index rows, Index In, Index Out) {
  T* const turned = ctx.scratch<T>(In * Out);
  Product<T>::transpose(turned, W, Out, In);
  ctx.split(rows, In * Out, [&](int, Index begin, Index end) {
    if (b)
      for (Index r = begin; r < end; ++r) std::copy_n(b, Out, y + r * Out);
    Product<T>::multiply(y + begin * Out, Out, x + begin * In, In, 1, turned, Out, end - begin, Out, In, b != nullptr);
  });
}

template <class T>
void Linear<T>::backward(Context& ctx, T* dx, T* dW, T* db, const T* dy, const T* x, const T* W, Index rows, Index In,
                         Index Out) {
  if (dx)
    ctx.split(rows, In * Out, [&](int, Index begin, Index end) {
      Product<T>::multiply(dx + begin * In, In, dy + begin * Out, Out, 1, W, In, end - begin, In, Out, false);
    });
  if (dW || db)
    ctx.split(Out, In * rows, [&](int, Index begin, Index end) {
      if (dW) Product<T>::multiply(dW + begin * In, In, dy + begin, 1, Out, x, In, end - begin, In, rows, true);
      if (!db) return;
      for (Index s = 0; s < rows; ++s)
        for (Index o = begin; o < end; ++o) db[o] += dy[s * Out + o];
    });
}
}  // namespace kernel

/// Bytes that linear_forward takes from the context's scratch. T: float, double or bfloat16.
template <class T>
constexpr std::size_t linear_scratch_bytes(Index In, Index Out, int threads) {
  if constexpr (std::is_same_v<T, bfloat16>)
    return static_cast<std::size_t>(kernel::PairLinear<T>::scratch_bytes(In, Out, threads));
  else return static_cast<std::size_t>(In * Out) * sizeof(T);
}

/// ops/linear.hpp's, on all threads. For float, double and bfloat16.
void linear_forward(Context& ctx, auto y, auto x, auto W, auto b)
  requires detail::one_type<decltype(y), decltype(x), decltype(W), decltype(b)>
{
  detail::check_contiguous(y, x, W, b);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, y.width, b.width>;
  constexpr Index In = Widths::in, Out = Widths::out;
  check_rows("linear", x, y);
  using T = value_of<decltype(x)>;
  using Kernel = std::conditional_t<std::is_same_v<T, bfloat16>, kernel::PairLinear<T>, kernel::Linear<T>>;
  Kernel::forward(ctx, y.data, x.data, W.data, b.data, x.rows(), In, Out);
}

/// ops/linear.hpp's, on all threads. For float and double.
void linear_backward(Context& ctx, auto dx /* = */, auto dW /* += */, auto db /* += */, auto dy, auto x, auto W)
  requires detail::one_native_type<decltype(dx), decltype(dW), decltype(db), decltype(dy), decltype(x), decltype(W)>
{
  detail::check_contiguous(dx, dW, db, dy, x, W);
  using Widths = detail::LinearWidths<W.extents[0], W.width, x.width, dy.width, W.extents[0]>;
  constexpr Index In = Widths::in, Out = Widths::out;
  static_assert(detail::LinearGradients<Out, In, dx.width, dW.extents[0], dW.width, db.width>::fit);
  detail::check_linear_backward(dx, dy, x);
  kernel::Linear<value_of<decltype(x)>>::backward(ctx, dx.data, dW.data, db.data, dy.data, x.data, W.data, dy.rows(), In,
                                                  Out);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
