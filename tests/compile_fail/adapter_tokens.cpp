// expected: Tokenizer::adapter: expected tokens of extents -1, 2, 4, 8, 8 \(-1 is wu::dyn\), found -1, 3, 4, 8, 8
// mistake: An adapter is looked for in the tokens of another tokenizer.
#include "wu/generator/tokenizer.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index layers = 2;
#else
constexpr wu::Index layers = 3;
#endif
using Tokens = wu::Tokenizer<8, 8>::of<wu::AdaptedLayers<2, wu::Adapted<"attn.qkv", 8, 24>>>;
auto adapter(wu::View<const float, wu::dyn, layers, Tokens::tokens_per_layer, 8, 8> tokens) {
  return Tokens::adapter<"attn.qkv">(tokens, 0);
}
