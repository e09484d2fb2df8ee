// expected: expected a device as the first argument, a wu::reference, wu::cpu::Context or wu::cuda::Context, found (wu::)?Workspace
// mistake: The first argument of an operation is no device.
#include "wu/core/workspace.hpp"
#include "wu/ops/linear.hpp"

#ifdef WU_CORRECTED
using First = wu::reference;
#else
using First = wu::Workspace;
#endif
void layer(First& ctx, wu::View<float, wu::dyn, 7> y, wu::View<const float, wu::dyn, 6> x, wu::View<const float, 7, 6> W,
           wu::View<const float, 7> b) {
  wu::linear_forward(ctx, y, x, W, b);
}
