// expected: expected an array with an axis for every extent of the wu type, 3, found 2
// mistake: An array has other axes than the View that it is to become.
#include "wu/io/arrays.hpp"

#ifdef WU_CORRECTED
using Wanted = wu::View<float, wu::dyn, 3>;
#else
using Wanted = wu::View<float, wu::dyn, 1, 3>;
#endif
void use(xt::xtensor<float, 2>& array) { static_cast<void>(wu::io::as_view<Wanted>(array)); }
