// A functional memory for a backbone of your own, in a few lines: the shape of what is adapted, a generator for it, adapters
// for a condition, and the adapters at work beside a frozen linear layer.
#include <iostream>
#include <vector>

#include "wu/wu.hpp"

using Shape = wu::AdaptedLayers</*layers*/ 4, wu::Adapted<"attn.qkv", 256, 768>, wu::Adapted<"attn.out", 256, 256>,
                                wu::Adapted<"mlp.up", 256, 1024>, wu::Adapted<"mlp.down", 1024, 256>>;
using Tokens = wu::Tokenizer</*rank*/ 8, /*token width*/ 128>::of<Shape>;
using Generator =
    wu::Generator<Tokens, wu::Width<256>, wu::HeadWidth<32>, wu::Blocks<2>, wu::JoinedRanks<4>, wu::ConditionWidth<64>>;

int main() {
  std::cout << wu::describe<Tokens>() << "\n\n";
  std::cout << wu::describe<Generator>(/*requests*/ 1, /*features*/ 10) << "\n\n";
  wu::cpu::Context cpu({.threads = 2});
  wu::Workspace workspace;
  wu::Weights<Generator, float> weights;
  Generator::initialise<float>(weights.view(), /*seed*/ 1);

  wu::Tensor<float, wu::dyn, wu::dyn, 64> condition(/*requests*/ 1, /*features*/ 10);  // from your encoder: (b, L, width)
  wu::Tensor<float, wu::dyn, 4, Tokens::tokens_per_layer, 8, 128> tokens(1);
  Generator::forward<float>(cpu, workspace, tokens, condition, weights.frozen());

  const std::vector<wu::Index> which{0};  // one sample, which uses the adapters of request 0
  wu::Weights<wu::Linear<256, 768>, float> qkv;
  wu::Tensor<float, wu::dyn, 256> x(/*rows*/ 5);
  wu::Tensor<float, wu::dyn, 768> y(5);
  const auto adapter = Tokens::adapter<"attn.qkv">(wu::as_const(tokens.view()), /*layer*/ 0);
  wu::LoRALinear<256, 768, 8>::forward<float>(cpu, workspace, y, x, qkv.frozen(), adapter, which, /*alpha / rank*/ 2.0);
  std::cout << "y has " << y.size() << " values\n";
}
