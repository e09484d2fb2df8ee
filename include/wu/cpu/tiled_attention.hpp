// Attention on the CPU for any numbers of queries and keys: tiles of queries go over blocks of keys, one (group, head) per thread
// at a time. Forward keeps, for each query, the largest score so far, the sum of exp(score - largest) and the mixture of values
// under those weights; both shrink when a larger score comes (online softmax). Backward computes the weights again from lse.
// Nothing of (queries, keys) is kept beyond one tile and block. The formulas of ops/attention.hpp.
//                                                                              Milakov and Gimelshein 2018; Dao et al. 2022
// All products are cpu/packed_product.hpp's. What stands on their left lies as it is:
//     S = Q K^T, dP = dO V^T      rows of the tile                    O += P V, dQ += dS K     rows of the weights
//     dV += P^T dO, dK += dS^T Q  the weights as columns
// bfloat16 is summed in float; weights and their gradients are rounded before they meet a product.
#pragma once

#include <algorithm>
#include <utility>

#include "wu/cpu/attention_operands.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/packed_product.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// T: float, double or bfloat16. lse is of the type that T is summed in.
template <class T>
class TiledAttention {
 public:
  using Sum = accumulator_t<T>;
  static void forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<Sum> lse, const AttentionOperands<T>& in);
  static void backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g, const AttentionOperands<T>& in);

  /// Bytes of scratch that each takes for each thread.
  static constexpr Index forward_bytes(Index queries, Index keys, Index D) { return Plan(queries, keys, D, false).bytes; }
  static constexpr Index backward_bytes(Index queries, Index keys, Index D) { return Plan(queries, keys, D, true).bytes; }

 private:
  using Product = PackedProduct<T>;
  using Word = typename Product::Word;
  static_assert(sizeof(Word) == sizeof(Sum));  // rounded weights lie where the scores were
  static constexpr Index W = detail::lanes<Sum>, depth = Product::depth;
  using V = typename detail::Lanes<Sum, W>::type;
  static constexpr Index query_tile = detail::query_tile, key_block = 512;

  /// One thread's scratch: where its parts begin, in bytes.
  struct Plan {
    Index keys, D, tile, block, blocks, score_row, mixed_row, query_row, bytes = 0;
    Index keys_across = 0, values_across = 0, values_down = 0, keys_down = 0;  // of all blocks
    Index across_words = 0, down_words = 0;                                    // of one of them
    Index queries = 0, dmix = 0, packed_queries = 0, packed_dmix = 0, scores = 0, slopes = 0, plain_slopes = 0, mixed = 0,
          largest = 0, total = 0, dk = 0, dv = 0, gradient_sums = 0, gathered = 0;

    constexpr Plan(Index all_queries, Index all_keys, Index width, bool backward)
        : keys(all_keys),
          D(width),
          tile(std::min(query_tile, Product::up_to(Product::rows, all_queries))),
          block(std::min(key_block, all_keys)),
          blocks(all_keys > 0 ? (all_keys + block - 1) / block : 0),
          score_row(Product::up_to(Product::columns, block)),
          mixed_row(Product::up_to(Product::columns, width)),
          query_row(Product::words(width)),
          across_words(Product::packed_columns(block, width)),
          down_words(Product::packed_columns(width, block)) {
      keys_across = words(blocks * across_words);
      queries = words(tile * query_row), scores = words(tile * score_row), mixed = words(tile * mixed_row);
      largest = words(tile), total = words(tile);
      gathered = words((std::max(block, tile) * D + depth - 1) / depth);
      if (backward) {
        values_across = words(blocks * across_words), keys_down = words(blocks * down_words);
        dmix = words(tile * query_row), slopes = words(tile * score_row);
        packed_queries = words(Product::packed_columns(D, tile)), packed_dmix = words(Product::packed_columns(D, tile));
        if (depth > 1) plain_slopes = words(tile * score_row / depth);
        gradient_sums = Product::up_to(Product::rows, block) * mixed_row;
        dk = words(blocks * gradient_sums), dv = words(blocks * gradient_sums);
      } else values_down = words(blocks * down_words);
    }
    constexpr Index words(Index count) {
      return std::exchange(bytes, bytes + static_cast<Index>(Workspace::bytes_of<Word>(count)));
    }
    constexpr Index keys_of(Index b) const { return std::min(block, keys - b * block); }
  };

  /// What one thread works with.
  struct Thread {
    const Plan& plan;
    const AttentionOperands<T>& in;
    std::byte* memory;
    Word* words(Index at) const { return reinterpret_cast<Word*>(memory + at); }
    Sum* sums(Index at) const { return reinterpret_cast<Sum*>(memory + at); }
    T* values(Index at) const { return reinterpret_cast<T*>(memory + at); }
  };
  /// One group and head.
  struct Item {
    Index head, column, base_q, base_k;
    Item(const AttentionOperands<T>& in, Index item)
        : head(item % in.heads),
          column(head * in.D),
          base_q(in.rows.query_group(item / in.heads)),
          base_k(in.rows.key_group(item / in.heads)) {}
  };

  template <class Pack>
  static void each_block(const Thread& t, Spaced<const T> rows, const Item& item, const Pack& pack);
  static void pack_across(const Thread& t, Index to, Spaced<const T> rows, const Item& item);
  static void pack_down(const Thread& t, Index to, Spaced<const T> rows, const Item& item);
  static void take_tile(const Thread& t, Index to, Spaced<const T> rows, const Item& item, Index first, Index count);
  static void mix_block(const Thread& t, Index b, Index count, Sum log2_scale);
  static void weigh(const Thread& t, Index i, Index keys, Index b, Sum log2_scale);
  static void slope_block(const Thread& t, Index b, Index count, Sum log2_scale, bool add);
  static void slope(const Thread& t, Index i, Index keys, Sum log2_scale);
};

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel

#ifndef WU_PRECOMPILED
#include "wu/cpu/tiled_attention_kernel.hpp"
#endif
