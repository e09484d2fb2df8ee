// expected: linear backward: W is \(7, 6\), so expected dx \(rows, 6\) and db \(7\), found dx \(rows, 6\) and db \(5\)
// mistake: A gradient has another shape than what it is the gradient of.
#include "wu/ops/linear.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index out = 7;
#else
constexpr wu::Index out = 5;
#endif
void layer(wu::reference& ctx, wu::View<float, wu::dyn, 6> dx, wu::View<float, 7, 6> dW, wu::View<float, out> db,
           wu::View<const float, wu::dyn, 7> dy, wu::View<const float, wu::dyn, 6> x, wu::View<const float, 7, 6> W) {
  wu::linear_backward(ctx, dx, dW, db, dy, x, W);
}
