// expected: Generator: HeadWidth 20 does not divide the width, 48; give a divisor of it that is a multiple of 4
// mistake: The head width does not divide the width of a generator.
#include "wu/generator/generator.hpp"

using wu::dyn;
#ifdef WU_CORRECTED
constexpr wu::Index head_width = 12;
#else
constexpr wu::Index head_width = 20;
#endif
using Tokens = wu::Tokenizer<8, 8>::of<wu::AdaptedLayers<2, wu::Adapted<"attn.qkv", 8, 24>, wu::Adapted<"attn.out", 8, 8>>>;
using Generator = wu::Generator<Tokens, wu::Width<48>, wu::HeadWidth<head_width>, wu::Blocks<2>, wu::JoinedRanks<2>,
                                wu::ConditionWidth<64>>;
static_assert(Generator::parameter_count > 0);
