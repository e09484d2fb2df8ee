// The floating-point operations that the generator says a forward pass takes, against what it took. Its bytes: gradient.cpp.
#include <boost/test/unit_test.hpp>

#include "support/counting.hpp"
#include "wu/core/parameters.hpp"
#include "wu/generator/generator.hpp"

namespace {

using namespace wu;
using Shape = AdaptedLayers<3, Adapted<"q", 6, 9>, Adapted<"out", 4, 5>>;
using Tokens = Tokenizer<4, 3>::of<Shape>;

template <class G>
void check(Index batch, Index length) {
  const Weights<G, double> weights;
  const Tensor<double, dyn, dyn, G::input> condition(batch, length);
  Tensor<double, dyn, Tokens::layers, Tokens::tokens_per_layer, Tokens::rank, Tokens::token_width> tokens(batch);
  test::Counting ctx;
  Workspace ws;
  G::template forward<double>(ctx, ws, tokens, condition, weights.frozen());
  BOOST_CHECK_EQUAL(ctx.operations, G::operations(batch, length).total());
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_generator_takes_what_it_says) {
  using Two = Generator<Tokens, Width<12>, HeadWidth<4>, Blocks<2>, JoinedRanks<2>, ConditionWidth<7>>;
  using Paper = Generator<Tokens, Width<24>, HeadWidth<8>, Blocks<1>, JoinedRanks<4>, ConditionWidth<7>, PaperOrder,
                          CrossRotary::paper>;
  for (const Index batch : {1, 3})
    for (const Index length : {1, 5}) check<Two>(batch, length), check<Paper>(batch, length);
}
