// Attention over at most 16 keys on the CPU: over the layers of a small backbone, over the ranks of an adapter. Matrix products
// of that size cost more to set up than to compute; here the keys lie across the lanes of one vector and nothing is packed but
// the group's own k and v. The same formulas as ops/attention.hpp.
#pragma once

#include <Eigen/Core>

#include "wu/cpu/context.hpp"
#include "wu/ops/attention.hpp"

namespace wu::cpu::detail {

inline constexpr Index short_keys = 16;

/// One (group, head): its keys and values by rows, and by columns with the keys across the lanes.
template <class T, Index D>
struct ShortGroup {
  using Keys = Eigen::Array<T, short_keys, 1>;
  using Row = Eigen::Array<T, 1, D>;
  using Map = Eigen::Map<const Row>;

  std::array<const T*, short_keys> key, value;
  std::array<Keys, D> key_lanes, value_lanes;
  Index count;

  ShortGroup(const auto& k, const auto& v, const AttentionRows& rows, Index base, Index column) : count(rows.key.size()) {
    for (Index c = 0; c < D; ++c)
      key_lanes[static_cast<std::size_t>(c)].setZero(), value_lanes[static_cast<std::size_t>(c)].setZero();
    for (Index j = 0; j < count; ++j) {
      const Index row = base + rows.key(j);
      key[static_cast<std::size_t>(j)] = k.row(row) + column;
      value[static_cast<std::size_t>(j)] = v.row(row) + column;
      for (Index c = 0; c < D; ++c) {
        key_lanes[static_cast<std::size_t>(c)][j] = k.row(row)[column + c];
        value_lanes[static_cast<std::size_t>(c)][j] = v.row(row)[column + c];
      }
    }
  }

  static Keys along(const std::array<Keys, D>& lanes, const T* x) {
    Keys sum = Keys::Zero();
    for (Index c = 0; c < D; ++c) sum += x[c] * lanes[static_cast<std::size_t>(c)];
    return sum;
  }
  /// Scaled scores of one query; lanes without a key are so low that they vanish.
  Keys scores(const T* query) const {
    Keys s = along(key_lanes, query) / std::sqrt(static_cast<T>(D));
    for (Index j = count; j < short_keys; ++j) s[j] = -std::numeric_limits<T>::max();
    return s;
  }
  static Row mix(const std::array<const T*, short_keys>& of, const Keys& weights, Index count) {
    Row sum = Row::Zero();
    for (Index j = 0; j < count; ++j) sum += weights[j] * Map(of[static_cast<std::size_t>(j)]);
    return sum;
  }
};

template <Index D>
void short_attention_forward(Context& ctx, auto out, auto lse, auto q, auto k, auto v, const AttentionRows& rows) {
  constexpr Index heads = q.width / D;
  using T = value_of<decltype(q)>;
  using Group = ShortGroup<T, D>;
  const Index queries = rows.query.size();
  ctx.split(rows.groups() * heads, 2 * queries * short_keys * D, [&](int, Index begin, Index end) {
    for (Index item = begin; item < end; ++item) {
      const Index column = item % heads * D, base = rows.query_group(item / heads);
      const Group group(k, v, rows, rows.key_group(item / heads), column);
      for (Index i = 0; i < queries; ++i) {
        const Index r = base + rows.query(i);
        const typename Group::Keys s = group.scores(q.row(r) + column);
        const T largest = s.maxCoeff();
        const typename Group::Keys p = (s - largest).exp();
        const T total = p.head(group.count).sum();
        Eigen::Map<typename Group::Row>(out.row(r) + column) = Group::mix(group.value, p, group.count) / total;
        lse.row(r)[item % heads] = largest + std::log(total);
      }
    }
  });
}

template <Index D>
void short_attention_backward(Context& ctx, auto dq /* = */, auto dk /* = */, auto dv /* = */, auto dout, auto out, auto lse,
                              auto q, auto k, auto v, const AttentionRows& rows) {
  constexpr Index heads = q.width / D;
  using T = value_of<decltype(q)>;
  using Group = ShortGroup<T, D>;
  using Row = typename Group::Row;
  const Index queries = rows.query.size();
  ctx.split(rows.groups() * heads, 5 * queries * short_keys * D, [&](int, Index begin, Index end) {
    for (Index item = begin; item < end; ++item) {
      const Index column = item % heads * D, base = rows.query_group(item / heads), base_k = rows.key_group(item / heads);
      const Group group(k, v, rows, base_k, column);
      std::array<Row, short_keys> sum_k, sum_v;
      for (Index j = 0; j < group.count; ++j)
        sum_k[static_cast<std::size_t>(j)].setZero(), sum_v[static_cast<std::size_t>(j)].setZero();
      for (Index i = 0; i < queries; ++i) {
        const Index r = base + rows.query(i);
        const Eigen::Map<const Row> query(q.row(r) + column), g(dout.row(r) + column), mixed(out.row(r) + column);
        const typename Group::Keys p = (group.scores(query.data()) - T(lse.row(r)[item % heads])).exp();
        const T delta = (g * mixed).sum();
        const typename Group::Keys ds =
            p * (Group::along(group.value_lanes, g.data()) - delta) / std::sqrt(static_cast<T>(D));
        for (Index j = 0; j < group.count; ++j) {
          sum_v[static_cast<std::size_t>(j)] += p[j] * g;
          sum_k[static_cast<std::size_t>(j)] += ds[j] * query;
        }
        Eigen::Map<Row>(dq.row(r) + column) = Group::mix(group.key, ds, group.count);
      }
      for (Index j = 0; j < group.count; ++j) {
        const Index row = base_k + rows.key(j);
        Eigen::Map<Row>(dk.row(row) + column) = sum_k[static_cast<std::size_t>(j)];
        Eigen::Map<Row>(dv.row(row) + column) = sum_v[static_cast<std::size_t>(j)];
      }
    }
  });
}

}  // namespace wu::cpu::detail
