// expected: linear: W is \(7, 6\), so expected x \(rows, 6\), found \(rows, 5\)
// mistake: The input of a linear layer is not as wide as the layer reads.
#include "wu/nn/linear.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index in = 6;
#else
constexpr wu::Index in = 5;
#endif
using Layer = wu::Linear<6, 7>;
void layer(wu::reference& ctx, wu::View<float, wu::dyn, 7> y, wu::View<const float, wu::dyn, in> x,
           const Layer::Parameters<const float>& p) {
  Layer::forward(ctx, y, x, p);
}
