// expected: Generator: JoinedRanks 3 does not divide both the rank, 8, and the width, 48; give a divisor of both
// mistake: The joined ranks do not divide the rank.
#include "wu/generator/generator.hpp"

using wu::dyn;
#ifdef WU_CORRECTED
constexpr wu::Index joined = 2;
#else
constexpr wu::Index joined = 3;
#endif
using Tokens = wu::Tokenizer<8, 8>::of<wu::AdaptedLayers<2, wu::Adapted<"attn.qkv", 8, 24>, wu::Adapted<"attn.out", 8, 8>>>;
using Generator =
    wu::Generator<Tokens, wu::Width<48>, wu::HeadWidth<8>, wu::Blocks<2>, wu::JoinedRanks<joined>, wu::ConditionWidth<64>>;
static_assert(Generator::parameter_count > 0);
