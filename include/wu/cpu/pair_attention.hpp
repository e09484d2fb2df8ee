// Attention of bfloat16 on the CPU, forward: a tile of queries goes over blocks of keys and keeps, for each query, the largest
// score so far, the sum of exp(score - largest) and the mixture of values under those weights; both shrink when a larger score
// comes (online softmax). Scores, sums and mixtures are float; the weights are rounded to bfloat16 before they meet the values.
// The formulas of ops/attention.hpp.                                             Milakov and Gimelshein 2018; Dao et al. 2022
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "wu/cpu/attention_operands.hpp"
#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/packed_product.hpp"
#include "wu/cpu/target.hpp"
#include "wu/cpu/vector_math.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// T: bfloat16. One (group, head) per thread at a time.
template <class T>
class PairAttention {
 public:
  static void forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<float> lse, const AttentionOperands<T>& in);

  /// Bytes of scratch that forward takes for each thread.
  static constexpr Index scratch_bytes(Index keys, Index D) { return Plan(keys, D).words * Index{sizeof(float)}; }

 private:
  using Product = PackedProduct<T>;
  using Pair = typename Product::Word;
  static constexpr Index tile = Product::up_to(Product::rows, 96), block = 512;

  /// One thread's scratch: where its parts lie in `words` floats or pairs.
  struct Plan {
    Index keys, D, block_keys, blocks, score_row, mixed_row, key_pairs, value_pairs, words = 0;
    Index packed_keys = 0, packed_values = 0, packed_queries = 0, packed_weights = 0, scores = 0, weights = 0, mixed = 0,
          largest = 0, total = 0, gathered = 0;

    constexpr Plan(Index all_keys, Index width)
        : keys(all_keys),
          D(width),
          block_keys(std::min(block, keys)),
          blocks((keys + block - 1) / block),
          score_row(Product::up_to(Product::columns, block_keys)),
          mixed_row(Product::up_to(Product::columns, D)),
          key_pairs(Product::packed_columns(block_keys, D)),
          value_pairs(Product::packed_columns(D, block_keys)) {
      packed_keys = take(blocks * key_pairs), packed_values = take(blocks * value_pairs);
      packed_queries = take(Product::packed_rows(tile, D)), packed_weights = take(Product::packed_rows(tile, block_keys));
      scores = take(tile * score_row), weights = take((tile * block_keys + 1) / 2), mixed = take(tile * mixed_row);
      largest = take(tile), total = take(tile);
      gathered = take((std::max(keys, tile) * D + 1) / 2);
    }
    constexpr Index take(Index count) {
      constexpr Index line = alignment / sizeof(float);
      return std::exchange(words, words + (count + line - 1) / line * line);
    }
  };

  struct Thread {
    const Plan& plan;
    std::byte* memory;
    Pair* pairs(Index at) const { return reinterpret_cast<Pair*>(memory + at * Index{sizeof(Pair)}); }
    float* floats(Index at) const { return reinterpret_cast<float*>(memory + at * Index{sizeof(float)}); }
    T* values(Index at) const { return reinterpret_cast<T*>(memory + at * Index{sizeof(float)}); }
  };

  static void pack_group(const Thread& t, const AttentionOperands<T>& in, Index base, Index column);
  static void add_block(const Thread& t, Index b, Index count, float scale);
};

template <class T>
void PairAttention<T>::forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<float> lse,
                               const AttentionOperands<T>& in) {
  const RowMap& query = in.rows.query;
  const Index D = in.D, heads = in.heads, queries = query.size();
  const Plan plan(in.rows.key.size(), D);
  const Workspace::Scope scope(ws);
  std::byte* const scratch = ws.take_values<std::byte>(plan.words * Index{sizeof(float)} * ctx.threads());
  const float scale = 1 / std::sqrt(static_cast<float>(D));
  ctx.split(in.rows.groups() * heads, 2 * queries * plan.keys * D, [&](int thread, Index begin, Index end) {
    const Thread t{plan, scratch + thread * plan.words * Index{sizeof(float)}};
    for (Index item = begin; item < end; ++item) {
      const Index head = item % heads, column = head * D, base_q = in.rows.query_group(item / heads);
      pack_group(t, in, in.rows.key_group(item / heads), column);
      for (Index first = 0; first < queries; first += tile) {
        const Index count = std::min(tile, queries - first);
        const auto q = detail::pack(in.q, base_q, query, first, count, column, D, t.values(plan.gathered));
        Product::pack_rows(t.pairs(plan.packed_queries), q.data, q.stride, count, D);
        for (Index b = 0; b < plan.blocks; ++b) add_block(t, b, count, scale);
        for (Index i = 0; i < count; ++i) {
          const Index row = base_q + query(first + i);
          float* const mixed = t.floats(plan.mixed) + i * plan.mixed_row;
          const float total = t.floats(plan.total)[i], share = 1 / total;
          for (Index c = 0; c < D; ++c) mixed[c] *= share;
          detail::narrow(out.row(row) + column, mixed, D);
          lse.row(row)[head] = t.floats(plan.largest)[i] + std::log(total);
        }
      }
    }
  });
}

/// The keys and values of one group and head, block by block.
template <class T>
void PairAttention<T>::pack_group(const Thread& t, const AttentionOperands<T>& in, Index base, Index column) {
  const Plan& plan = t.plan;
  T* const gathered = t.values(plan.gathered);
  const auto each_block = [&](Spaced<const T> rows, auto&& pack) {
    const auto from = detail::pack(rows, base, in.rows.key, 0, plan.keys, column, plan.D, gathered);
    for (Index b = 0; b < plan.blocks; ++b)
      pack(b, from.row(b * block), from.stride, std::min(block, plan.keys - b * block));
  };
  each_block(in.k, [&](Index b, const T* from, Index stride, Index count) {
    Product::pack_columns_transposed(t.pairs(plan.packed_keys) + b * plan.key_pairs, from, stride, count, plan.D);
  });
  each_block(in.v, [&](Index b, const T* from, Index stride, Index count) {
    Product::pack_columns(t.pairs(plan.packed_values) + b * plan.value_pairs, from, stride, plan.D, count);
  });
}

/// One block of keys for a tile of `count` queries.
template <class T>
void PairAttention<T>::add_block(const Thread& t, Index b, Index count, float scale) {
  const Plan& plan = t.plan;
  const Index keys = std::min(block, plan.keys - b * block);
  float *const scores = t.floats(plan.scores), *const mixed = t.floats(plan.mixed);
  T* const weights = t.values(plan.weights);
  Product::multiply(scores, plan.score_row, t.pairs(plan.packed_queries), t.pairs(plan.packed_keys) + b * plan.key_pairs,
                    count, keys, plan.D, false);
  for (Index i = 0; i < count; ++i) {
    float& largest = t.floats(plan.largest)[i];
    float& total = t.floats(plan.total)[i];
    float* const row = scores + i * plan.score_row;
    for (Index j = 0; j < keys; ++j) row[j] *= scale;
    const float now = detail::lane_max(keys, row), top = b == 0 ? now : std::max(largest, now);
    VectorMath<float>::exp(row, row, top, keys);
    const float sum = detail::lane_sum<float>(keys, [row](Index j) { return row[j]; });
    const float shrink = b == 0 ? 0.0f : std::exp(largest - top);
    total = b == 0 ? sum : total * shrink + sum;
    largest = top;
    detail::narrow(weights + i * plan.block_keys, row, keys);
    if (b > 0 && shrink != 1.0f)
      for (Index c = 0; c < plan.D; ++c) mixed[i * plan.mixed_row + c] *= shrink;
  }
  Product::pack_rows(t.pairs(plan.packed_weights), weights, plan.block_keys, count, keys);
  Product::multiply(mixed, plan.mixed_row, t.pairs(plan.packed_weights), t.pairs(plan.packed_values) + b * plan.value_pairs,
                    count, plan.D, keys, b > 0);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel
