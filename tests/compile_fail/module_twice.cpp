// expected: AdaptedLayers: module mlp.up is listed twice; list it once, or give one of the two another name
// mistake: A module is listed twice.
#include "wu/generator/adapted.hpp"

#ifdef WU_CORRECTED
using Shape = wu::AdaptedLayers<2, wu::Adapted<"mlp.up", 8, 16>, wu::Adapted<"mlp.down", 16, 8>>;
#else
using Shape = wu::AdaptedLayers<2, wu::Adapted<"mlp.up", 8, 16>, wu::Adapted<"mlp.up", 16, 8>>;
#endif
static_assert(Shape::module_count == 2);
