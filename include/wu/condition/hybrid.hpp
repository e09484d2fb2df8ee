// The hybrid condition: image and text features one after the other.                                        paper eq. 6
//     u = [image features; text features]       u: (b, L_image + L_text, C)
#pragma once

#include <span>

#include "wu/core/fits.hpp"

#include "wu/condition/image_encoder.hpp"
#include "wu/condition/text_encoder.hpp"
#include "wu/condition/word_pieces.hpp"
#include "wu/nn/recompute.hpp"
#include "wu/ops/join.hpp"

namespace wu::condition {

namespace detail {
template <Index OfImage, Index OfText>
struct HybridWidth {
  static_assert(fits<(OfImage == OfText), "Hybrid: the image encoder gives features of width ", OfImage,
                     ", the text encoder of width ", OfText, "; give both one width">);
  static constexpr bool value = true;
};
}  // namespace detail

/// Image and Text: encoders with features of one width.
template <class Image, class Text>
struct Hybrid {
  static_assert(detail::HybridWidth<Image::width, Text::width>::value);
  static constexpr Index length = Image::length + Text::length, width = Image::width;

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    typename Image::template Parameters<T> image;
    typename Text::template Parameters<T> text;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      at("image", image);
      at("text", text);
    }
  };
  /// What backward needs, in the workspace until the caller's scope ends. Keep: SaveBlocks or RecomputeBlocks.
  template <class T, class Keep = SaveBlocks>
  struct Saved {
    typename Image::template Saved<T, Keep> image;
    typename Text::template Saved<T, Keep> text;
  };
  /// What forward takes from the workspace and keeps.
  template <class T, class Keep = SaveBlocks>
  static constexpr std::size_t saved_bytes(Index batch) {
    return Workspace::bytes_of<T>(batch * Image::length * width) + Workspace::bytes_of<T>(batch * Text::length * width) +
           Image::template saved_bytes<T, Keep>(batch) + Text::template saved_bytes<T, Keep>(batch);
  }
  /// Floating-point operations of forward in products.
  static constexpr double operations(Index batch) { return Image::operations(batch) + Text::operations(batch); }

  static std::string describe(Index batch = 1) {
    return "Hybrid: condition " + text::shape<dyn, length, width>() + "\n  " + text::indented(Image::describe(batch)) +
           "\n  " + text::indented(Text::describe(batch)) + "\n" + text::weights<Hybrid>() + "\n" +
           text::forward("batch " + text::grouped(batch), saved_bytes<float>(batch), operations(batch));
  }

  /// Starting values of both encoders.
  template <class T>
  static void initialise(Parameters<T> p, std::uint64_t seed) {
    Image::template initialise<T>(p.image, seed);
    Text::template initialise<T>(p.text, seed);
  }

  /// u: (b, length, width)   image: (b, size, size, 3)   pieces: b * Text::length ids. Throws ShapeError on other sizes.
  template <class T, class Keep = SaveBlocks>
  static Saved<T, Keep> forward(auto& ctx, Workspace& ws, View<T, dyn, dyn, width> u, View<const T, dyn, dyn, dyn, 3> image,
                                std::span<const std::int32_t> pieces, const Parameters<const T>& p) {
    const Index batch = image.extent(0);
    if (static_cast<Index>(pieces.size()) != batch * Text::length)
      throw ShapeError(message("hybrid condition: expected ", batch * Text::length, " word pieces for ", batch,
                               " images, found ", pieces.size()));
    if (u.extent(0) != batch || u.extent(1) != length)
      throw ShapeError(message("hybrid condition: expected ", length, " rows of features for each of ", batch,
                               " images, found ", u.extent(1), " for ", u.extent(0)));
    const auto a = ws.take<T, dyn, width>(batch * Image::length), b = ws.take<T, dyn, width>(batch * Text::length);
    Saved<T, Keep> s{Image::template forward<T, Keep>(ctx, ws, a, image, p.image),
                     Text::template forward<T, Keep>(ctx, ws, b, pieces, p.text)};
    join_rows_forward(ctx, u.flat(), as_const(a), as_const(b), batch);
    return s;
  }

  /// du: (b, length, width). Adds to dp. Throws ShapeError on another length.
  template <class T, class Keep>
  static void backward(auto& ctx, Workspace& ws, const Parameters<accumulator_t<T>>& dp, View<const T, dyn, dyn, width> du,
                       const Saved<T, Keep>& s, const Parameters<const T>& p) {
    const Workspace::Scope scope(ws);
    const Index batch = du.extent(0);
    if (du.extent(1) != length)
      throw ShapeError(
          message("hybrid condition: expected the gradient of ", length, " rows of features, found ", du.extent(1)));
    const auto a = ws.take<T, dyn, width>(batch * Image::length), b = ws.take<T, dyn, width>(batch * Text::length);
    join_rows_backward(ctx, a, b, du.flat(), batch);
    Image::template backward<T>(ctx, ws, dp.image, a, s.image, p.image);
    Text::template backward<T>(ctx, ws, dp.text, b, s.text, p.text);
  }
};

}  // namespace wu::condition
