// expected: expected a View, whose rows lie one after the other in memory, found (wu::)?Columns<const float, 3>; copy Columns of a wider matrix into a View first
// mistake: An operation that reads whole rows is given columns of a wider matrix.
#include "wu/ops/rms_norm.hpp"

using wu::View, wu::dyn;
void norm(wu::reference& ctx, View<float, dyn, 3> y, View<float, dyn> inv_rms, View<const float, dyn, 9> qkv,
          View<const float, dyn, 3> q, View<const float, 3> gain) {
#ifdef WU_CORRECTED
  static_cast<void>(qkv);
  wu::rms_norm_forward(ctx, y, inv_rms, q, gain);
#else
  static_cast<void>(q);
  wu::rms_norm_forward(ctx, y, inv_rms, wu::columns<3, 3>(qkv), gain);
#endif
}
