// expected: expected an array of extents -1, ?3 \(-1 is wu::dyn\), as the wu type, found 4, ?5
// mistake: An array has other extents than the Tensor that it is to become.
#include "wu/io/arrays.hpp"

#ifdef WU_CORRECTED
using Wanted = wu::Tensor<float, wu::dyn, 5>;
#else
using Wanted = wu::Tensor<float, wu::dyn, 3>;
#endif
auto copy(const xt::xtensor_fixed<double, xt::xshape<4, 5>>& array) { return wu::io::to_tensor<Wanted>(array); }
