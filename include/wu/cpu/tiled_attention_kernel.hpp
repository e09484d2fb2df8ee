// The attention of cpu/tiled_attention.hpp. A program that links wu::precompiled does not include this file.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "wu/cpu/attention_lanes.hpp"
#include "wu/cpu/exp.hpp"
#include "wu/cpu/target.hpp"
#include "wu/cpu/tiled_attention.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

// ---- operands -----------------------------------------------------------------------------------------------------------
/// pack(block, rows, count) on the rows of every block of keys.
template <class T>
template <class Pack>
void TiledAttention<T>::each_block(const Thread& t, Spaced<const T> rows, const Item& item, const Pack& pack) {
  for (Index b = 0; b < t.plan.blocks; ++b) {
    const Index count = t.plan.keys_of(b);
    pack(b,
         detail::pack(rows, item.base_k, t.in.rows.key, b * t.plan.block, count, item.column, t.plan.D,
                      t.values(t.plan.gathered)),
         count);
  }
}
/// Keys or values as the columns of a product.
template <class T>
void TiledAttention<T>::pack_across(const Thread& t, Index to, Spaced<const T> rows, const Item& item) {
  each_block(t, rows, item, [&](Index b, Spaced<const T> from, Index count) {
    Product::pack_columns_transposed(t.words(to) + b * t.plan.across_words, from.data, from.stride, count, t.plan.D);
  });
}
/// Keys or values as what a product sums over.
template <class T>
void TiledAttention<T>::pack_down(const Thread& t, Index to, Spaced<const T> rows, const Item& item) {
  each_block(t, rows, item, [&](Index b, Spaced<const T> from, Index count) {
    Product::pack_columns(t.words(to) + b * t.plan.down_words, from.data, from.stride, t.plan.D, count);
  });
}
/// `count` rows from query `first` on, side by side in whole words; then zeros up to a multiple of four.
template <class T>
void TiledAttention<T>::take_tile(const Thread& t, Index to, Spaced<const T> rows, const Item& item, Index first,
                                  Index count) {
  const Index D = t.plan.D, width = t.plan.query_row * depth;
  T* row = t.values(to);
  for (Index i = 0; i < count; ++i, row += width) {
    std::copy_n(rows.row(item.base_q + t.in.rows.query(first + i)) + item.column, D, row);
    std::fill(row + D, row + width, T(0.0f));
  }
  std::fill_n(row, (Product::up_to(4, count) - count) * width, T(0.0f));
}

// ---- forward ------------------------------------------------------------------------------------------------------------
template <class T>
void TiledAttention<T>::forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<Sum> lse,
                                const AttentionOperands<T>& in) {
  const RowMap& query = in.rows.query;
  const Index queries = query.size();
  const Plan plan(queries, in.rows.key.size(), in.D, false);
  const Workspace::Scope scope(ws);
  std::byte* const scratch = ws.take_values<std::byte>(plan.bytes * ctx.threads());
  const Sum scale = 1 / std::sqrt(static_cast<Sum>(in.D)), log2_scale = scale * std::numbers::log2e_v<Sum>;
  ctx.split(in.rows.groups() * in.heads, 2 * queries * plan.keys * in.D, [&](int thread, Index begin, Index end) {
    const Thread t{plan, in, scratch + thread * plan.bytes};
    for (Index n = begin; n < end; ++n) {
      const Item item(in, n);
      pack_across(t, plan.keys_across, in.k, item);
      pack_down(t, plan.values_down, in.v, item);
      for (Index first = 0; first < queries; first += plan.tile) {
        const Index count = std::min(plan.tile, queries - first);
        take_tile(t, plan.queries, in.q, item, first, count);
        for (Index b = 0; b < plan.blocks; ++b) mix_block(t, b, count, log2_scale);
        for (Index i = 0; i < count; ++i) {
          const Index row = item.base_q + query(first + i);
          const Sum total = t.sums(plan.total)[i];
          detail::store_scaled(out.row(row) + item.column, t.sums(plan.mixed) + i * plan.mixed_row, 1 / total, plan.D);
          lse.row(row)[item.head] = t.sums(plan.largest)[i] * scale + std::log(total);
        }
      }
    }
  });
}

/// One block of keys for a tile of `count` queries.
template <class T>
void TiledAttention<T>::mix_block(const Thread& t, Index b, Index count, Sum log2_scale) {
  const Plan& plan = t.plan;
  const Index keys = plan.keys_of(b);
  Sum* const scores = t.sums(plan.scores);
  Product::multiply_rows(scores, plan.score_row, t.words(plan.queries), plan.query_row,
                         t.words(plan.keys_across) + b * plan.across_words, count, keys, plan.D, false);
  for (Index i = 0; i < count; ++i) weigh(t, i, keys, b, log2_scale);
  Product::multiply_rows(t.sums(plan.mixed), plan.mixed_row, t.words(plan.scores), plan.score_row,
                         t.words(plan.values_down) + b * plan.down_words, count, plan.D, keys, b > 0);
}

/// A row of scores becomes weights, where it lies; what was mixed under a smaller largest score shrinks.
template <class T>
void TiledAttention<T>::weigh(const Thread& t, Index i, Index keys, Index b, Sum log2_scale) {
  const Plan& plan = t.plan;
  constexpr Sum lowest = -std::numeric_limits<Sum>::infinity();
  Sum *const row = t.sums(plan.scores) + i * plan.score_row, &largest = t.sums(plan.largest)[i],
             &total = t.sums(plan.total)[i];
  T* const weights = reinterpret_cast<T*>(row);  // never beyond what has been read
  const Index whole = keys / W * W;
  V top = lowest - V{};
  for (Index j = 0; j < whole; j += W) top = detail::larger_of_two(top, detail::load<V>(row + j));
  if (whole < keys)
    top = detail::larger_of_two(top, detail::first_lanes<Sum, W>(detail::load<V>(row + whole), keys - whole, lowest));
  const Sum here = detail::fold<W>(top, detail::larger_of_two), now = b > 0 && here < largest ? largest : here;
  // Where every score is -inf, every weight is 0, and stays so once a finite score comes.
  const Sum shift = now == lowest ? Sum(0) : now;
  V sum{};
  const auto weight = [&](Index j) { return detail::exp2_lanes<Sum, W>((detail::load<V>(row + j) - shift) * log2_scale); };
  const auto put = [&](Index j, const V& p) {
    sum += p;
    detail::store_narrow<W>(weights + j, p);
  };
  for (Index j = 0; j < whole; j += W) put(j, weight(j));
  if (whole < keys) put(whole, detail::first_lanes<Sum, W>(weight(whole), keys - whole, Sum(0)));
  const Sum added = detail::fold<W>(sum, detail::sum_of_two);
  if (b > 0 && largest != now) {
    const Sum shrink = std::exp2((largest - shift) * log2_scale);
    total *= shrink;
    Sum* const mixed = t.sums(plan.mixed) + i * plan.mixed_row;
    for (Index c = 0; c < plan.D; ++c) mixed[c] *= shrink;
  }
  total = b > 0 ? total + added : added;
  largest = now;
}

// ---- backward -----------------------------------------------------------------------------------------------------------
template <class T>
void TiledAttention<T>::backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g,
                                 const AttentionOperands<T>& in) {
  const RowMap &query = in.rows.query, &key = in.rows.key;
  const Index queries = query.size();
  const Plan plan(queries, key.size(), in.D, true);
  const Workspace::Scope scope(ws);
  std::byte* const scratch = ws.take_values<std::byte>(plan.bytes * ctx.threads());
  const Sum scale = 1 / std::sqrt(static_cast<Sum>(in.D)), log2_scale = scale * std::numbers::log2e_v<Sum>;
  ctx.split(in.rows.groups() * in.heads, 5 * queries * plan.keys * in.D, [&](int thread, Index begin, Index end) {
    const Thread t{plan, in, scratch + thread * plan.bytes};
    Sum *const log2_lse = t.sums(plan.largest), *const delta = t.sums(plan.total);
    for (Index n = begin; n < end; ++n) {
      const Item item(in, n);
      pack_across(t, plan.keys_across, in.k, item);
      pack_across(t, plan.values_across, in.v, item);
      pack_down(t, plan.keys_down, in.k, item);
      for (Index first = 0; first < queries; first += plan.tile) {
        const Index count = std::min(plan.tile, queries - first);
        take_tile(t, plan.queries, in.q, item, first, count);
        take_tile(t, plan.dmix, g.dout, item, first, count);
        const Index row = plan.query_row * depth;
        Product::pack_columns(t.words(plan.packed_queries), t.values(plan.queries), row, plan.D, count);
        Product::pack_columns(t.words(plan.packed_dmix), t.values(plan.dmix), row, plan.D, count);
        std::fill_n(log2_lse, plan.tile, Sum(0)), std::fill_n(delta, plan.tile, Sum(0));
        for (Index i = 0; i < count; ++i) {
          const Index r = item.base_q + query(first + i);
          log2_lse[i] = g.lse.row(r)[item.head] * std::numbers::log2e_v<Sum>;
          delta[i] = detail::dot<T>(t.values(plan.dmix) + i * row, g.out.row(r) + item.column, plan.D);
        }
        for (Index b = 0; b < plan.blocks; ++b) slope_block(t, b, count, log2_scale, first > 0);
        for (Index i = 0; i < count; ++i)
          detail::store_scaled(g.dq.row(item.base_q + query(first + i)) + item.column,
                               t.sums(plan.mixed) + i * plan.mixed_row, scale, plan.D);
      }
      for (Index j = 0; j < plan.keys; ++j) {
        const Index at = j / plan.block * plan.gradient_sums + j % plan.block * plan.mixed_row;
        detail::store_scaled(g.dk.row(item.base_k + key(j)) + item.column, t.sums(plan.dk) + at, scale, plan.D);
        detail::store_scaled(g.dv.row(item.base_k + key(j)) + item.column, t.sums(plan.dv) + at, Sum(1), plan.D);
      }
    }
  });
}

/// One block of keys for a tile of `count` queries: what it gives to the gradients. add: its keys have sums already.
template <class T>
void TiledAttention<T>::slope_block(const Thread& t, Index b, Index count, Sum log2_scale, bool add) {
  const Plan& plan = t.plan;
  const Index keys = plan.keys_of(b), joined_row = depth * plan.score_row;
  Product::multiply_rows(t.sums(plan.scores), plan.score_row, t.words(plan.queries), plan.query_row,
                         t.words(plan.keys_across) + b * plan.across_words, count, keys, plan.D, false);
  Product::multiply_rows(t.sums(plan.slopes), plan.score_row, t.words(plan.dmix), plan.query_row,
                         t.words(plan.values_across) + b * plan.across_words, count, keys, plan.D, false);
  for (Index i = 0; i < count; i += depth) slope(t, i, keys, log2_scale);
  Product::multiply_columns(t.sums(plan.dv) + b * plan.gradient_sums, plan.mixed_row, t.words(plan.scores), joined_row,
                            t.words(plan.packed_dmix), keys, plan.D, count, add);
  Product::multiply_columns(t.sums(plan.dk) + b * plan.gradient_sums, plan.mixed_row, t.words(plan.slopes), joined_row,
                            t.words(plan.packed_queries), keys, plan.D, count, add);
  Product::multiply_rows(t.sums(plan.mixed), plan.mixed_row, t.words(depth > 1 ? plan.plain_slopes : plan.slopes),
                         plan.score_row / depth, t.words(plan.keys_down) + b * plan.down_words, count, plan.D, keys, b > 0);
}

/// The rows of queries i .. i + depth - 1: scores become weights and dout v^T their slopes, joined where they lie.
template <class T>
void TiledAttention<T>::slope(const Thread& t, Index i, Index keys, Sum log2_scale) {
  const Plan& plan = t.plan;
  Sum *const score = t.sums(plan.scores) + i * plan.score_row, *const slope = t.sums(plan.slopes) + i * plan.score_row;
  const Sum *const log2_lse = t.sums(plan.largest) + i, *const delta = t.sums(plan.total) + i;
  const auto block = [&](Index j, const auto& limited) {
    V p[depth], ds[depth];
    for (Index r = 0; r < depth; ++r) {
      const V s = detail::load<V>(score + r * plan.score_row + j), dp = detail::load<V>(slope + r * plan.score_row + j);
      p[r] = limited(detail::exp2_lanes<Sum, W>(s * log2_scale - log2_lse[r]));
      ds[r] = limited(p[r] * (dp - delta[r]));
    }
    if constexpr (depth == 1) {
      detail::store(score + j, p[0]);
      detail::store(slope + j, ds[0]);
    } else {
      T* const plain = t.values(plan.plain_slopes) + i * plan.score_row + j;
      const auto joined = detail::join<W>(ds[0], ds[1]);
      detail::store(score + j, detail::join<W>(p[0], p[1]));
      detail::store(slope + j, joined);
      detail::store_halves<W>(plain, plain + plan.score_row, joined);
    }
  };
  const Index whole = keys / W * W;
  for (Index j = 0; j < whole; j += W) block(j, [](const V& v) { return v; });
  if (whole < keys) block(whole, [&](const V& v) { return detail::first_lanes<Sum, W>(v, keys - whole, Sum(0)); });
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel
