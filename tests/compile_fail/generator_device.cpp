// expected: expected a device as the first argument, a wu::reference, wu::cpu::Context or wu::cuda::Context, found Gpu
// mistake: The first argument of a module is no device.
#include "wu/generator/generator.hpp"

using wu::dyn;
struct Gpu {};
#ifdef WU_CORRECTED
using Context = wu::reference;
#else
using Context = Gpu;
#endif
using Tokens = wu::Tokenizer<8, 8>::of<wu::AdaptedLayers<2, wu::Adapted<"attn.qkv", 8, 24>, wu::Adapted<"attn.out", 8, 8>>>;
using Generator =
    wu::Generator<Tokens, wu::Width<48>, wu::HeadWidth<8>, wu::Blocks<2>, wu::JoinedRanks<2>, wu::ConditionWidth<64>>;
void write(Context& ctx, wu::Workspace& ws, wu::Tensor<float, dyn, 2, Tokens::tokens_per_layer, 8, 8>& tokens,
           const wu::Tensor<float, dyn, dyn, 64>& condition, const wu::Weights<Generator, float>& weights) {
  Generator::forward<float>(ctx, ws, tokens, condition, weights.frozen());
}
