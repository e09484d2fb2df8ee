// expected: View: expected one number for every wu::dyn among the extents, 2, found 1
// mistake: A View is made with fewer run-time extents than it has.
#include "wu/core/view.hpp"

using wu::View, wu::dyn;
#ifdef WU_CORRECTED
auto pictures(float* memory) { return View<float, dyn, 3, dyn>(memory, 4, 5); }
#else
auto pictures(float* memory) { return View<float, dyn, 3, dyn>(memory, 4); }
#endif
