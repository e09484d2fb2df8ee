// expected: Attention: the head width must divide the model width
#include "wu/nn/attention.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index head_width = 8;
#else
constexpr wu::Index head_width = 12;
#endif
static_assert(wu::Attention<32, head_width>::heads > 0);
