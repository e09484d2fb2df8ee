// expected: Hybrid: the image encoder gives features of width 16, the text encoder of width 24; give both one width
// mistake: The encoders of a hybrid condition give features of different width.
#include "wu/condition/hybrid.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index width = 16;
#else
constexpr wu::Index width = 24;
#endif
using Image = wu::condition::ImageEncoder<32, 8, 16, 8, 1>;
using Text = wu::condition::TextEncoder<100, 12, width, 8, 1>;
static_assert(wu::condition::Hybrid<Image, Text>::width == 16);
