// expected: expected adapters of the tokenizer of this backbone, tokens \(b, 2, [0-9]+, 4, 16\), found those of another, \(b, 2, [0-9]+, 8, 16\); use the Tokens of the backbone for both
// mistake: A backbone is given the adapters of another tokenizer.
#include "wu/backbone/edit_transformer.hpp"

using wu::View, wu::dyn;
using Backbone = wu::backbone::EditTransformer<2, 16, 8, 8, 12, /*rank*/ 4, 16>;
#ifdef WU_CORRECTED
using Tokens = Backbone::Tokens;
#else
using Tokens = wu::Tokenizer</*rank*/ 8, 16>::of<Backbone::Shape>;
#endif
void edit(wu::reference& ctx, wu::Workspace& ws, View<float, dyn, dyn, dyn, 3> edited, View<const float, dyn, dyn, dyn, 3> x,
          std::span<const double> times, View<const float, dyn, 12> instruction, const Backbone::Parameters<const float>& p,
          const wu::backbone::Adapters<Tokens, float>& adapters) {
  Backbone::forward<float>(ctx, ws, edited, x, x, times, instruction, p, adapters);
}
