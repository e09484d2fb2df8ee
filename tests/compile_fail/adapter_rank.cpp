// expected: lora: the adapter has rank 4, so expected x A\^T \(rows, 4\), found \(rows, 8\); give both one rank
// mistake: The low-rank product is given memory of another rank than the adapter has.
#include "wu/ops/lora.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index rank = 4;
#else
constexpr wu::Index rank = 8;
#endif
void layer(wu::reference& ctx, wu::Workspace& ws, wu::View<float, wu::dyn, 7> y, wu::View<float, wu::dyn, rank> xa,
           wu::View<const float, wu::dyn, 5> x, wu::AdapterView<const float, 5, 7, 4> adapter,
           std::span<const wu::Index> which) {
  wu::lora_forward(ctx, ws, y, xa, x, adapter, which, 1.0);
}
