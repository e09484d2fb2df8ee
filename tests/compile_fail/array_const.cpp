// expected: as_view: this array cannot be written; ask for a View<const T, \.\.\.>
#include "wu/io/arrays.hpp"

#ifdef WU_CORRECTED
using Wanted = wu::View<const float, wu::dyn, 3>;
#else
using Wanted = wu::View<float, wu::dyn, 3>;
#endif
void use(const xt::xtensor<float, 2>& array) { static_cast<void>(wu::io::as_view<Wanted>(array)); }
