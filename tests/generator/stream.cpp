// generate_tokens against Generator::forward: the same tokens for slabs of any size, in the memory that its plan states.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support/gradient_check.hpp"
#include "wu/core/parameters.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/generator/stream.hpp"

namespace {

using namespace wu;

/// 5 layers of 10 tokens and 4 ranks, two ranks to a position: a grid of 5 x 10 x 2.
using Shape = AdaptedLayers<5, Adapted<"up", 5, 7>, Adapted<"down", 7, 5>>;
using Tokens = Tokenizer</*rank*/ 4, /*width*/ 3>::of<Shape>;
static_assert(Tokens::tokens_per_layer == 10);

template <class Order, CrossRotary Positions = CrossRotary::released>
using Tiny = Generator<Tokens, Width<24>, HeadWidth<8>, Blocks<2>, JoinedRanks<2>, ConditionWidth<7>, Order, Positions>;
using Released = Tiny<ReleasedOrder>;
using Paper = Tiny<PaperOrder, CrossRotary::paper>;
/// Attention over one inner axis, over both that are not neighbours, and over nothing but the first.
using Other = Tiny<BlockOrder<FactorizedAttention<"a", "token">, FactorizedAttention<"b", "layer", "rank">,
                              FactorizedAttention<"c", "layer">>>;

constexpr Index length = 6;

template <class T>
std::vector<T> values(Index count, const char* purpose) {
  const auto random = test::random_values(count, purpose);
  std::vector<T> result;
  for (const double v : random) result.push_back(static_cast<T>(v));
  return result;
}

template <class G, class T>
struct Problem {
  Index batch;
  Weights<G, T> weights;
  std::vector<T> condition;
  Tokens::Owned<T> tokens, expected;

  explicit Problem(Index b) : batch(b), condition(values<T>(b * length * G::input, "condition")), tokens(b), expected(b) {
    std::ranges::copy(values<T>(weights.extent, "weights"), weights.flat().begin());
    std::ranges::fill(tokens.span(), static_cast<T>(std::numeric_limits<float>::quiet_NaN()));
  }
  View<const T, dyn, dyn, G::input> input() const { return {condition.data(), batch, length}; }
};

/// The largest difference between streamed tokens and those of forward, relative to the largest token.
template <Index SlabRows, class G, class T>
void check(auto& ctx, Index batch, double tolerance) {
  Problem<G, T> problem(batch);
  Workspace ws, streamed;
  reference slow;
  G::template forward<T>(slow, ws, problem.expected.view(), problem.input(), problem.weights.frozen());
  double before = 0;
  bool in_order = true;
  generate_tokens<G, T, SlabRows>(ctx, streamed, problem.tokens.view(), problem.input(), problem.weights.frozen(),
                                  [&](double share) {
                                    in_order = in_order && share >= before;
                                    before = share;
                                  });
  double largest = 0, worst = 0;
  for (Index k = 0; k < problem.expected.size(); ++k) {
    largest = std::max(largest, std::abs(static_cast<double>(problem.expected[k])));
    worst = std::max(worst, std::abs(static_cast<double>(problem.tokens[k]) - static_cast<double>(problem.expected[k])));
    if (std::isnan(static_cast<double>(problem.tokens[k]))) worst = std::numeric_limits<double>::infinity();
  }
  BOOST_REQUIRE_GT(largest, 0);
  BOOST_CHECK_LE(worst, tolerance * largest);
  BOOST_CHECK(in_order);
  BOOST_CHECK_CLOSE(before, 1.0, 1e-9);
  constexpr StreamPlan plan = stream_plan<G, T, SlabRows>(2, length);
  static_assert(plan.operations == G::operations(2, length).total());
  const StreamPlan now = stream_plan<G, T, SlabRows>(batch, length);
  BOOST_CHECK_EQUAL(now.tokens, static_cast<std::size_t>(problem.tokens.size()) * sizeof(T));
  if constexpr (std::is_same_v<std::remove_reference_t<decltype(ctx)>, reference>) {
    BOOST_CHECK_EQUAL(streamed.peak_bytes(), now.workspace());
  } else {
    constexpr cpu::StreamScratch scratch = cpu::stream_scratch<G, T>(length, 2);
    BOOST_CHECK_LE(streamed.peak_bytes(), now.workspace() + scratch.attention);
    BOOST_CHECK_GT(streamed.peak_bytes(), now.workspace() / 2);
    BOOST_CHECK_EQUAL(ctx.scratch_bytes(), scratch.linear);
  }
}

/// Slabs of part of a layer and of some layers; one token at a time, one layer, and everything besides where `all`.
template <class G, bool all = false>
void check_slabs(auto& ctx, Index batch) {
  check<7, G, double>(ctx, batch, 1e-12);
  check<41, G, double>(ctx, batch, 1e-12);
  if constexpr (all) {
    check<1, G, double>(ctx, batch, 1e-12);
    check<20, G, double>(ctx, batch, 1e-12);
    check<default_slab_rows, G, double>(ctx, batch, 1e-12);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(stream)

BOOST_AUTO_TEST_CASE(released_order) {
  reference slow;
  check_slabs<Released, true>(slow, 1);
  check_slabs<Released, true>(slow, 3);
  cpu::Context fast({.threads = 2});
  check_slabs<Released>(fast, 2);
}

BOOST_AUTO_TEST_CASE(paper_order) {
  reference slow;
  check_slabs<Paper>(slow, 2);
  cpu::Context fast({.threads = 2});
  check_slabs<Paper>(fast, 1);
}

BOOST_AUTO_TEST_CASE(other_orders) {
  reference slow;
  check_slabs<Other>(slow, 2);
  cpu::Context fast({.threads = 2});
  check_slabs<Other>(fast, 2);
}

BOOST_AUTO_TEST_CASE(bfloat16_on_the_cpu_rounds_like_the_reference) {
  cpu::Context fast({.threads = 2});
  check<20, Released, bfloat16>(fast, 2, 0x1p-5);
}

BOOST_AUTO_TEST_CASE(a_prefix_spares_its_work_and_gives_the_same_tokens) {
  cpu::Context ctx({.threads = 2});
  Problem<Paper, double> problem(3);
  const auto p = problem.weights.frozen();
  Workspace ws;
  Paper::forward<double>(ctx, ws, problem.expected.view(), problem.input(), p);
  const auto prefix = Paper::prefix<double>(ctx, ws, p);
  for (int call = 0; call < 2; ++call) {  // it is not used up
    std::ranges::fill(problem.tokens.span(), std::numeric_limits<double>::quiet_NaN());
    Paper::forward<double>(ctx, ws, problem.tokens.view(), problem.input(), prefix, p);
    BOOST_CHECK(std::ranges::equal(problem.tokens.span(), problem.expected.span()));
  }
  double first = 0, last = 0;
  const auto progress = [&](double share) { first = first > 0 ? first : share, last = share; };
  std::ranges::fill(problem.tokens.span(), std::numeric_limits<double>::quiet_NaN());
  generate_tokens<Paper, double, 41>(ctx, ws, problem.tokens.view(), problem.input(), prefix, p, progress);
  for (Index k = 0; k < problem.expected.size(); ++k) BOOST_REQUIRE_SMALL(problem.tokens[k] - problem.expected[k], 1e-12);
  BOOST_CHECK_GE(first, Paper::prefix_operations() / Paper::operations(3, length).total());
  BOOST_CHECK_CLOSE(last, 1.0, 1e-9);
}

BOOST_AUTO_TEST_CASE(what_forward_does_in_front_of_the_first_cross_attention_is_the_prefix) {
  // With another prefix there are other tokens: it is read, and not computed again.
  reference ctx;
  Problem<Released, double> problem(1);
  const auto p = problem.weights.frozen();
  Workspace ws;
  const auto prefix = Released::prefix<double>(ctx, ws, p);
  Released::forward<double>(ctx, ws, problem.expected.view(), problem.input(), prefix, p);
  const Released::Prefix<double> zeros{Tensor<double, dyn, Released::C>(Released::positions)};
  Released::forward<double>(ctx, ws, problem.tokens.view(), problem.input(), zeros, p);
  BOOST_CHECK(!std::ranges::equal(problem.tokens.span(), problem.expected.span()));
  generate_tokens<Released, double>(ctx, ws, problem.tokens.view(), problem.input(), zeros, p);
  BOOST_CHECK(!std::ranges::equal(problem.tokens.span(), problem.expected.span()));
}

BOOST_AUTO_TEST_CASE(keys_made_once_for_a_block_are_those_made_for_every_slab) {
  cpu::Context ctx({.threads = 2});
  Problem<Released, float> problem(2);
  Workspace ws;
  generate_tokens<Released, float, 7, CrossKeys::once_per_slab>(ctx, ws, problem.expected.view(), problem.input(),
                                                                problem.weights.frozen());
  generate_tokens<Released, float, 7, CrossKeys::once_per_block>(ctx, ws, problem.tokens.view(), problem.input(),
                                                                 problem.weights.frozen());
  BOOST_CHECK(std::ranges::equal(problem.tokens.span(), problem.expected.span()));
}

BOOST_AUTO_TEST_CASE(a_batch_of_another_size_is_refused) {
  Problem<Released, float> problem(2);
  Workspace ws;
  reference ctx;
  Tokens::Owned<float> three(3);
  BOOST_CHECK_THROW((generate_tokens<Released, float>(ctx, ws, three.view(), problem.input(), problem.weights.frozen())),
                    ShapeError);
}

BOOST_AUTO_TEST_SUITE_END()
