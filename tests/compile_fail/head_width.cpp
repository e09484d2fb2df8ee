// expected: Attention: a head width of 12 does not divide the model width, 32; give a divisor of it
// mistake: The head width does not divide the width of an attention.
#include "wu/nn/attention.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index head_width = 8;
#else
constexpr wu::Index head_width = 12;
#endif
static_assert(wu::Attention<32, head_width>::heads > 0);
