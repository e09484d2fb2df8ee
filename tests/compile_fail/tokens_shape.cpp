// expected: Generator: expected tokens of float with extents -1, 2, 6, 8, 8 \(-1 is wu::dyn\), as Tokens has them, found float with extents -1, 3, 6, 8, 8
// mistake: The generator is to write tokens of another shape.
#include "wu/generator/generator.hpp"

using wu::dyn;
#ifdef WU_CORRECTED
constexpr wu::Index layers = 2;
#else
constexpr wu::Index layers = 3;
#endif
using Tokens = wu::Tokenizer<8, 8>::of<wu::AdaptedLayers<2, wu::Adapted<"attn.qkv", 8, 24>, wu::Adapted<"attn.out", 8, 8>>>;
using Generator =
    wu::Generator<Tokens, wu::Width<48>, wu::HeadWidth<8>, wu::Blocks<2>, wu::JoinedRanks<2>, wu::ConditionWidth<64>>;
void write(wu::reference& ctx, wu::Workspace& ws, wu::Tensor<float, dyn, layers, Tokens::tokens_per_layer, 8, 8>& tokens,
           const wu::Tensor<float, dyn, dyn, 64>& condition, const wu::Weights<Generator, float>& weights) {
  Generator::forward<float>(ctx, ws, tokens, condition, weights.frozen());
}
