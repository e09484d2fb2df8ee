// The products of those networks, counted from their sizes.
#pragma once

#include "networks.hpp"
#include "wu/benchmark.hpp"

namespace networks {

using namespace wu::bench;

/// The patches' projection, whose pixels get no gradient, and the blocks.
template <class Encoder>
constexpr Products image_encoder_products(Index b, Index blocks) {
  const Work patch = multiply_adds(b, Encoder::length, Encoder::patch_width, Encoder::width);
  return Products{patch, {}, {}} +
         static_cast<double>(blocks) * encoder_block_products(Encoder::length, b, Encoder::width, 4 * Encoder::width);
}
template <class Encoder>
constexpr Products text_encoder_products(Index b, Index blocks) {
  return static_cast<double>(blocks) * encoder_block_products(Encoder::length, b, Encoder::width, 4 * Encoder::width);
}
constexpr Products condition_products(Index b) {
  return image_encoder_products<ImageEncoder>(b, 2) + text_encoder_products<TextEncoder>(b, 1);
}

/// Four adapted layers and attention among the tokens of each of b pictures; the modulation, from b rows, learns nothing and
/// passes nothing on.
constexpr Products token_block_products(Index b, Index tokens, Index W, Index hidden, Index rank) {
  const Index n = b * tokens;
  return lora_linear_products(n, W, 3 * W, rank) + lora_linear_products(n, W, W, rank) +
         lora_linear_products(n, W, hidden, rank) + lora_linear_products(n, hidden, W, rank) +
         static_cast<double>(b) * attention_products(tokens, tokens, W);
}
constexpr Work token_block_modulation(Index b, Index W) { return multiply_adds(b, W, 6 * W); }

/// Three adapted layers and a 5 x 5 filter for each channel. Interpolation is not counted.
constexpr Products pixel_block_products(Index pixels, Index tokens, Index W, Index P, Index hidden, Index rank) {
  return lora_linear_products(tokens, W, 2 * P, rank) + Products{multiply_adds(pixels, P, 25), {}, {}} +
         lora_linear_products(pixels, P, hidden, rank) + lora_linear_products(pixels, hidden, P, rank);
}

/// The frozen backbone with adapters, on b pictures of side x side. Backward: what enters at pixel.in gets no gradient.
template <class Net>
struct BackboneWork {
  Work forward, backward;
};
template <class Net>
constexpr BackboneWork<Net> backbone_work(Index b, Index side) {
  constexpr Index R = Net::Tokens::rank, W = Net::W, P = Net::P;
  const Index pixels = b * (side / 2) * (side / 2), per_picture = (side / Net::token_pixels) * (side / Net::token_pixels),
              tokens = b * per_picture;
  const Products layer = lora_linear_products(pixels, Net::inputs, P, R) + lora_linear_products(tokens, P, W, R) +
                         token_block_products(b, per_picture, W, Net::token_hidden, R) +
                         pixel_block_products(pixels, tokens, W, P, Net::pixel_hidden, R) +
                         lora_linear_products(pixels, P, Net::outputs, R);
  const Work saved_at_input = multiply_adds(pixels, Net::inputs, P) + multiply_adds(pixels, R, Net::inputs);
  const double layers = static_cast<double>(Net::layers);
  return {layers * (layer.forward() + token_block_modulation(b, W)) +
              multiply_adds(b, Net::time_width + Net::instruction_width, W),
          layers * (layer.backward() + -1.0 * saved_at_input)};
}

// The counts are those of the networks themselves, which tests compare with what a forward pass does.
static_assert(condition_products(3).forward().operations == Condition::operations(3));
static_assert(backbone_work<Backbone>(3, 64).forward.operations == Backbone::operations(3, 64, 64));

}  // namespace networks
