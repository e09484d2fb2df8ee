// expected: Generator: expected a condition of const float with extents -1, -1, 64 \(-1 is wu::dyn\), as ConditionWidth says, found const float with extents -1, -1, 32
// mistake: The condition is not as wide as the generator reads.
#include "wu/generator/generator.hpp"

using wu::dyn;
#ifdef WU_CORRECTED
constexpr wu::Index width = 64;
#else
constexpr wu::Index width = 32;
#endif
using Tokens = wu::Tokenizer<8, 8>::of<wu::AdaptedLayers<2, wu::Adapted<"attn.qkv", 8, 24>, wu::Adapted<"attn.out", 8, 8>>>;
using Generator =
    wu::Generator<Tokens, wu::Width<48>, wu::HeadWidth<8>, wu::Blocks<2>, wu::JoinedRanks<2>, wu::ConditionWidth<64>>;
void write(wu::reference& ctx, wu::Workspace& ws, wu::Tensor<float, dyn, 2, Tokens::tokens_per_layer, 8, 8>& tokens,
           const wu::Tensor<float, dyn, dyn, width>& condition, const wu::Weights<Generator, float>& weights) {
  Generator::forward<float>(ctx, ws, tokens, condition, weights.frozen());
}
