// A small text encoder:  features = Blocks(table[pieces] + position).      pieces: (b, Length)   features: (b, Length, C)
#pragma once

#include <array>
#include <span>

#include "wu/nn/encoder_block.hpp"
#include "wu/nn/initialise.hpp"
#include "wu/nn/recompute.hpp"
#include "wu/ops/embedding.hpp"

namespace wu::condition {

/// Vocabulary: rows of the table; Length: pieces of a text; C: width of the features; N: blocks.
template <Index Vocabulary, Index Length, Index C, Index HeadWidth, Index N>
struct TextEncoder {
  static constexpr Index vocabulary = Vocabulary, length = Length, width = C;
  /// One of the N blocks.
  using Block = EncoderBlock<C, HeadWidth>;

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    View<T, Vocabulary, C> table;
    View<T, Length, C> position;
    std::array<typename Block::template Parameters<T>, static_cast<std::size_t>(N)> blocks;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      at("table.weight", table);
      at("position.weight", position);
      at("blocks", blocks);
    }
  };

  /// What backward needs, in the workspace until the caller's scope ends. Keep: SaveBlocks or RecomputeBlocks.
  template <class T, class Keep = SaveBlocks>
  struct Saved {
    std::span<const std::int32_t> pieces;
    std::array<typename Keep::template of<Block>::template Saved<T>, static_cast<std::size_t>(N)> blocks;
  };
  /// What forward takes from the workspace and keeps.
  template <class T, class Keep = SaveBlocks>
  static constexpr std::size_t saved_bytes(Index batch) {
    const Index rows = batch * Length;
    return static_cast<std::size_t>(N + 1) * Workspace::bytes_of<T>(rows * C) +
           static_cast<std::size_t>(N) * Keep::template of<Block>::template saved_bytes<T>(rows);
  }
  /// Floating-point operations of forward in products.
  static constexpr double operations(Index batch) {
    return static_cast<double>(N) * Block::operations(batch * Length, batch);
  }

  static std::string describe(Index batch = 1) {
    return "TextEncoder: " + text::counted(Length, "piece") + " of a vocabulary of " + text::grouped(Vocabulary) +
           " → features " + text::shape<dyn, Length, C>() +
           text::table({{text::counted(N, "block"), Attention<C, HeadWidth>::describe_width() + ", feed-forward " +
                                                        FeedForward<C, 4 * C>::describe_widths()}},
                       2) +
           "\n" + text::weights<TextEncoder>() + text::parts<TextEncoder>() + "\n" +
           text::forward("batch " + text::grouped(batch), saved_bytes<float>(batch), operations(batch));
  }

  /// Starting values: matrices normal with variance 1 / fan_in, the table standard normal, positions with deviation 0.3.
  template <class T>
  static void initialise(Parameters<T> p, std::uint64_t seed) {
    wu::initialise(p, seed, "text encoder");
    fill_normal(p.table, seed, "text encoder.table", 1);
    fill_normal(p.position, seed, "text encoder.position", 0.3);
  }

  /// pieces: b * Length ids, as word_pieces() makes them. They must outlive the backward pass.
  template <class T, class Keep = SaveBlocks>
  static Saved<T, Keep> forward(auto& ctx, Workspace& ws, View<T, dyn, C> features, std::span<const std::int32_t> pieces,
                                const Parameters<const T>& p) {
    const Index batch = static_cast<Index>(pieces.size()) / Length;
    Saved<T, Keep> s{pieces, {}};
    auto x = N > 0 ? ws.take<T, dyn, C>(batch * Length) : features;
    const auto place = ws.take<T, dyn, C>(batch * Length);
    embedding_forward(ctx, x, pieces, p.table);
    broadcast_rows_forward(ctx, place, View<const T, dyn, C>(p.position.data, Length));
    add(ctx, x, as_const(place));
    for (std::size_t i = 0; i < static_cast<std::size_t>(N); ++i) {
      const auto y = i + 1 == static_cast<std::size_t>(N) ? features : ws.take<T, dyn, C>(batch * Length);
      s.blocks[i] = Keep::template of<Block>::template forward<T>(ctx, ws, y, x, p.blocks[i], batch);
      x = y;
    }
    return s;
  }

  /// Consumes dfeatures.
  template <class T, class Keep>
  static void backward(auto& ctx, Workspace& ws, const Parameters<accumulator_t<T>>& dp, View<T, dyn, C> dfeatures,
                       const Saved<T, Keep>& s, const Parameters<const T>& p) {
    for (std::size_t i = static_cast<std::size_t>(N); i-- > 0;)
      Keep::template of<Block>::template backward<T>(ctx, ws, dfeatures, dp.blocks[i], s.blocks[i], p.blocks[i],
                                                     dfeatures.rows() / length);
    broadcast_rows_backward(ctx, View<accumulator_t<T>, dyn, C>(dp.position.data, Length), as_const(dfeatures));
    embedding_backward(ctx, dp.table, as_const(dfeatures), s.pieces);
  }
};

}  // namespace wu::condition
