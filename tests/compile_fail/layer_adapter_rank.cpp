// expected: expected an adapter of rank 8, as the layer, found rank 4; give layer and tokenizer one rank
// mistake: A layer is given an adapter of another rank.
#include "wu/nn/linear.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index rank = 8;
#else
constexpr wu::Index rank = 4;
#endif
using Layer = wu::LoRALinear<5, 7, 8>;
void layer(wu::reference& ctx, wu::Workspace& ws, wu::View<float, wu::dyn, 7> y, wu::View<const float, wu::dyn, 5> x,
           const Layer::Parameters<const float>& p, wu::AdapterView<const float, 5, 7, rank> adapter,
           std::span<const wu::Index> which) {
  Layer::forward<float>(ctx, ws, y, x, p, adapter, which, 1.0);
}
