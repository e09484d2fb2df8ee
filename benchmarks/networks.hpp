// The networks that are measured as a whole: about as large as those of the editing demonstration.
#pragma once

#include "wu/backbone/edit_transformer.hpp"
#include "wu/condition/hybrid.hpp"
#include "wu/generator/generator.hpp"

namespace networks {

using namespace wu;

using Backbone = backbone::EditTransformer</*layers*/ 4, /*token width*/ 128, /*pixel width*/ 64, /*head width*/ 32,
                                           /*instruction width*/ 64, /*rank*/ 8, /*adapter token width*/ 128>;
using ImageEncoder = condition::ImageEncoder</*size*/ 64, /*patch*/ 16, /*width*/ 64, /*head width*/ 16, /*blocks*/ 2>;
using TextEncoder =
    condition::TextEncoder</*vocabulary*/ 2048, /*length*/ 24, /*width*/ 64, /*head width*/ 16, /*blocks*/ 1>;
using Condition = condition::Hybrid<ImageEncoder, TextEncoder>;
using SmallGenerator =
    Generator<Backbone::Tokens, Width<64>, HeadWidth<16>, Blocks<2>, JoinedRanks<1>, ConditionWidth<Condition::width>,
              BlockOrder<FactorizedAttention<"self_attn_n", "layer">, FactorizedAttention<"self_attn_rank", "rank">>>;

/// What training changes.
struct Memory {
  template <class T>
  struct Parameters {
    typename Condition::template Parameters<T> condition;
    typename SmallGenerator::template Parameters<T> generator;
    constexpr void visit(auto&& at) { at("condition", condition), at("generator", generator); }
  };
};

}  // namespace networks
