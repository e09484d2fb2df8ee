// expected: Generator: expected weights of const float, found weights of const double
// mistake: The generator runs in one scalar type, its weights are of another.
#include "wu/generator/generator.hpp"

using wu::dyn;
#ifdef WU_CORRECTED
using Scalar = float;
#else
using Scalar = double;
#endif
using Tokens = wu::Tokenizer<8, 8>::of<wu::AdaptedLayers<2, wu::Adapted<"attn.qkv", 8, 24>, wu::Adapted<"attn.out", 8, 8>>>;
using Generator =
    wu::Generator<Tokens, wu::Width<48>, wu::HeadWidth<8>, wu::Blocks<2>, wu::JoinedRanks<2>, wu::ConditionWidth<64>>;
void write(wu::reference& ctx, wu::Workspace& ws, wu::Tensor<float, dyn, 2, Tokens::tokens_per_layer, 8, 8>& tokens,
           const wu::Tensor<float, dyn, dyn, 64>& condition, const wu::Weights<Generator, Scalar>& weights) {
  Generator::forward<float>(ctx, ws, tokens, condition, weights.frozen());
}
