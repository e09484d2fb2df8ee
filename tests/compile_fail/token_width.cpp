// expected: Tokenizer: a token width of 6 does not divide every adapted width, which Layout::rank_anchored needs; give wu::gcd_width<Shape>, 8, or a divisor of it, or Layout::flat
// mistake: A rank-anchored token width does not divide every adapted width.
#include "wu/generator/tokenizer.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index token_width = 4;
#else
constexpr wu::Index token_width = 6;
#endif
using Shape = wu::AdaptedLayers<2, wu::Adapted<"attn.qkv", 8, 24>, wu::Adapted<"attn.out", 8, 8>>;
using Tokens = wu::Tokenizer<4, token_width, wu::Layout::rank_anchored>::of<Shape>;
static_assert(Tokens::layers == 2);
