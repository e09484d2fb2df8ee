// Attention on the CPU: tiles of queries against all keys of their group, one (group, head) per thread at a time.
// Scratch per thread: a tile of scores (tile, keys) and, where rows are not evenly spaced, packed copies of k, v and a tile
// of q. The same formulas as ops/attention.hpp.
#pragma once

#include "wu/cpu/matrix.hpp"
#include "wu/cpu/short_attention.hpp"
#include "wu/ops/attention.hpp"

namespace wu::cpu {

namespace detail {
using namespace wu::detail;

/// Rows of one head: evenly spaced, so that Eigen can read them where they are.
template <class T>
struct HeadRows {
  T* data;
  Index stride;
};

/// The head's rows where they are if evenly spaced, else packed into scratch.
template <Index D, class V, class T>
HeadRows<const T> read_rows(const V& all, Index base, const RowMap& map, Index first, Index count, Index column,
                            T* scratch) {
  if (map.regular()) {
    const Index step = map.axes[3].stride;
    return {all.row(base + first * step) + column, (all.row(1) - all.row(0)) * (count > 1 ? step : 1)};
  }
  for (Index i = 0; i < count; ++i) std::copy_n(all.row(base + map(first + i)) + column, D, scratch + i * D);
  return {scratch, D};
}

/// A place to write the head's rows, and write_rows() to bring them home.
template <Index D, class V, class T>
HeadRows<T> place_rows(const V& all, Index base, const RowMap& map, Index first, Index count, Index column, T* scratch) {
  if (map.regular()) {
    const Index step = map.axes[3].stride;
    return {all.row(base + first * step) + column, (all.row(1) - all.row(0)) * (count > 1 ? step : 1)};
  }
  return {scratch, D};
}
template <Index D, class V, class T>
void write_rows(const V& all, Index base, const RowMap& map, Index first, Index count, Index column, const T* scratch) {
  if (map.regular()) return;
  for (Index i = 0; i < count; ++i) std::copy_n(scratch + i * D, D, all.row(base + map(first + i)) + column);
}

inline constexpr Index query_tile = 64;
}  // namespace detail

template <Index D>
void attention_forward(Context& ctx, Workspace& ws, auto out, auto lse, auto q, auto k, auto v, const AttentionRows& rows)
  requires has_product<value_of<decltype(q)>>
{
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  using T = value_of<decltype(q)>;
  detail::check_attention_widths<q.width, heads, lse.width, out.width>();
  detail::check_attention(rows, q, k, v, out, lse);
  if (rows.key.size() <= detail::short_keys) return detail::short_attention_forward<D>(ctx, out, lse, q, k, v, rows);
  const Index keys = rows.key.size(), queries = rows.query.size(), tile = std::min(detail::query_tile, queries);
  const Workspace::Scope scope(ws);
  const Index scratch_size = tile * keys + 2 * keys * D + 2 * tile * D;
  T* const scratch = ws.take_values<T>(scratch_size * ctx.threads());
  const T scale = 1 / std::sqrt(static_cast<T>(D));
  ctx.split(rows.groups() * heads, 2 * queries * keys * D, [&](int thread, Index begin, Index end) {
    T* const scores = scratch + thread * scratch_size;
    T *const pack_k = scores + tile * keys, *const pack_v = pack_k + keys * D, *const pack_q = pack_v + keys * D,
             *const pack_o = pack_q + tile * D;
    for (Index item = begin; item < end; ++item) {
      const Index base_q = rows.query_group(item / heads), base_k = rows.key_group(item / heads), column = item % heads * D;
      const auto kr = detail::read_rows<D>(k, base_k, rows.key, 0, keys, column, pack_k);
      const auto vr = detail::read_rows<D>(v, base_k, rows.key, 0, keys, column, pack_v);
      for (Index first = 0; first < queries; first += tile) {
        const Index count = std::min(tile, queries - first);
        const auto qr = detail::read_rows<D>(q, base_q, rows.query, first, count, column, pack_q);
        const auto o = detail::place_rows<D>(out, base_q, rows.query, first, count, column, pack_o);
        auto s = matrix(scores, count, keys, keys);
        s.noalias() = scale * matrix(qr.data, count, D, qr.stride) * matrix(kr.data, keys, D, kr.stride).transpose();
        for (Index i = 0; i < count; ++i) {
          auto row = s.row(i).array();
          const T largest = row.maxCoeff();
          row = (row - largest).exp();
          const T total = row.sum();
          row *= 1 / total;
          lse.row(base_q + rows.query(first + i))[item % heads] = largest + std::log(total);
        }
        matrix(o.data, count, D, o.stride).noalias() = s * matrix(vr.data, keys, D, vr.stride);
        detail::write_rows<D>(out, base_q, rows.query, first, count, column, o.data);
      }
    }
  });
}

template <Index D>
void attention_backward(Context& ctx, Workspace& ws, auto dq /* = */, auto dk /* = */, auto dv /* = */, auto dout, auto out,
                        auto lse, auto q, auto k, auto v, const AttentionRows& rows)
  requires has_product<value_of<decltype(q)>>
{
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  using T = value_of<decltype(q)>;
  detail::check_attention_widths<q.width, heads, lse.width, dq.width, dk.width, dv.width, dout.width, out.width>();
  detail::check_attention(rows, q, k, v, dq, dout, out, lse);
  check_rows("attention, gradients of keys and values", k, dk, dv);
  if (rows.key.size() <= detail::short_keys)
    return detail::short_attention_backward<D>(ctx, dq, dk, dv, dout, out, lse, q, k, v, rows);
  const Index keys = rows.key.size(), queries = rows.query.size(), tile = std::min(detail::query_tile, queries);
  const Workspace::Scope scope(ws);
  const Index scratch_size = 2 * tile * keys + 4 * keys * D + 3 * tile * D;
  T* const scratch = ws.take_values<T>(scratch_size * ctx.threads());
  const T scale = 1 / std::sqrt(static_cast<T>(D));
  ctx.split(rows.groups() * heads, 5 * queries * keys * D, [&](int thread, Index begin, Index end) {
    T *at = scratch + thread * scratch_size, *const probabilities = at, *const gradients = at += tile * keys;
    T *const pack_k = at += tile * keys, *const pack_v = at += keys * D, *const pack_dk = at += keys * D,
             *const pack_dv = at += keys * D;
    T *const pack_q = at += keys * D, *const pack_do = at += tile * D, *const pack_dq = at += tile * D;
    for (Index item = begin; item < end; ++item) {
      const Index head = item % heads, base_q = rows.query_group(item / heads), base_k = rows.key_group(item / heads),
                  column = head * D;
      const auto kr = detail::read_rows<D>(k, base_k, rows.key, 0, keys, column, pack_k);
      const auto vr = detail::read_rows<D>(v, base_k, rows.key, 0, keys, column, pack_v);
      const auto dkr = detail::place_rows<D>(dk, base_k, rows.key, 0, keys, column, pack_dk);
      const auto dvr = detail::place_rows<D>(dv, base_k, rows.key, 0, keys, column, pack_dv);
      auto grad_k = matrix(dkr.data, keys, D, dkr.stride), grad_v = matrix(dvr.data, keys, D, dvr.stride);
      grad_k.setZero();
      grad_v.setZero();
      for (Index first = 0; first < queries; first += tile) {
        const Index count = std::min(tile, queries - first);
        const auto qr = detail::read_rows<D>(q, base_q, rows.query, first, count, column, pack_q);
        const auto dor = detail::read_rows<D>(dout, base_q, rows.query, first, count, column, pack_do);
        const auto dqr = detail::place_rows<D>(dq, base_q, rows.query, first, count, column, pack_dq);
        const auto query = matrix(qr.data, count, D, qr.stride), dmix = matrix(dor.data, count, D, dor.stride);
        auto p = matrix(probabilities, count, keys, keys), ds = matrix(gradients, count, keys, keys);
        p.noalias() = scale * query * matrix(kr.data, keys, D, kr.stride).transpose();
        ds.noalias() = dmix * matrix(vr.data, keys, D, vr.stride).transpose();
        for (Index i = 0; i < count; ++i) {
          const Index r = base_q + rows.query(first + i);
          const T delta = dmix.row(i).dot(matrix(out.row(r) + column, 1, D, D).row(0));
          p.row(i).array() = (p.row(i).array() - lse.row(r)[head]).exp();
          ds.row(i).array() = p.row(i).array() * (ds.row(i).array() - delta) * scale;
        }
        grad_v.noalias() += p.transpose() * dmix;
        grad_k.noalias() += ds.transpose() * query;
        matrix(dqr.data, count, D, dqr.stride).noalias() = ds * matrix(kr.data, keys, D, kr.stride);
        detail::write_rows<D>(dq, base_q, rows.query, first, count, column, dqr.data);
      }
      detail::write_rows<D>(dk, base_k, rows.key, 0, keys, column, dkr.data);
      detail::write_rows<D>(dv, base_k, rows.key, 0, keys, column, dvr.data);
    }
  });
}

}  // namespace wu::cpu
