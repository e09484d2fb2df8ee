// expected: the array must have as many axes as the wu type has extents
#include "wu/io/arrays.hpp"

#ifdef WU_CORRECTED
using Wanted = wu::View<float, wu::dyn, 3>;
#else
using Wanted = wu::View<float, wu::dyn, 1, 3>;
#endif
void use(xt::xtensor<float, 2>& array) { static_cast<void>(wu::io::as_view<Wanted>(array)); }
