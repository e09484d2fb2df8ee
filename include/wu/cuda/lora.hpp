// The low-rank product on the GPU, for a batch in which every sample has an adapter of its own: samples beside each other whose
// adapters are the same, or lie one after the other, are one product, or one batch of products.
#pragma once

#include <algorithm>

#include "wu/cuda/context.hpp"
#include "wu/cuda/linear.hpp"
#include "wu/cuda/rows.hpp"
#include "wu/ops/lora.hpp"
#include "wu/ops/lora_linear.hpp"

namespace wu::cuda {

namespace detail {
/// Samples first .. first + count - 1 have the adapters k, k + step, ...; step is 0 or 1.
struct AdapterRun {
  Index first, count, k, step;
};
/// Calls f(run) for all samples that have an adapter, as many at a time as lie regularly.
void each_run(std::span<const Index> which, auto&& f) {
  const Index samples = static_cast<Index>(which.size());
  const auto at = [&](Index s) { return which[static_cast<std::size_t>(s)]; };
  for (Index s = 0; s < samples;) {
    AdapterRun run{s, 1, at(s), 0};
    ++s;
    if (run.k == no_adapter) continue;
    if (s < samples && (at(s) == run.k || at(s) == run.k + 1)) {
      run.step = at(s) - run.k;
      for (; s < samples && at(s) == run.k + run.count * run.step; ++s) ++run.count;
    }
    f(run);
  }
}
/// Its products: the rows of all samples in one where they share the adapter, else one for each sample.
struct RunRows {
  Index first, rows, batch;
};
inline RunRows rows_of(const AdapterRun& run, Index rows) {
  return run.step == 0 ? RunRows{run.first * rows, run.count * rows, 1} : RunRows{run.first * rows, rows, run.count};
}

/// to (rows, N) = or += scale * from (rows, K) by a matrix that lies as (N, K) or, not transposed, as (K, N)
template <class T>
void lora_product(Context& ctx, T* to, bool add, const T* from, const T* matrix, bool transposed, const RunRows& at, Index K,
                  Index N, Index stride, double scale) {
  runtime::multiply(ctx.stream(), {.m = at.rows,
                                   .n = N,
                                   .k = K,
                                   .a = from + at.first * K,
                                   .b = matrix,
                                   .transposed_b = transposed,
                                   .row_a = K,
                                   .row_b = transposed ? K : N,
                                   .row_c = N,
                                   .c = to + at.first * N,
                                   .alpha = scale,
                                   .beta = add ? 1.0 : 0.0,
                                   .batch = at.batch,
                                   .step_a = at.rows * K,
                                   .step_b = stride,
                                   .step_c = at.rows * N,
                                   .operands = scalar_of<T>,
                                   .result = scalar_of<T>});
}

/// to (M, N) += scale * left^T right, left (rows, M), right (rows, N)
template <class G, class T>
void lora_gradient(Context& ctx, G* to, const T* left, const T* right, const RunRows& at, Index M, Index N, Index stride,
                   double scale) {
  runtime::multiply(ctx.stream(), {.m = M,
                                   .n = N,
                                   .k = at.rows,
                                   .a = left + at.first * M,
                                   .b = right + at.first * N,
                                   .transposed_a = true,
                                   .row_a = M,
                                   .row_b = N,
                                   .row_c = N,
                                   .c = to,
                                   .alpha = scale,
                                   .beta = 1,
                                   .batch = at.batch,
                                   .step_a = at.rows * M,
                                   .step_b = at.rows * N,
                                   .step_c = stride,
                                   .operands = scalar_of<T>,
                                   .result = scalar_of<G>});
}
}  // namespace detail

namespace detail {
/// What both forwards do, y = or += the adapters' part.
template <class T>
void lora_forward(Context& ctx, bool add, auto y, auto xa, auto x, auto adapter, std::span<const Index> which,
                  double scale) {
  check_contiguous(y, xa, x);
  check_types<T>(y, xa, adapter);
  using W = LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, y.width, xa.width>;
  constexpr Index In = W::in, Out = W::out, R = W::rank;
  check_rows("lora", x, y, xa);
  const Index rows = lora_rows(x.rows(), which, adapter.count);
  if (rows == 0) return;
  each_run(which, [&](const AdapterRun& run) {
    const RunRows at = rows_of(run, rows);
    const T *const A = adapter.A + run.k * adapter.stride, *const B = adapter.B + run.k * adapter.stride;
    lora_product<T>(ctx, xa.data, false, x.data, A, true, at, In, R, adapter.stride, 1);
    lora_product<T>(ctx, y.data, add, xa.data, B, true, at, R, Out, adapter.stride, scale);
  });
}

/// What both backwards do, dx = or += the adapters' part.
template <class T>
void lora_backward(Context& ctx, bool add, auto dx, auto dadapter, auto dy, auto x, auto xa, auto adapter,
                   std::span<const Index> which, double scale) {
  check_contiguous(dx, dy, x, xa);
  using G = value_of<decltype(dadapter)>;
  check_types<T>(dx, dy, xa, adapter);
  check_gradient_type<T, G>();
  using W = LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, dy.width, xa.width>;
  constexpr Index In = W::in, Out = W::out, R = W::rank;
  static_assert(LoraGradients<In, Out, R, dx.width, dadapter.in, dadapter.out, dadapter.rank>::fit);
  check_rows("lora backward", x, dy, xa);
  const Index rows = lora_rows(x.rows(), which, adapter.count);
  check_lora_gradients(dx, dadapter, x, adapter);
  if (rows == 0) return;
  T* const g = ctx.scratch<T>(x.rows() * R);
  each_run(which, [&](const AdapterRun& run) {
    const RunRows at = rows_of(run, rows);
    const T *const A = adapter.A + run.k * adapter.stride, *const B = adapter.B + run.k * adapter.stride;
    lora_product<T>(ctx, g, false, dy.data, B, false, at, Out, R, adapter.stride, scale);
    if (dx.data) lora_product<T>(ctx, dx.data, add, g, A, false, at, R, In, adapter.stride, 1);
    if (!dadapter.A) return;
    G *const dA = dadapter.A + run.k * dadapter.stride, *const dB = dadapter.B + run.k * dadapter.stride;
    lora_gradient<G, T>(ctx, dA, g, x.data, at, R, In, dadapter.stride, 1);
    lora_gradient<G, T>(ctx, dB, dy.data, xa.data, at, Out, R, dadapter.stride, scale);
  });
}

/// Every sample has an adapter, and there are adapters.
inline bool all_adapted(const void* adapters, std::span<const Index> which) {
  return adapters && std::find(which.begin(), which.end(), no_adapter) == which.end();
}
}  // namespace detail

/// ops/lora.hpp's. `which` is the host's, and may change when it returns.
void lora_forward(Context& ctx, Workspace&, auto y /* += */, auto xa, auto x, auto adapter, std::span<const Index> which,
                  double scale) {
  detail::lora_forward<value_of<decltype(x)>>(ctx, true, y, xa, x, adapter, which, scale);
}

/// ops/lora.hpp's. scale dy B is rounded to the values' type.
void lora_backward(Context& ctx, Workspace&, auto dx /* += */, auto dadapter /* += */, auto dy, auto x, auto xa,
                   auto adapter, std::span<const Index> which, double scale) {
  detail::lora_backward<value_of<decltype(x)>>(ctx, true, dx, dadapter, dy, x, xa, adapter, which, scale);
}

/// ops/lora_linear.hpp's. Where every sample has an adapter their part is written first, and the frozen layer's product, which has
/// much to multiply, adds to it: y is read while the tensor cores are busy, not in a pass of its own.
void lora_linear_forward(Context& ctx, Workspace& ws, auto y, auto xa, auto x, auto W, auto b, auto adapter,
                         std::span<const Index> which, double scale) {
  using T = value_of<decltype(x)>;
  if (!detail::all_adapted(adapter.A, which)) {
    linear_forward(ctx, y, x, W, b);
    if (adapter.A) lora_forward(ctx, ws, y, xa, x, adapter, which, scale);
    return;
  }
  detail::lora_forward<T>(ctx, false, y, xa, x, adapter, which, scale);
  linear_residual_forward(ctx, y, as_const(y), x, W, b);
}

/// ops/lora_linear.hpp's, dx likewise.
void lora_linear_backward(Context& ctx, Workspace& ws, auto dx /* = */, auto dW /* += */, auto db /* += */,
                          auto dadapter /* += */, auto dy, auto x, auto xa, auto W, auto adapter,
                          std::span<const Index> which, double scale) {
  using T = value_of<decltype(x)>;
  if (!dx.data || !detail::all_adapted(adapter.A, which)) {
    linear_backward(ctx, dx, dW, db, dy, x, W);
    if (adapter.A) lora_backward(ctx, ws, dx, dadapter, dy, x, xa, adapter, which, scale);
    return;
  }
  const auto no_dx = decltype(dx)();
  linear_backward(ctx, no_dx, dW, db, dy, x, W);
  detail::lora_backward<T>(ctx, false, dx, dadapter, dy, x, xa, adapter, which, scale);
  detail::linear_dx<T>(ctx, dx.data, true, dy.data, W.data, x.rows(), dx.width, dy.width);
}

}  // namespace wu::cuda
