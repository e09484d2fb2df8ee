// The floating-point operations that the generator says a forward pass takes, and the workspace of a whole step, against what they
// took. The bytes that are kept: gradient.cpp.
#include <boost/test/unit_test.hpp>

#include <array>

#include "support/counting.hpp"
#include "wu/core/parameters.hpp"
#include "wu/cpu/cpu.hpp"
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

/// A workspace of the bytes that were counted is neither too small nor larger than it must be.
template <class T>
void check_workspace(Index batch, Index length, int threads) {
  using G = Generator<Tokens, Width<24>, HeadWidth<8>, Blocks<2>, JoinedRanks<2>, ConditionWidth<7>>;
  const std::size_t bytes = G::workspace_bytes<T>(batch, length, cpu::Scratch{threads});
  cpu::Context ctx({.threads = threads});
  const Weights<G, T> weights;
  Weights<G, accumulator_t<T>> gradients;
  const Tensor<T, dyn, dyn, G::input> condition(batch, length);
  Tensor<T, dyn, dyn, G::input> dcondition(batch, length);
  typename Tokens::template Owned<T> tokens(batch);
  Workspace ws(bytes);
  const auto saved = G::template forward<T>(ctx, ws, tokens.view(), condition, weights.frozen());
  G::template backward<T>(ctx, ws, dcondition, gradients.view(), as_const(tokens.view()), saved, weights.frozen());
  BOOST_CHECK_EQUAL(ws.allocations(), 1u);
  BOOST_CHECK_EQUAL(ws.peak_bytes(), bytes);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_workspace_of_the_bytes_counted_is_filled_and_does_not_grow) {
  for (const auto& [batch, length, threads] : {std::array<Index, 3>{1, 5, 1}, std::array<Index, 3>{3, 100, 3}}) {
    check_workspace<float>(batch, length, static_cast<int>(threads));
    check_workspace<bfloat16>(batch, length, static_cast<int>(threads));
  }
  // From the type alone, before anything runs.
  using Large = Generator<Tokens, Width<512>, HeadWidth<64>, Blocks<8>, JoinedRanks<4>, ConditionWidth<7>>;
  static_assert(4 * Large::workspace_bytes<float, RecomputeBlocks>(8, 64, cpu::Scratch{2}) <
                Large::workspace_bytes<float>(8, 64, cpu::Scratch{2}));
}

BOOST_AUTO_TEST_CASE(the_generator_takes_what_it_says) {
  using Two = Generator<Tokens, Width<12>, HeadWidth<4>, Blocks<2>, JoinedRanks<2>, ConditionWidth<7>>;
  using Paper = Generator<Tokens, Width<24>, HeadWidth<8>, Blocks<1>, JoinedRanks<4>, ConditionWidth<7>, PaperOrder,
                          CrossRotary::paper>;
  for (const Index batch : {1, 3})
    for (const Index length : {1, 5}) check<Two>(batch, length), check<Paper>(batch, length);
}
