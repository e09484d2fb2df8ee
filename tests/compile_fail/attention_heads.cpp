// expected: attention: expected one lse for each head, \(rows of q, 3\), found \(rows of q, 2\)
// mistake: The memory for log-sum-exp counts other heads than there are.
#include "wu/ops/attention.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index heads = 3;
#else
constexpr wu::Index heads = 2;
#endif
void attend(wu::reference& ctx, wu::Workspace& ws, wu::View<float, wu::dyn, 12> out, wu::View<float, wu::dyn, heads> lse,
            wu::View<const float, wu::dyn, 12> q, const wu::AttentionRows& rows) {
  wu::attention_forward<4>(ctx, ws, out, lse, q, q, q, rows);
}
