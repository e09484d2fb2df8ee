// expected: Tensor: expected one number for every wu::dyn among the extents, 2, found 1
// mistake: A Tensor is made with fewer run-time extents than it has.
#include "wu/core/buffer.hpp"

using wu::Tensor, wu::dyn;
#ifdef WU_CORRECTED
auto pictures() { return Tensor<float, dyn, 3, dyn>(4, 5); }
#else
auto pictures() { return Tensor<float, dyn, 3, dyn>(4); }
#endif
