// Attention on the CPU: tiles of queries against all keys of their group, one (group, head) per thread at a time.
// Scratch per thread: a tile of scores (tile, keys) and, where rows are not evenly spaced, packed copies of k, v and a tile
// of q. The same formulas as ops/attention.hpp. Few keys: cpu/short_attention.hpp.
#pragma once

#include <algorithm>
#include <cmath>

#include "wu/cpu/attention_operands.hpp"
#include "wu/cpu/matrix.hpp"
#include "wu/cpu/pair_attention.hpp"
#include "wu/cpu/short_attention.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/attention.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
inline constexpr Index query_tile = 64;

/// A thread's part of scratch memory: whole lines, so that it is aligned alike for every thread, and what Eigen does with it does
/// not depend on which of them does it.
template <class T>
constexpr Index whole_lines(Index count) {
  return static_cast<Index>(Workspace::bytes_of<T>(count) / sizeof(T));
}
}  // namespace detail

namespace kernel {
template <class T>
struct LongAttention {
  /// Values of scratch that forward takes for each thread.
  static constexpr Index scratch_values(Index queries, Index keys, Index D) {
    const Index tile = std::min(detail::query_tile, queries);
    return detail::whole_lines<T>(tile * keys + 2 * keys * D + 2 * tile * D);
  }
  static void forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<T> lse, const AttentionOperands<T>& in);
  static void backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g, const AttentionOperands<T>& in);
};

template <class T>
void LongAttention<T>::forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<T> lse, const AttentionOperands<T>& in) {
  const RowMap &query = in.rows.query, &key = in.rows.key;
  const Index heads = in.heads, D = in.D, keys = key.size(), queries = query.size(),
              tile = std::min(detail::query_tile, queries);
  const Workspace::Scope scope(ws);
  const Index scratch_size = scratch_values(queries, keys, D);
  T* const scratch = ws.take_values<T>(scratch_size * ctx.threads());
  const T scale = 1 / std::sqrt(static_cast<T>(D));
  ctx.split(in.rows.groups() * heads, 2 * queries * keys * D, [&](int thread, Index begin, Index end) {
    T* const scores = scratch + thread * scratch_size;
    T *const pack_k = scores + tile * keys, *const pack_v = pack_k + keys * D, *const pack_q = pack_v + keys * D,
             *const pack_o = pack_q + tile * D;
    for (Index item = begin; item < end; ++item) {
      const Index base_q = in.rows.query_group(item / heads), base_k = in.rows.key_group(item / heads),
                  column = item % heads * D;
      const auto kr = detail::pack(in.k, base_k, key, 0, keys, column, D, pack_k);
      const auto vr = detail::pack(in.v, base_k, key, 0, keys, column, D, pack_v);
      for (Index first = 0; first < queries; first += tile) {
        const Index count = std::min(tile, queries - first);
        const auto qr = detail::pack(in.q, base_q, query, first, count, column, D, pack_q);
        const auto o = detail::head_rows(out, base_q, query, first, column, D, pack_o);
        Matrix<T>::times_transposed({scores, keys}, scale, qr, kr, count, keys, D);
        for (Index i = 0; i < count; ++i) {
          T* const row = scores + i * keys;
          const T largest = detail::lane_max(keys, row);
          VectorMath<T>::exp(row, row, largest, keys);
          const T total = detail::lane_sum<T>(keys, [row](Index j) { return row[j]; });
          const T share = 1 / total;
          for (Index j = 0; j < keys; ++j) row[j] *= share;
          lse.row(base_q + query(first + i))[item % heads] = largest + std::log(total);
        }
        Matrix<T>::times(o, {scores, keys}, vr, count, D, keys);
        detail::unpack(out, base_q, query, first, count, column, D, o.data);
      }
    }
  });
}

template <class T>
void LongAttention<T>::backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g,
                                const AttentionOperands<T>& in) {
  const RowMap &query = in.rows.query, &key = in.rows.key;
  const Index heads = in.heads, D = in.D, keys = key.size(), queries = query.size(),
              tile = std::min(detail::query_tile, queries);
  const Workspace::Scope scope(ws);
  const Index scratch_size = detail::whole_lines<T>(2 * tile * keys + 4 * keys * D + 3 * tile * D);
  T* const scratch = ws.take_values<T>(scratch_size * ctx.threads());
  const T scale = 1 / std::sqrt(static_cast<T>(D));
  ctx.split(in.rows.groups() * heads, 5 * queries * keys * D, [&](int thread, Index begin, Index end) {
    T *at = scratch + thread * scratch_size, *const p = at, *const ds = at += tile * keys;
    T *const pack_k = at += tile * keys, *const pack_v = at += keys * D, *const pack_dk = at += keys * D,
             *const pack_dv = at += keys * D;
    T *const pack_q = at += keys * D, *const pack_do = at += tile * D, *const pack_dq = at += tile * D;
    for (Index item = begin; item < end; ++item) {
      const Index head = item % heads, base_q = in.rows.query_group(item / heads), base_k = in.rows.key_group(item / heads),
                  column = head * D;
      const auto kr = detail::pack(in.k, base_k, key, 0, keys, column, D, pack_k);
      const auto vr = detail::pack(in.v, base_k, key, 0, keys, column, D, pack_v);
      const auto dkr = detail::head_rows(g.dk, base_k, key, 0, column, D, pack_dk);
      const auto dvr = detail::head_rows(g.dv, base_k, key, 0, column, D, pack_dv);
      for (Index j = 0; j < keys; ++j) std::fill_n(dkr.row(j), D, T(0)), std::fill_n(dvr.row(j), D, T(0));
      for (Index first = 0; first < queries; first += tile) {
        const Index count = std::min(tile, queries - first);
        const auto qr = detail::pack(in.q, base_q, query, first, count, column, D, pack_q);
        const auto dor = detail::pack(g.dout, base_q, query, first, count, column, D, pack_do);
        const auto dqr = detail::head_rows(g.dq, base_q, query, first, column, D, pack_dq);
        Matrix<T>::times_transposed({p, keys}, scale, qr, kr, count, keys, D);
        Matrix<T>::times_transposed({ds, keys}, T(1), dor, vr, count, keys, D);
        for (Index i = 0; i < count; ++i) {
          const Index r = base_q + query(first + i);
          const T *const gradient = dor.row(i), *const mixed = g.out.row(r) + column;
          const T delta = detail::lane_sum<T>(D, [=](Index c) { return gradient[c] * mixed[c]; });
          T *const weights = p + i * keys, *const slopes = ds + i * keys;
          VectorMath<T>::exp(weights, weights, g.lse.row(r)[head], keys);
          for (Index j = 0; j < keys; ++j) slopes[j] = weights[j] * (slopes[j] - delta) * scale;
        }
        Matrix<T>::add_transposed_times(dvr, {p, keys}, dor, keys, D, count);
        Matrix<T>::add_transposed_times(dkr, {ds, keys}, qr, keys, D, count);
        Matrix<T>::times(dqr, {ds, keys}, kr, count, D, keys);
        detail::unpack(g.dq, base_q, query, first, count, column, D, dqr.data);
      }
      detail::unpack(g.dk, base_k, key, 0, keys, column, D, dkr.data);
      detail::unpack(g.dv, base_k, key, 0, keys, column, D, dvr.data);
    }
  });
}
}  // namespace kernel

/// Bytes of scratch that attention_forward takes from the workspace for groups of so many queries and keys. T: float, double or
/// bfloat16.
template <class T>
constexpr std::size_t attention_scratch_bytes(Index queries, Index keys, Index D, int threads) {
  if constexpr (std::is_same_v<T, bfloat16>)
    return Workspace::bytes_of<std::byte>(kernel::PairAttention<T>::scratch_bytes(keys, D) * threads);
  else
    return Workspace::bytes_of<T>((keys <= detail::short_keys ? kernel::ShortAttention<T>::scratch_values(D)
                                                              : kernel::LongAttention<T>::scratch_values(queries, keys, D)) *
                                  threads);
}

/// ops/attention.hpp's, on all threads. For float and double.
template <Index D>
void attention_forward(Context& ctx, Workspace& ws, auto out, auto lse, auto q, auto k, auto v, const AttentionRows& rows)
  requires detail::one_native_type<decltype(out), decltype(lse), decltype(q), decltype(k), decltype(v)>
{
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  using T = value_of<decltype(q)>;
  detail::check_attention_widths<q.width, heads, lse.width, out.width>();
  detail::check_attention(rows, q, k, v, out, lse);
  const kernel::AttentionOperands<T> in{spaced(q), spaced(k), spaced(v), rows, heads, D};
  if (rows.key.size() <= detail::short_keys) kernel::ShortAttention<T>::forward(ctx, ws, spaced(out), spaced(lse), in);
  else kernel::LongAttention<T>::forward(ctx, ws, spaced(out), spaced(lse), in);
}

/// ops/attention.hpp's, on all threads. For bfloat16, with lse in float.
template <Index D>
void attention_forward(Context& ctx, Workspace& ws, auto out, auto lse, auto q, auto k, auto v, const AttentionRows& rows)
  requires detail::one_type<decltype(q), decltype(out), decltype(k), decltype(v)> &&
           std::is_same_v<value_of<decltype(q)>, bfloat16> && std::is_same_v<value_of<decltype(lse)>, float>
{
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  detail::check_attention_widths<q.width, heads, lse.width, out.width>();
  detail::check_attention(rows, q, k, v, out, lse);
  const kernel::AttentionOperands<bfloat16> in{spaced(q), spaced(k), spaced(v), rows, heads, D};
  kernel::PairAttention<bfloat16>::forward(ctx, ws, spaced(out), spaced(lse), in);
}

/// ops/attention.hpp's, on all threads. For float and double.
template <Index D>
void attention_backward(Context& ctx, Workspace& ws, auto dq /* = */, auto dk /* = */, auto dv /* = */, auto dout, auto out,
                        auto lse, auto q, auto k, auto v, const AttentionRows& rows)
  requires detail::one_native_type<decltype(dq), decltype(dk), decltype(dv), decltype(dout), decltype(out), decltype(lse),
                                   decltype(q), decltype(k), decltype(v)>
{
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  using T = value_of<decltype(q)>;
  detail::check_attention_widths<q.width, heads, lse.width, dq.width, dk.width, dv.width, dout.width, out.width>();
  detail::check_attention(rows, q, k, v, dq, dout, out, lse);
  check_rows("attention, gradients of keys and values", k, dk, dv);
  const kernel::AttentionOperands<T> in{spaced(q), spaced(k), spaced(v), rows, heads, D};
  const kernel::AttentionGradients<T> g{spaced(dq), spaced(dk), spaced(dv), spaced(dout), spaced(out), spaced(lse)};
  if (rows.key.size() <= detail::short_keys) kernel::ShortAttention<T>::backward(ctx, ws, g, in);
  else kernel::LongAttention<T>::backward(ctx, ws, g, in);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
