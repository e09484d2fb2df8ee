// expected: expected 7 for the last extent of every operand, found 7, 5, 5
// mistake: The gain of a norm is not as wide as its input.
#include "wu/ops/layer_norm.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index width = 7;
#else
constexpr wu::Index width = 5;
#endif
void norm(wu::reference& ctx, wu::View<float, wu::dyn, 7> y, wu::View<float, wu::dyn> each,
          wu::View<const float, wu::dyn, 7> x, wu::View<const float, width> gain) {
  wu::layer_norm_forward(ctx, y, each, each, x, gain, gain);
}
