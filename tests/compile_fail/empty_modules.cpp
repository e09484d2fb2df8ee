// expected: AdaptedLayers: expected at least 1 module, as wu::Adapted<name, In, Out>, found none
// mistake: The list of modules is empty.
#include "wu/generator/adapted.hpp"

#ifdef WU_CORRECTED
using Shape = wu::AdaptedLayers<2, wu::Adapted<"mlp.up", 8, 16>>;
#else
using Shape = wu::AdaptedLayers<2>;
#endif
static_assert(Shape::layers == 2);
