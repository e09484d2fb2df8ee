// expected: FactorizedAttention: axis token is named twice; name it once
// mistake: Attention goes over an axis twice.
#include "wu/generator/grid.hpp"

using Grid = wu::Grid<wu::Axis<"layer", 3>, wu::Axis<"token", 5>>;
#ifdef WU_CORRECTED
auto rows() { return Grid::attend<"layer", "token">(2); }
#else
auto rows() { return Grid::attend<"token", "token">(2); }
#endif
