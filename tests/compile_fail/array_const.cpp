// expected: as_view: expected an array of float, as the View, found one of const float, which cannot be written; ask for a View of const
// mistake: An array that may only be read is to become a View that can be written.
#include "wu/io/arrays.hpp"

#ifdef WU_CORRECTED
using Wanted = wu::View<const float, wu::dyn, 3>;
#else
using Wanted = wu::View<float, wu::dyn, 3>;
#endif
void use(const xt::xtensor<float, 2>& array) { static_cast<void>(wu::io::as_view<Wanted>(array)); }
