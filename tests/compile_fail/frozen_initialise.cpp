// expected: Generator: expected weights of float, found weights of const float; wu::Weights<Generator, T> has view\(\) to write and frozen\(\) to read
// mistake: Frozen weights are initialised.
#include "wu/generator/generator.hpp"

using wu::dyn;
using Tokens = wu::Tokenizer<8, 8>::of<wu::AdaptedLayers<2, wu::Adapted<"attn.qkv", 8, 24>, wu::Adapted<"attn.out", 8, 8>>>;
using Generator =
    wu::Generator<Tokens, wu::Width<48>, wu::HeadWidth<8>, wu::Blocks<2>, wu::JoinedRanks<2>, wu::ConditionWidth<64>>;
void start(wu::Weights<Generator, float>& weights) {
#ifdef WU_CORRECTED
  Generator::initialise<float>(weights.view(), /*seed*/ 1);
#else
  Generator::initialise<float>(weights.frozen(), /*seed*/ 1);
#endif
}
