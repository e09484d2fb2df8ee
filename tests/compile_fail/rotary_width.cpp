// expected: FactorizedAttention: a head width of 10 has no even part for each of 2 attended axes; give a multiple of twice their number
// mistake: The head width has no even part for every axis.
#include "wu/generator/grid.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index head_width = 12;
#else
constexpr wu::Index head_width = 10;
#endif
auto axes() { return wu::Grid<wu::Axis<"layer", 3>, wu::Axis<"token", 5>>::rotary<head_width, "layer", "token">(); }
