// expected: FactorizedAttention: the grid has no axis named rank; name some of layer, token
// mistake: Attention goes over an axis that the grid does not have.
#include "wu/generator/grid.hpp"

using Grid = wu::Grid<wu::Axis<"layer", 3>, wu::Axis<"token", 5>>;
#ifdef WU_CORRECTED
auto rows() { return Grid::attend<"layer", "token">(2); }
#else
auto rows() { return Grid::attend<"layer", "rank">(2); }
#endif
