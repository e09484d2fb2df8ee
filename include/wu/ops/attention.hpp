// Multi-head attention within groups of rows: self, cross, and over any axes of a grid.       Vaswani et al. 2017, section 3.2
// For each group g, head e, query i:   s_j = q_i . k_j / sqrt(D)    p_j = exp(s_j - lse)    lse = log sum_j exp(s_j)
//                                      out_i = sum_j p_j v_j
// Backward, with delta_i = dout_i . out_i:   dv_j = sum_i p_ij dout_i      ds_ij = p_ij (dout_i . v_j - delta_i) / sqrt(D)
//                                            dq_i = sum_j ds_ij k_j        dk_j = sum_i ds_ij q_i
// Only lse (rows of q, heads) is kept for backward: scores are computed again, so memory grows linearly with the sequence.
// Backward overwrites dq, dk and dv.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "wu/core/fits.hpp"
#include "wu/core/workspace.hpp"
#include "wu/ops/reference.hpp"

namespace wu {

/// Numbers 0 .. size-1 mapped to rows through nested axes, outermost first: row = sum of digit * stride.
struct RowMap {
  /// `size` numbers, each `stride` rows from the one before.
  struct Axis {
    Index size = 1, stride = 0;
  };
  std::array<Axis, 4> axes{};

  /// How many numbers are mapped.
  constexpr Index size() const { return axes[0].size * axes[1].size * axes[2].size * axes[3].size; }
  /// The row of number i.
  constexpr Index operator()(Index i) const {
    if (regular()) return i * axes[3].stride;
    Index row = 0;
    for (std::size_t a = axes.size(); a-- > 0;) {
      row += i % axes[a].size * axes[a].stride;
      i /= axes[a].size;
    }
    return row;
  }
  /// Adds an axis inside all others; neighbours that lie one after the other in memory become one.
  constexpr void push(Axis axis) {
    if (axis.size == 1) return;
    Axis& last = axes[3];
    if (last.size > 1 && last.stride == axis.size * axis.stride) {
      last = {last.size * axis.size, axis.stride};
      return;
    }
    if (axes[0].size > 1) throw ShapeError("attention: more than four separate axes in one row map");
    for (std::size_t a = 0; a + 1 < axes.size(); ++a) axes[a] = axes[a + 1];
    last = axis;
  }
  /// The first row, of a map that has any.
  constexpr Index lowest() const {
    Index row = 0;
    for (const Axis& axis : axes) row += std::min<Index>(0, (axis.size - 1) * axis.stride);
    return row;
  }
  /// The last row, likewise.
  constexpr Index highest() const {
    Index row = 0;
    for (const Axis& axis : axes) row += std::max<Index>(0, (axis.size - 1) * axis.stride);
    return row;
  }
  /// All rows lie `stride` apart.
  constexpr bool regular() const { return axes[2].size == 1 && axes[1].size == 1 && axes[0].size == 1; }
};

/// Which rows attend to which: query i of group g is row query_group(g) + query(i) of q and out; key j likewise of k and v.
/// No key row may belong to two groups.
struct AttentionRows {
  RowMap query_group, query, key_group, key;
  /// How many groups there are.
  constexpr Index groups() const { return query_group.size(); }
};

namespace detail {
template <Index WidthOfQ, Index WidthOfK, Index WidthOfV, Index D>
struct AttentionWidths {
  static_assert(fits<(WidthOfQ == WidthOfK && WidthOfK == WidthOfV), "attention: expected k and v of width ", WidthOfQ,
                     ", as q, found ", WidthOfK, " and ", WidthOfV>);
  static_assert(fits<(WidthOfQ % D == 0), "attention: a head width of ", D, " does not divide ", WidthOfQ,
                     ", the width of q; give a divisor of it">);
  static constexpr Index heads = WidthOfQ / D;
};
/// Everything that lies beside q is as wide as q, but for lse, which has a value for each head.
template <Index Width, Index Heads, Index WidthOfLse, Index... Widths>
constexpr void check_attention_widths() {
  static_assert(fits<((Widths == Width) && ...), "attention: expected outputs and gradients of width ", Width,
                     ", as q, found ", Widths...>);
  static_assert(fits<(WidthOfLse == Heads), "attention: expected one lse for each head, (rows of q, ", Heads,
                     "), found (rows of q, ", WidthOfLse, ")">);
}
inline void check_mapped(const char* what, const RowMap& group, const RowMap& inside, Index rows) {
  if (rows == 0) return;
  const Index first = group.lowest() + inside.lowest(), last = group.highest() + inside.highest();
  if (first < 0 || last >= rows)
    throw ShapeError(
        message("attention: expected a map to ", rows, " rows of ", what, ", found one from row ", first, " to ", last));
}
/// Throws unless the groups name as many queries and keys as there are rows and none beyond them, and everything that lies
/// beside q or k has as many rows.
inline void check_attention(const AttentionRows& rows, const auto& q, const auto& k, const auto& v,
                            const auto&... beside_q) {
  if (rows.key_group.size() != rows.groups() || rows.groups() * rows.query.size() != q.rows() ||
      rows.groups() * rows.key.size() != k.rows())
    throw ShapeError(message("attention: expected ", rows.groups(), " groups of ", rows.query.size(), " queries and ",
                             rows.key.size(), " keys, found ", q.rows(), " rows of q and ", k.rows(), " rows of k"));
  if (rows.key.size() == 0 && q.rows() > 0) throw ShapeError("attention: expected at least one key, found none");
  check_mapped("q", rows.query_group, rows.query, q.rows());
  check_mapped("k", rows.key_group, rows.key, k.rows());
  check_rows("attention, keys and values", k, v);
  check_rows("attention, queries and outputs", q, beside_q...);
}
}  // namespace detail

/// out, q: (rows_q, C); k, v: (rows_k, C); lse: (rows_q, heads). Views or Columns. The workspace is for devices that need
/// scratch memory.
template <Index D>
void attention_forward(reference&, Workspace&, auto out, auto lse, auto q, auto k, auto v, const AttentionRows& rows) {
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  using Sum = sum_of<decltype(q)>;
  detail::check_attention_widths<q.width, heads, lse.width, out.width>();
  detail::check_attention(rows, q, k, v, out, lse);
  const Sum scale = 1 / std::sqrt(static_cast<Sum>(D));
  for (Index g = 0; g < rows.groups(); ++g)
    for (Index i = 0; i < rows.query.size(); ++i)
      for (Index e = 0; e < heads; ++e) {
        const Index at = rows.query_group(g) + rows.query(i);
        auto score = [&](Index j) {
          Sum s = 0;
          const auto* key = k.row(rows.key_group(g) + rows.key(j)) + e * D;
          for (Index c = 0; c < D; ++c) s += Sum(q.row(at)[e * D + c]) * Sum(key[c]);
          return s * scale;
        };
        Sum largest = -std::numeric_limits<Sum>::infinity(), total = 0;
        for (Index j = 0; j < rows.key.size(); ++j) largest = std::max(largest, score(j));
        std::array<Sum, D> mixed{};
        for (Index j = 0; j < rows.key.size(); ++j) {
          const Sum p = std::exp(score(j) - largest);
          const auto* value = v.row(rows.key_group(g) + rows.key(j)) + e * D;
          total += p;
          for (Index c = 0; c < D; ++c) mixed[static_cast<std::size_t>(c)] += p * Sum(value[c]);
        }
        for (Index c = 0; c < D; ++c)
          out.row(at)[e * D + c] = static_cast<value_of<decltype(out)>>(mixed[static_cast<std::size_t>(c)] / total);
        lse.row(at)[e] = static_cast<value_of<decltype(lse)>>(largest + std::log(total));
      }
}

/// dq, dout, out, q: (rows_q, C); dk, dv, k, v: (rows_k, C); lse: (rows_q, heads), as forward left it. No gradient may be
/// null. Throws ShapeError on rows that do not fit, before anything is written.
template <Index D>
void attention_backward(reference&, Workspace& ws, auto dq /* = */, auto dk /* = */, auto dv /* = */, auto dout, auto out,
                        auto lse, auto q, auto k, auto v, const AttentionRows& rows) {
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  using Sum = sum_of<decltype(q)>;
  detail::check_attention_widths<q.width, heads, lse.width, dq.width, dk.width, dv.width, dout.width, out.width>();
  detail::check_attention(rows, q, k, v, dq, dout, out, lse);
  check_rows("attention, gradients of keys and values", k, dk, dv);
  const Sum scale = 1 / std::sqrt(static_cast<Sum>(D));
  using Out = value_of<decltype(dq)>;
  const Workspace::Scope scope(ws);
  Sum* const sum_q = ws.take_values<Sum>(rows.query.size() * D);
  for (Index g = 0; g < rows.groups(); ++g)
    for (Index e = 0; e < heads; ++e) {
      std::fill_n(sum_q, rows.query.size() * D, Sum(0));
      for (Index j = 0; j < rows.key.size(); ++j) {
        const Index key = rows.key_group(g) + rows.key(j);
        std::array<Sum, D> sum_k{}, sum_v{};
        for (Index i = 0; i < rows.query.size(); ++i) {
          const Index at = rows.query_group(g) + rows.query(i);
          Sum s = 0, dp = 0, delta = 0;
          for (Index c = 0; c < D; ++c) {
            s += Sum(q.row(at)[e * D + c]) * Sum(k.row(key)[e * D + c]);
            dp += Sum(dout.row(at)[e * D + c]) * Sum(v.row(key)[e * D + c]);
            delta += Sum(dout.row(at)[e * D + c]) * Sum(out.row(at)[e * D + c]);
          }
          const Sum p = std::exp(s * scale - Sum(lse.row(at)[e])), ds = p * (dp - delta) * scale;
          for (Index c = 0; c < D; ++c) {
            sum_v[static_cast<std::size_t>(c)] += p * Sum(dout.row(at)[e * D + c]);
            sum_k[static_cast<std::size_t>(c)] += ds * Sum(q.row(at)[e * D + c]);
            sum_q[i * D + c] += ds * Sum(k.row(key)[e * D + c]);
          }
        }
        for (Index c = 0; c < D; ++c) {
          dk.row(key)[e * D + c] = static_cast<Out>(sum_k[static_cast<std::size_t>(c)]);
          dv.row(key)[e * D + c] = static_cast<Out>(sum_v[static_cast<std::size_t>(c)]);
        }
      }
      for (Index i = 0; i < rows.query.size(); ++i)
        for (Index c = 0; c < D; ++c)
          dq.row(rows.query_group(g) + rows.query(i))[e * D + c] = static_cast<Out>(sum_q[i * D + c]);
    }
}

}  // namespace wu
