// expected: the array and the wu type must have the same extents where both stand in the types
#include "wu/io/arrays.hpp"

#ifdef WU_CORRECTED
using Wanted = wu::Tensor<float, wu::dyn, 5>;
#else
using Wanted = wu::Tensor<float, wu::dyn, 3>;
#endif
auto copy(const xt::xtensor_fixed<double, xt::xshape<4, 5>>& array) { return wu::io::to_tensor<Wanted>(array); }
