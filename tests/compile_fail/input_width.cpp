// expected: linear: W is \(7, 6\), so expected x \(rows, 6\), found \(rows, 5\)
// mistake: The input of an operation is not as wide as its weights.
#include "wu/ops/linear.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index in = 6;
#else
constexpr wu::Index in = 5;
#endif
void layer(wu::reference& ctx, wu::View<float, wu::dyn, 7> y, wu::View<const float, wu::dyn, in> x,
           wu::View<const float, 7, 6> W, wu::View<const float, 7> b) {
  wu::linear_forward(ctx, y, x, W, b);
}
