// expected: Tokenizer::adapter: no adapted module is named attn.proj; name one of attn.qkv, attn.out
// mistake: The name of a module is not in the list.
#include "wu/generator/tokenizer.hpp"

using Tokens = wu::Tokenizer<4, 8>::of<wu::AdaptedLayers<2, wu::Adapted<"attn.qkv", 8, 24>, wu::Adapted<"attn.out", 8, 8>>>;
#ifdef WU_CORRECTED
auto adapter(Tokens::Tokens<const float> tokens) { return Tokens::adapter<"attn.out">(tokens, 0); }
#else
auto adapter(Tokens::Tokens<const float> tokens) { return Tokens::adapter<"attn.proj">(tokens, 0); }
#endif
