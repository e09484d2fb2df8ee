// Shapes of published generators, ready to use: the type, and what of a configuration is no part of it.
//     using Generator = wu::shapes::HyWu::Generator;
// wu_add_generator() (cmake/wu-add-generator.cmake) writes such a struct for any other from its config.json.
#pragma once

#include <string_view>

#include "wu/generator/generator.hpp"

namespace wu::shapes {

/// The generator published with HY-WU, which writes adapters for HunyuanImage 3.0, at its full width, for so many layers of the
/// backbone and with so many blocks.                                                     Tencent-Hunyuan/HY-WU, config.json
template <Index BackboneLayers, Index GeneratorBlocks>
struct HyWuOf {
  /// The adapted modules in the order of the checkpoint's `pg_mapping`.
  using Layers = AdaptedLayers<
      BackboneLayers, Adapted<"self_attn.qkv_proj", 4096, 6144>, Adapted<"self_attn.o_proj", 4096, 4096>,
      Adapted<"mlp.shared_mlp.gate_and_up_proj", 4096, 6144>, Adapted<"mlp.shared_mlp.down_proj", 3072, 4096>,
      AdaptedExperts<"mlp.experts", 64, Adapted<"w1", 4096, 3072>, Adapted<"w2", 3072, 4096>, Adapted<"w3", 4096, 3072>>>;
  /// Rank 16, tokens of width 1024.
  using Tokens = typename Tokenizer<16, 1024>::template of<Layers>;
  /// Width 4096, 32 heads.
  using Generator =
      wu::Generator<Tokens, Width<4096>, HeadWidth<128>, Blocks<GeneratorBlocks>, JoinedRanks<4>, ConditionWidth<4096>>;
  /// Of adapters' names, before the layer's number.
  static constexpr std::string_view prefix = "model.layers.";
  /// An adapter's product is scaled by alpha / rank.
  static constexpr double alpha = 64;
};

/// As it was published: 8.1e9 parameters.
using HyWu = HyWuOf<32, 24>;

static_assert(HyWu::Generator::parameter_count == 8'096'647'168);
static_assert(HyWu::Tokens::tokens_per_layer == 1379 && HyWu::Tokens::values == 722'993'152);

}  // namespace wu::shapes
