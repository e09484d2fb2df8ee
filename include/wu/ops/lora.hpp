// The low-rank product for a batch in which every sample has its own adapter, shares one, or has none.    Hu et al. 2021
//     y_s += scale * (x_s A_k^T) B_k^T        k = which[s], or nothing where which[s] is no_adapter
// x_s: (rows, In)   A_k: (R, In)   B_k: (Out, R)   y_s: (rows, Out)   xa_s = x_s A_k^T: (rows, R), kept for backward
// Backward, with g_s = scale * dy_s B_k (rows, R):
//     dx_s += g_s A_k        dA_k += sum over its samples of g_s^T x_s        dB_k += scale * sum of dy_s^T xa_s
// Everything here is added: the adapter's part joins the frozen layer's, and adapters sum over the samples that use them.
#pragma once

#include <algorithm>
#include <span>

#include "wu/core/fits.hpp"
#include "wu/core/workspace.hpp"
#include "wu/ops/reference.hpp"

namespace wu {

/// A sample that runs the frozen layer alone.
inline constexpr Index no_adapter = -1;

/// The adapters of one linear layer for `count` requests: request k's A (R, In) begins at A + k * stride, its B (Out, R) at
/// B + k * stride. A view into the generated tokens. Null: no adapters at all, or gradients that nobody wants.
template <class T, Index InWidth, Index OutWidth, Index Rank>
struct AdapterView {
  /// The scalar, without const.
  using value_type = std::remove_const_t<T>;
  static constexpr Index in = InWidth, out = OutWidth, rank = Rank;
  T* A = nullptr;
  T* B = nullptr;
  Index stride = 0, count = 0;

  /// To one through which nothing can be written.
  constexpr operator AdapterView<const T, InWidth, OutWidth, Rank>() const
    requires(!std::is_const_v<T>)
  {
    return {A, B, stride, count};
  }
  /// What a layer that this adapter does not fit asks for: it does not compile, and says why.
  template <class U, Index LayerIn, Index LayerOut, Index LayerRank>
    requires(LayerIn != InWidth || LayerOut != OutWidth || LayerRank != Rank)
  constexpr operator AdapterView<U, LayerIn, LayerOut, LayerRank>() const {
    static_assert(fits<(LayerRank == Rank), "expected an adapter of rank ", LayerRank, ", as the layer, found rank ", Rank,
                       "; give layer and tokenizer one rank">);
    static_assert(fits<((LayerIn == InWidth && LayerOut == OutWidth) || LayerRank != Rank), "expected an adapter from ",
                       LayerIn, " to ", LayerOut, ", as the layer, found one from ", InWidth, " to ", OutWidth,
                       "; give that of the same module">);
    return {};
  }
};

namespace detail {
/// An adapter of A (R, In) and B (Out, R), beside it x: (rows, In), y: (rows, Out), the saved product xa: (rows, R).
template <Index In, Index Out, Index R, Index WidthOfX, Index WidthOfY, Index WidthOfXA>
struct LoraWidths {
  static_assert(
      fits<(WidthOfX == In && WidthOfY == Out), "lora: the adapter goes from ", In, " to ", Out, ", so expected x (rows, ",
           In, ") and y (rows, ", Out, "), found x (rows, ", WidthOfX, ") and y (rows, ", WidthOfY, ")">);
  static_assert(fits<(WidthOfXA == R), "lora: the adapter has rank ", R, ", so expected x A^T (rows, ", R,
                     "), found (rows, ", WidthOfXA, "); give both one rank">);
  static constexpr Index in = In, out = Out, rank = R;
};
/// Gradients have the extents of what they are the gradients of.
template <Index In, Index Out, Index R, Index WidthOfDx, Index InOfGradient, Index OutOfGradient, Index RankOfGradient>
struct LoraGradients {
  static_assert(fits<(WidthOfDx == In), "lora backward: the adapter goes from ", In, " to ", Out, ", so expected dx (rows, ",
                     In, "), found (rows, ", WidthOfDx, ")">);
  static_assert(fits<(InOfGradient == In && OutOfGradient == Out && RankOfGradient == R),
                     "lora backward: In, Out and rank of the adapter are ", In, Out, R,
                     ", expected the same of its gradient, found ", InOfGradient, OutOfGradient, RankOfGradient>);
  static constexpr bool fit = true;
};
/// Rows per sample; throws unless the rows divide evenly and every index names an adapter.
inline Index lora_rows(Index rows, std::span<const Index> which, Index count) {
  const Index samples = static_cast<Index>(which.size());
  if (samples == 0 || rows % samples != 0)
    throw ShapeError(message("lora: expected a multiple of ", samples, " samples' rows, found ", rows));
  for (const Index k : which)
    if (k != no_adapter && (k < 0 || k >= count))
      throw ShapeError(message("lora: expected an adapter index below ", count, " or no_adapter, found ", k));
  return rows / samples;
}
/// Throws unless dx has the rows of x, and there is a gradient for every adapter, or none at all.
void check_lora_gradients(auto dx, auto dadapter, auto x, auto adapter) {
  if (dx.data) check_rows("lora backward", x, dx);
  if (dadapter.A && dadapter.count != adapter.count)
    throw ShapeError(message("lora backward: expected gradients of ", adapter.count, " adapters, found ", dadapter.count));
}
}  // namespace detail

/// xa's rows of samples without an adapter are left as they are.
void lora_forward(reference&, Workspace&, auto y /* += */, auto xa, auto x, auto adapter, std::span<const Index> which,
                  double scale) {
  detail::check_contiguous(y, xa, x);
  detail::check_scalars(x, adapter);
  using W = detail::LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, y.width, xa.width>;
  constexpr Index In = W::in, Out = W::out, R = W::rank;
  using Sum = sum_of<decltype(x)>;
  check_rows("lora", x, y, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  for (Index r = 0; r < x.rows(); ++r) {
    const Index k = which[static_cast<std::size_t>(r / rows)];
    if (k == no_adapter) continue;
    const auto *A = adapter.A + k * adapter.stride, *B = adapter.B + k * adapter.stride;
    for (Index j = 0; j < R; ++j) {
      Sum sum = 0;
      for (Index i = 0; i < In; ++i) sum += Sum(x[r * In + i]) * Sum(A[j * In + i]);
      xa[r * R + j] = static_cast<value_of<decltype(xa)>>(sum);
    }
    for (Index o = 0; o < Out; ++o) {
      Sum sum = 0;
      for (Index j = 0; j < R; ++j) sum += Sum(xa[r * R + j]) * Sum(B[o * R + j]);
      y[r * Out + o] += sum * static_cast<Sum>(scale);
    }
  }
}

/// dx may be null; dadapter with null A and B: the adapter's gradients are not wanted.
void lora_backward(reference&, Workspace& ws, auto dx /* += */, auto dadapter /* += */, auto dy, auto x, auto xa,
                   auto adapter, std::span<const Index> which, double scale) {
  detail::check_contiguous(dx, dy, x, xa);
  detail::check_scalars(x, adapter);
  using W = detail::LoraWidths<adapter.in, adapter.out, adapter.rank, x.width, dy.width, xa.width>;
  constexpr Index In = W::in, Out = W::out, R = W::rank;
  static_assert(detail::LoraGradients<In, Out, R, dx.width, dadapter.in, dadapter.out, dadapter.rank>::fit);
  using Sum = sum_of<decltype(x)>;
  check_rows("lora backward", x, dy, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  detail::check_lora_gradients(dx, dadapter, x, adapter);
  const Workspace::Scope scope(ws);
  Sum* const g = ws.take_values<Sum>(x.rows() * R);
  for (Index r = 0; r < x.rows(); ++r) {
    const Index k = which[static_cast<std::size_t>(r / rows)];
    if (k == no_adapter) continue;
    const auto *A = adapter.A + k * adapter.stride, *B = adapter.B + k * adapter.stride;
    for (Index j = 0; j < R; ++j) {
      Sum sum = 0;
      for (Index o = 0; o < Out; ++o) sum += Sum(dy[r * Out + o]) * Sum(B[o * R + j]);
      g[r * R + j] = sum * static_cast<Sum>(scale);
    }
    for (Index i = 0; i < In && dx.data; ++i) {
      Sum sum = 0;
      for (Index j = 0; j < R; ++j) sum += g[r * R + j] * Sum(A[j * In + i]);
      dx[r * In + i] += sum;
    }
  }
  if (!dadapter.A) return;
  Sum *const sum_A = ws.take_values<Sum>(R * In), *const sum_B = ws.take_values<Sum>(Out * R);
  for (Index k = 0; k < dadapter.count; ++k) {
    std::fill_n(sum_A, R * In, Sum(0));
    std::fill_n(sum_B, Out * R, Sum(0));
    for (Index r = 0; r < x.rows(); ++r) {
      if (which[static_cast<std::size_t>(r / rows)] != k) continue;
      for (Index j = 0; j < R; ++j)
        for (Index i = 0; i < In; ++i) sum_A[j * In + i] += g[r * R + j] * Sum(x[r * In + i]);
      for (Index o = 0; o < Out; ++o)
        for (Index j = 0; j < R; ++j)
          sum_B[o * R + j] += static_cast<Sum>(scale) * Sum(dy[r * Out + o]) * Sum(xa[r * R + j]);
    }
    auto *dA = dadapter.A + k * dadapter.stride, *dB = dadapter.B + k * dadapter.stride;
    for (Index i = 0; i < R * In; ++i) dA[i] += sum_A[i];
    for (Index i = 0; i < Out * R; ++i) dB[i] += sum_B[i];
  }
}

}  // namespace wu
