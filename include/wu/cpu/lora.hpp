// The per-sample low-rank product on the CPU, through products made for a small rank. Rows are split over threads; adapter
// gradients are split by adapter and column, so that no two threads add to the same entry and the order of the sums is fixed.
#pragma once

#include "wu/cpu/matrix.hpp"
#include "wu/cpu/skinny.hpp"
#include "wu/ops/lora.hpp"

namespace wu::cpu {

namespace detail {
using namespace wu::detail;

/// Rows that are worked on together, so that their products with A or B are still near when they are used.
inline constexpr Index lora_block = 256;
/// With fewer rows than this a sample does not repay transposing its adapter.
inline constexpr Index lora_few_rows = 8;
/// Columns of an adapter's gradient that one thread sums at a time.
inline constexpr Index lora_columns = 32;

/// to (columns, rows) = scale * transpose(from (rows, columns)).
template <Index Rows, Index Columns, class T>
void transpose_scaled(T* to, const T* from, T scale) {
  for (Index c = 0; c < Columns; ++c)
    for (Index r = 0; r < Rows; ++r) to[c * Rows + r] = scale * from[r * Columns + c];
}

/// Calls f(first row, rows, adapter) on every run of rows begin .. end-1 that belongs to one sample with an adapter.
template <class F>
void each_adapted_run(Index begin, Index end, Index rows, std::span<const Index> which, F&& f) {
  for (Index r = begin; r < end;) {
    const Index sample = r / rows, k = which[static_cast<std::size_t>(sample)],
                count = std::min(end, (sample + 1) * rows) - r;
    if (k != no_adapter) f(r, count, k);
    r += count;
  }
}
}  // namespace detail

void lora_forward(Context& ctx, Workspace& ws, auto y /* += */, auto xa, auto x, auto adapter, std::span<const Index> which,
                  double scale)
  requires has_product<value_of<decltype(x)>>
{
  detail::check_contiguous(y, xa, x);
  using W = detail::LoraWidths<x.width, adapter.in, y.width, adapter.out>;
  constexpr Index In = W::in, Out = W::out, R = detail::LoraRank<adapter.rank, xa.width>::rank;
  using T = value_of<decltype(x)>;
  check_rows("lora", x, y, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  const Workspace::Scope scope(ws);
  T* const scratch = ws.take_values<T>((In + Out) * R * ctx.threads());
  // Parts of samples, so that one sample alone keeps all threads busy too.
  ctx.split(x.rows(), (In + Out) * R, [&](int thread, Index begin, Index end) {
    T *const At = scratch + thread * (In + Out) * R, *const Bt = At + In * R;
    Index transposed = no_adapter;
    detail::each_adapted_run(begin, end, rows, which, [&](Index r, Index count, Index k) {
      const T *const A = adapter.A + k * adapter.stride, *const B = adapter.B + k * adapter.stride;
      if (count < detail::lora_few_rows && transposed != k) {
        auto product = matrix(xa.data + r * R, count, R, R);
        product.noalias() = matrix(x.data + r * In, count, In, In) * matrix(A, R, In, In).transpose();
        matrix(y.data + r * Out, count, Out, Out).noalias() +=
            static_cast<T>(scale) * product * matrix(B, Out, R, R).transpose();
        return;
      }
      if (transposed != k) {
        detail::transpose_scaled<R, In>(At, A, T(1));
        detail::transpose_scaled<Out, R>(Bt, B, static_cast<T>(scale));
        transposed = k;
      }
      for (Index s = r; s < r + count; s += detail::lora_block) {
        const Index block = std::min(detail::lora_block, r + count - s);
        skinny_project<R, In, T>(xa.data + s * R, x.data + s * In, At, block);
        skinny_expand<R, Out, T>(y.data + s * Out, xa.data + s * R, Bt, block);
      }
    });
  });
}

void lora_backward(Context& ctx, Workspace& ws, auto dx /* += */, auto dadapter /* += */, auto dy, auto x, auto xa,
                   auto adapter, std::span<const Index> which, double scale)
  requires has_product<value_of<decltype(x)>>
{
  detail::check_contiguous(dx, dy, x, xa);
  using W = detail::LoraWidths<x.width, adapter.in, dy.width, adapter.out>;
  constexpr Index In = W::in, Out = W::out, R = detail::LoraRank<adapter.rank, xa.width>::rank;
  using T = value_of<decltype(x)>;
  check_rows("lora backward", x, dy, xa);
  const Index rows = detail::lora_rows(x.rows(), which, adapter.count);
  detail::check_lora_gradients(dx, dadapter, x, adapter);
  const Workspace::Scope scope(ws);
  T* const g = ws.take_values<T>(x.rows() * R);
  ctx.split(x.rows(), (In + Out) * R, [&](int, Index begin, Index end) {
    detail::each_adapted_run(begin, end, rows, which, [&](Index r, Index count, Index k) {
      const T *const A = adapter.A + k * adapter.stride, *const B = adapter.B + k * adapter.stride;
      for (Index s = r; s < r + count; s += detail::lora_block) {
        const Index block = std::min(detail::lora_block, r + count - s);
        skinny_project<R, Out, T>(g + s * R, dy.data + s * Out, B, block);
        for (Index i = s * R; i < (s + block) * R; ++i) g[i] *= static_cast<T>(scale);
        if (dx.data) skinny_expand<R, In, T>(dx.data + s * In, g + s * R, A, block);
      }
    });
  });
  if (!dadapter.A || dadapter.count == 0) return;
  T* const transposed = ws.take_values<T>(R * Out * ctx.threads());
  // One item is a few columns of one adapter's dA or of the transpose of its dB.
  constexpr Index pieces_A = (In + detail::lora_columns - 1) / detail::lora_columns;
  constexpr Index pieces_B = (Out + detail::lora_columns - 1) / detail::lora_columns, pieces = pieces_A + pieces_B;
  ctx.split(dadapter.count * pieces, x.rows() / dadapter.count * R * detail::lora_columns,
            [&](int thread, Index begin, Index end) {
              T* const dBt = transposed + thread * R * Out;
              for (Index k = begin / pieces; k * pieces < end; ++k) {
                const Index from = std::max(begin - k * pieces, Index{0}), to = std::min(end - k * pieces, pieces);
                T *const dA = dadapter.A + k * dadapter.stride, *const dB = dadapter.B + k * dadapter.stride;
                std::fill_n(dBt, R * Out, T(0));
                for (std::size_t sample = 0; sample < which.size(); ++sample) {
                  if (which[sample] != k) continue;
                  const Index first = static_cast<Index>(sample) * rows;
                  for (Index s = first; s < first + rows; s += detail::lora_block) {
                    const Index block = std::min(detail::lora_block, first + rows - s);
                    for (Index piece = from; piece < to; ++piece) {
                      if (piece < pieces_A)
                        skinny_reduce<R, In, detail::lora_columns, T>(dA, piece, g + s * R, x.data + s * In, block);
                      else
                        skinny_reduce<R, Out, detail::lora_columns, T>(dBt, piece - pieces_A, xa.data + s * R,
                                                                       dy.data + s * Out, block);
                    }
                  }
                }
                for (Index o = std::max(from - pieces_A, Index{0}) * detail::lora_columns;
                     o < std::min((to - pieces_A) * detail::lora_columns, Out); ++o)
                  for (Index j = 0; j < R; ++j) dB[o * R + j] += static_cast<T>(scale) * dBt[j * Out + o];
              }
            });
}

}  // namespace wu::cpu
