// Attention over at most 16 keys on the CPU: over the layers of a small backbone, over the ranks of an adapter. Matrix products
// of that size cost more to set up than to compute; here the keys lie across the lanes of one vector and nothing is packed but
// the group's own k and v. The formulas of ops/attention.hpp, with delta_i = sum_j p_ij (dout_i . v_j).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "wu/cpu/attention_operands.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/spaced.hpp"
#include "wu/cpu/target.hpp"
#include "wu/cpu/vector_math.hpp"
#include "wu/ops/attention.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
inline constexpr Index short_keys = 16;
/// Queries whose scores are kept together, so that their exponentials are taken in one call.
inline constexpr Index short_queries = 32;

/// One (group, head): where its keys and values are, and both by columns, (D, 16), with the keys across the lanes.
template <class T>
struct ShortGroup {
  std::array<const T*, short_keys> key, value;
  T *key_lanes, *value_lanes;
  Index count, D;

  ShortGroup(T* scratch, Spaced<const T> k, Spaced<const T> v, const RowMap& keys, Index base, Index column, Index width)
      : key_lanes(scratch), value_lanes(scratch + short_keys * width), count(keys.size()), D(width) {
    std::fill_n(scratch, 2 * short_keys * D, T(0));
    for (Index j = 0; j < count; ++j) {
      const T* const from_k = key[static_cast<std::size_t>(j)] = k.row(base + keys(j)) + column;
      const T* const from_v = value[static_cast<std::size_t>(j)] = v.row(base + keys(j)) + column;
      for (Index c = 0; c < D; ++c) {
        key_lanes[c * short_keys + j] = from_k[c];
        value_lanes[c * short_keys + j] = from_v[c];
      }
    }
  }

  /// to (16) = the product of x with every key, or every value.
  void along(T* to, const T* by_columns, const T* x) const {
    in_blocks<lanes<T>>(short_keys, [&]<Index W>(Index j) {
      typename Lanes<T, W>::type sum{};
      for (Index c = 0; c < D; ++c) sum += x[c] * load<typename Lanes<T, W>::type>(by_columns + c * short_keys + j);
      store(to + j, sum);
    });
  }
  /// to (D) = factor * sum over the group's rows of weights[j] row_j.
  void mix(T* to, const std::array<const T*, short_keys>& rows, const T* weights, T factor) const {
    in_blocks<lanes<T>>(D, [&]<Index W>(Index c) {
      typename Lanes<T, W>::type sum{};
      for (Index j = 0; j < count; ++j)
        sum += weights[j] * load<typename Lanes<T, W>::type>(rows[static_cast<std::size_t>(j)] + c);
      store(to + c, static_cast<typename Lanes<T, W>::type>(factor * sum));
    });
  }
};
}  // namespace detail

namespace kernel {
template <class T>
struct ShortAttention {
  /// Values of scratch that forward takes for each thread.
  static constexpr Index scratch_values(Index D) { return 2 * detail::short_keys * D; }
  static void forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<T> lse, const AttentionOperands<T>& in);
  static void backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g, const AttentionOperands<T>& in);
};

template <class T>
void ShortAttention<T>::forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<T> lse, const AttentionOperands<T>& in) {
  using detail::short_keys, detail::short_queries;
  const Index heads = in.heads, D = in.D, queries = in.rows.query.size();
  const T scale = 1 / std::sqrt(static_cast<T>(D));
  const Workspace::Scope scope(ws);
  T* const scratch = ws.take_values<T>(scratch_values(D) * ctx.threads());
  ctx.split(in.rows.groups() * heads, 2 * queries * short_keys * D, [&](int thread, Index begin, Index end) {
    alignas(64) T p[short_queries * short_keys];
    T largest[short_queries];
    for (Index item = begin; item < end; ++item) {
      const Index head = item % heads, base = in.rows.query_group(item / heads);
      const detail::ShortGroup<T> group(scratch + thread * 2 * short_keys * D, in.k, in.v, in.rows.key,
                                        in.rows.key_group(item / heads), head * D, D);
      for (Index first = 0; first < queries; first += short_queries) {
        const Index some = std::min(short_queries, queries - first);
        for (Index i = 0; i < some; ++i) {
          T* const s = p + i * short_keys;
          group.along(s, group.key_lanes, in.q.row(base + in.rows.query(first + i)) + head * D);
          T top = s[0];
          for (Index j = 1; j < group.count; ++j) top = std::max(top, s[j]);
          for (Index j = 0; j < short_keys; ++j) s[j] = (s[j] - top) * scale;
          largest[i] = top * scale;
        }
        VectorMath<T>::exp(p, p, T(0), some * short_keys);
        for (Index i = 0; i < some; ++i) {
          const Index r = base + in.rows.query(first + i);
          T total = 0;
          for (Index j = 0; j < group.count; ++j) total += p[i * short_keys + j];
          group.mix(out.row(r) + head * D, group.value, p + i * short_keys, 1 / total);
          lse.row(r)[head] = largest[i] + std::log(total);
        }
      }
    }
  });
}

template <class T>
void ShortAttention<T>::backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g,
                                 const AttentionOperands<T>& in) {
  using detail::short_keys, detail::short_queries;
  const Index heads = in.heads, D = in.D, queries = in.rows.query.size();
  const T scale = 1 / std::sqrt(static_cast<T>(D));
  const Workspace::Scope scope(ws);
  T* const scratch = ws.take_values<T>(2 * short_keys * D * ctx.threads());
  ctx.split(in.rows.groups() * heads, 5 * queries * short_keys * D, [&](int thread, Index begin, Index end) {
    alignas(64) T p[short_queries * short_keys], ds[short_queries * short_keys];
    std::array<const T*, short_queries> query, dmix;
    for (Index item = begin; item < end; ++item) {
      const Index column = item % heads * D, base = in.rows.query_group(item / heads),
                  base_k = in.rows.key_group(item / heads);
      const detail::ShortGroup<T> group(scratch + thread * 2 * short_keys * D, in.k, in.v, in.rows.key, base_k, column, D);
      for (Index first = 0; first < queries; first += short_queries) {
        const Index some = std::min(short_queries, queries - first);
        for (Index i = 0; i < some; ++i) {
          const Index r = base + in.rows.query(first + i);
          query[static_cast<std::size_t>(i)] = in.q.row(r) + column;
          dmix[static_cast<std::size_t>(i)] = g.dout.row(r) + column;
          T* const s = p + i * short_keys;
          const T shift = g.lse.row(r)[item % heads];
          group.along(s, group.key_lanes, query[static_cast<std::size_t>(i)]);
          for (Index j = 0; j < short_keys; ++j) s[j] = j < group.count ? s[j] * scale - shift : T(0);
        }
        VectorMath<T>::exp(p, p, T(0), some * short_keys);
        for (Index i = 0; i < some; ++i) {
          T *const each = ds + i * short_keys, *const weights = p + i * short_keys, delta = 0;
          group.along(each, group.value_lanes, dmix[static_cast<std::size_t>(i)]);
          for (Index j = 0; j < group.count; ++j) delta += weights[j] * each[j];
          for (Index j = 0; j < short_keys; ++j) each[j] = weights[j] * (each[j] - delta) * scale;
          group.mix(g.dq.row(base + in.rows.query(first + i)) + column, group.key, each, T(1));
        }
        // No key belongs to two groups, so what earlier queries gave is kept where it is wanted.
        for (Index j = 0; j < group.count; ++j) {
          T *const dk = g.dk.row(base_k + in.rows.key(j)) + column, *const dv = g.dv.row(base_k + in.rows.key(j)) + column;
          detail::in_blocks<detail::lanes<T>>(D, [&]<Index W>(Index c) {
            using V = typename detail::Lanes<T, W>::type;
            V sum_k = first > 0 ? detail::load<V>(dk + c) : V{}, sum_v = first > 0 ? detail::load<V>(dv + c) : V{};
            for (Index i = 0; i < some; ++i) {
              sum_k += ds[i * short_keys + j] * detail::load<V>(query[static_cast<std::size_t>(i)] + c);
              sum_v += p[i * short_keys + j] * detail::load<V>(dmix[static_cast<std::size_t>(i)] + c);
            }
            detail::store(dk + c, sum_k);
            detail::store(dv + c, sum_v);
          });
        }
      }
      if (queries == 0)
        for (Index j = 0; j < group.count; ++j) {
          std::fill_n(g.dk.row(base_k + in.rows.key(j)) + column, D, T(0));
          std::fill_n(g.dv.row(base_k + in.rows.key(j)) + column, D, T(0));
        }
    }
  });
}
}  // namespace kernel

}  // namespace wu::cpu::inline WU_CPU_TARGET
