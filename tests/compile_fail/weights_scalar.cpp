// expected: expected weights of wu::bfloat16, as the input, found float; convert one of them
// mistake: An operation mixes weights of one scalar type with an input of another.
#include "wu/ops/linear.hpp"

using wu::View, wu::dyn, wu::bfloat16;
#ifdef WU_CORRECTED
using Weight = bfloat16;
#else
using Weight = float;
#endif
void layer(wu::reference& ctx, View<bfloat16, dyn, 7> y, View<const bfloat16, dyn, 6> x, View<const Weight, 7, 6> W,
           View<const Weight, 7> b) {
  wu::linear_forward(ctx, y, x, W, b);
}
