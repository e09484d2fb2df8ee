// A small image encoder:  features = Blocks(patches W^T + b + position).   image: (b, Size, Size, 3)   features: (b, L, C)
// L = (Size / Patch)^2.                                                                  Dosovitskiy et al. 2021, section 3.1
#pragma once

#include <array>

#include "wu/nn/encoder_block.hpp"
#include "wu/nn/initialise.hpp"
#include "wu/nn/recompute.hpp"
#include "wu/ops/patches.hpp"

namespace wu::condition {

/// Size and Patch: pixels along a side; C: width of the features; N: blocks.
template <Index Size, Index Patch, Index C, Index HeadWidth, Index N>
struct ImageEncoder {
  static_assert(fits<(Size % Patch == 0), "ImageEncoder: patches of ", Patch, " pixels do not divide an image of ", Size,
                     "; give a divisor of it">);
  static constexpr Index size = Size, length = (Size / Patch) * (Size / Patch), width = C, patch_width = Patch * Patch * 3;
  /// One of the N blocks.
  using Block = EncoderBlock<C, HeadWidth>;

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    typename Linear<patch_width, C>::template Parameters<T> patch;
    View<T, length, C> position;
    std::array<typename Block::template Parameters<T>, static_cast<std::size_t>(N)> blocks;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      at("patch", patch);
      at("position.weight", position);
      at("blocks", blocks);
    }
  };

  /// What backward needs, in the workspace until the caller's scope ends. Keep: SaveBlocks or RecomputeBlocks.
  template <class T, class Keep = SaveBlocks>
  struct Saved {
    View<T, dyn, patch_width> patches;
    std::array<typename Keep::template of<Block>::template Saved<T>, static_cast<std::size_t>(N)> blocks;
  };
  /// What forward takes from the workspace and keeps.
  template <class T, class Keep = SaveBlocks>
  static constexpr std::size_t saved_bytes(Index batch) {
    const Index rows = batch * length;
    return Workspace::bytes_of<T>(batch * length * patch_width) +
           static_cast<std::size_t>(N + 1) * Workspace::bytes_of<T>(rows * C) +
           static_cast<std::size_t>(N) * Keep::template of<Block>::template saved_bytes<T>(rows);
  }
  /// Floating-point operations of forward in products.
  static constexpr double operations(Index batch) {
    return Linear<patch_width, C>::operations(batch * length) +
           static_cast<double>(N) * Block::operations(batch * length, batch);
  }

  static std::string describe(Index batch = 1) {
    return "ImageEncoder: picture " + text::shape<dyn, Size, Size, 3>() + " in patches of " + text::grouped(Patch) + " × " +
           text::grouped(Patch) + " → features " + text::shape<dyn, length, C>() +
           text::table({{text::counted(N, "block"), Attention<C, HeadWidth>::describe_width() + ", feed-forward " +
                                                        FeedForward<C, 4 * C>::describe_widths()}},
                       2) +
           "\n" + text::weights<ImageEncoder>() + text::parts<ImageEncoder>() + "\n" +
           text::forward("batch " + text::grouped(batch), saved_bytes<float>(batch), operations(batch));
  }

  /// Starting values: matrices normal with variance 1 / fan_in, positions with deviation 0.3.
  template <class T>
  static void initialise(Parameters<T> p, std::uint64_t seed) {
    wu::initialise(p, seed, "image encoder");
    fill_normal(p.position, seed, "image encoder.position", 0.3);
  }

  /// features: (b * length, C)   image: (b, Size, Size, 3). Throws ShapeError on pictures of another size.
  template <class T, class Keep = SaveBlocks>
  static Saved<T, Keep> forward(auto& ctx, Workspace& ws, View<T, dyn, C> features, View<const T, dyn, dyn, dyn, 3> image,
                                const Parameters<const T>& p) {
    const Index batch = image.extent(0);
    if (image.extent(1) != Size || image.extent(2) != Size)
      throw ShapeError(message("image encoder: expected ", Size, " x ", Size, " pixels, found ", image.extent(1), " x ",
                               image.extent(2)));
    Saved<T, Keep> s{ws.take<T, dyn, patch_width>(batch * length), {}};
    auto x = N > 0 ? ws.take<T, dyn, C>(batch * length) : features;
    const auto place = ws.take<T, dyn, C>(batch * length);
    patches_forward(ctx, s.patches, image);
    linear_forward(ctx, x, s.patches, p.patch.weight, p.patch.bias);
    broadcast_rows_forward(ctx, place, View<const T, dyn, C>(p.position.data, length));
    add(ctx, x, as_const(place));
    for (std::size_t i = 0; i < static_cast<std::size_t>(N); ++i) {
      const auto y = i + 1 == static_cast<std::size_t>(N) ? features : ws.take<T, dyn, C>(batch * length);
      s.blocks[i] = Keep::template of<Block>::template forward<T>(ctx, ws, y, x, p.blocks[i], batch);
      x = y;
    }
    return s;
  }

  /// Consumes dfeatures. Pixels get no gradient: nothing before them learns.
  template <class T, class Keep>
  static void backward(auto& ctx, Workspace& ws, const Parameters<accumulator_t<T>>& dp, View<T, dyn, C> dfeatures,
                       const Saved<T, Keep>& s, const Parameters<const T>& p) {
    for (std::size_t i = static_cast<std::size_t>(N); i-- > 0;)
      Keep::template of<Block>::template backward<T>(ctx, ws, dfeatures, dp.blocks[i], s.blocks[i], p.blocks[i],
                                                     dfeatures.rows() / length);
    broadcast_rows_backward(ctx, View<accumulator_t<T>, dyn, C>(dp.position.data, length), as_const(dfeatures));
    linear_backward(ctx, View<T, dyn, patch_width>(), dp.patch.weight, dp.patch.bias, as_const(dfeatures),
                    as_const(s.patches), p.patch.weight);
  }
};

}  // namespace wu::condition
