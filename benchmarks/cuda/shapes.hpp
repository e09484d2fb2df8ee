// The generators that are measured, and one with the same parts that a processor can run.
#pragma once

#include "wu/generator/shapes.hpp"

namespace gpu_works {

using wu::Adapted;

/// 17 layers of 10 tokens.
using TinyModel = wu::Generator<
    wu::Tokenizer</*rank*/ 8, /*width*/ 16>::of<wu::AdaptedLayers<17, Adapted<"up", 24, 40>, Adapted<"down", 40, 24>>>,
    wu::Width<32>, wu::HeadWidth<16>, wu::Blocks<2>, wu::JoinedRanks<4>, wu::ConditionWidth<32>>;
static_assert(TinyModel::h == 10 && TinyModel::Tokens::tokens_A == 5);

/// 12 blocks of width 2048 for 32 layers of 48 tokens, rank 16, token width 256.
using MiddleModel = wu::Generator<
    wu::Tokenizer<16, 256>::of<wu::AdaptedLayers<32, Adapted<"attn.qkv", 1024, 3072>, Adapted<"attn.out", 1024, 1024>,
                                                 Adapted<"mlp.up", 1024, 2048>, Adapted<"mlp.down", 2048, 1024>>>,
    wu::Width<2048>, wu::HeadWidth<128>, wu::Blocks<12>, wu::JoinedRanks<4>, wu::ConditionWidth<2048>>;
static_assert(MiddleModel::h == 48 && MiddleModel::Tokens::tokens_A == 20);

using ReleasedModel = wu::shapes::HyWu::Generator;

}  // namespace gpu_works
