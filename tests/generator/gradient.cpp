// The generator's gradients for orders of attention that no file has numbers for, and its first step of training.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "support/gradient_check.hpp"
#include "wu/core/parameters.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/generator/generator.hpp"
#include "wu/nn/linear.hpp"

namespace {

using namespace wu;

/// 3 layers of 10 tokens and 4 ranks, two ranks to a position: a grid of 3 x 10 x 2. The last token of down.A and of up.B is
/// part padding.
using Shape = AdaptedLayers<3, Adapted<"up", 5, 7>, Adapted<"down", 7, 5>>;
using Tokens = Tokenizer</*rank*/ 4, /*width*/ 3>::of<Shape>;
template <class... Attentions>
using Tiny =
    Generator<Tokens, Width<12>, HeadWidth<4>, Blocks<1>, JoinedRanks<2>, ConditionWidth<7>, BlockOrder<Attentions...>>;
static_assert(Tokens::tokens_per_layer == 10);

using OneAxisEach = Tiny<FactorizedAttention<"over_layers", "layer">, FactorizedAttention<"over_tokens", "token">,
                         FactorizedAttention<"over_ranks", "rank">>;
/// Positions of one group lie 20 rows and 1 row apart, with other groups' rows between them.
using NotContiguous = Tiny<FactorizedAttention<"over_layers_and_ranks", "layer", "rank">>;

constexpr Index batch = 2, length = 5;

template <class G>
struct Problem {
  Weights<G, double> weights, gradients;
  std::vector<double> condition = test::random_values(batch * length * G::input, "condition"),
                      tokens = test::poisoned(batch * Tokens::values),
                      dcondition = test::poisoned(batch * length * G::input);
  Workspace ws;
  reference ctx;

  auto forward() {
    return G::template forward<double>(ctx, ws, {tokens.data(), batch},
                                       View<const double, dyn, dyn, G::input>(condition.data(), batch, length),
                                       weights.frozen());
  }
  void backward(std::span<const double> dtokens, const auto& saved) {
    G::template backward<double>(ctx, ws, View<double, dyn, dyn, G::input>(dcondition.data(), batch, length),
                                 gradients.view(), {dtokens.data(), batch}, saved, weights.frozen());
  }
};

/// Every weight by its name, and the condition. `attentions` names the fields that have to be among them.
template <class G>
void check(const std::vector<std::string>& attentions) {
  Problem<G> problem;
  std::ranges::copy(test::random_values(problem.weights.extent, "weights"), problem.weights.flat().begin());
  const auto cotangent = test::random_values(batch * Tokens::values, "cotangent");
  auto loss = [&] {
    const Workspace::Scope scope(problem.ws);
    problem.forward();
    return test::dot(problem.tokens, cotangent);
  };
  problem.backward(cotangent, problem.forward());
  test::check_gradient("condition", problem.condition, problem.dcondition, loss, 1e-7, 40);
  std::vector<std::string> names;
  auto p = problem.weights.view();
  for_each_parameter(p, [&](std::string_view name, auto& view) {
    const auto at = static_cast<std::size_t>(view.data - problem.weights.flat().data()),
               n = static_cast<std::size_t>(view.size());
    test::check_gradient(name, {view.data, n}, problem.gradients.flat().subspan(at, n), loss, 1e-7, 10);
    names.emplace_back(name);
  });
  for (const auto& field : attentions)
    for (const auto* matrix : {"W_q", "W_k", "W_v", "W_o"}) {
      const std::string name = "model.blocks.0." + field + "." + matrix + ".weight";
      BOOST_CHECK_MESSAGE(std::ranges::count(names, name) == 1, "no parameter is called " << name);
    }
}

/// The tokens of A's half and of B's half of every layer: f(value, is_A).
void each_token_value(auto& tokens, auto&& f) {
  for (std::size_t k = 0; k < tokens.size(); ++k)
    f(tokens[k], static_cast<Index>(k) % Tokens::values_per_layer < Tokens::tokens_A * Tokens::values_per_token);
}

}  // namespace

BOOST_AUTO_TEST_CASE(three_attentions_of_one_axis_each) { check<OneAxisEach>({"over_layers", "over_tokens", "over_ranks"}); }

BOOST_AUTO_TEST_CASE(an_attention_over_axes_that_do_not_lie_side_by_side) {
  check<NotContiguous>({"over_layers_and_ranks"});
}

BOOST_AUTO_TEST_CASE(a_request_alone_gets_the_tokens_it_gets_in_a_batch) {
  // With one request every attention runs on its own rows; in a batch the first block's self attentions run once for all.
  using G = Generator<Tokens, Width<12>, HeadWidth<4>, Blocks<2>, JoinedRanks<2>, ConditionWidth<7>>;
  Problem<G> problem;
  std::ranges::copy(test::random_values(problem.weights.extent, "weights"), problem.weights.flat().begin());
  problem.forward();
  for (Index k = 0; k < batch; ++k) {
    auto alone = test::poisoned(Tokens::values);
    G::forward<double>(problem.ctx, problem.ws, {alone.data(), 1},
                       View<const double, dyn, dyn, G::input>(problem.condition.data() + k * length * G::input, 1, length),
                       problem.weights.frozen());
    BOOST_CHECK(std::ranges::equal(
        alone, std::span(problem.tokens).subspan(static_cast<std::size_t>(k * Tokens::values), alone.size())));
  }
}

BOOST_AUTO_TEST_CASE(saved_bytes_are_what_forward_takes) {
  const auto check_one = []<class G>(G, Index samples, Index rows) {
    Weights<G, double> weights;
    const auto condition = test::random_values(samples * rows * G::input, "condition");
    auto tokens = test::poisoned(samples * Tokens::values);
    Workspace ws;
    reference ctx;
    G::template forward<double>(ctx, ws, {tokens.data(), samples},
                                View<const double, dyn, dyn, G::input>(condition.data(), samples, rows), weights.frozen());
    BOOST_CHECK_EQUAL(ws.taken_bytes(), G::template saved_bytes<double>(samples, rows));
  };
  using Two = Generator<Tokens, Width<12>, HeadWidth<4>, Blocks<2>, JoinedRanks<2>, ConditionWidth<7>>;
  using Paper = Generator<Tokens, Width<24>, HeadWidth<8>, Blocks<1>, JoinedRanks<4>, ConditionWidth<7>, PaperOrder,
                          CrossRotary::paper>;
  for (const Index samples : {1, 2, 3})
    for (const Index rows : {1, 5})
      check_one(Two{}, samples, rows), check_one(Paper{}, samples, rows), check_one(OneAxisEach{}, samples, rows);
  static_assert(Two::saved_bytes<float>(2, 5) < Two::saved_bytes<double>(2, 5));
}

BOOST_AUTO_TEST_CASE(recomputed_blocks_give_the_same_gradients_in_less_memory) {
  using G = Generator<Tokens, Width<12>, HeadWidth<4>, Blocks<4>, JoinedRanks<2>, ConditionWidth<7>>;
  const auto run = []<class Keep>(Keep, auto ctx) {
    Problem<G> problem;
    std::ranges::copy(test::random_values(problem.weights.extent, "weights"), problem.weights.flat().begin());
    const auto saved = G::forward<double, Keep>(
        ctx, problem.ws, {problem.tokens.data(), batch},
        View<const double, dyn, dyn, G::input>(problem.condition.data(), batch, length), problem.weights.frozen());
    BOOST_CHECK_EQUAL(problem.ws.taken_bytes(), (G::saved_bytes<double, Keep>(batch, length)));
    G::backward<double>(ctx, problem.ws, View<double, dyn, dyn, G::input>(problem.dcondition.data(), batch, length),
                        problem.gradients.view(), {test::random_values(batch * Tokens::values, "cotangent").data(), batch},
                        saved, problem.weights.frozen());
    return problem;
  };
  const auto check = [&](auto context, const auto& scratch) {
    const auto saved = run(SaveBlocks{}, context()), again = run(RecomputeBlocks{}, context());
    BOOST_CHECK(again.tokens == saved.tokens);
    BOOST_CHECK(again.dcondition == saved.dcondition);
    BOOST_CHECK(std::ranges::equal(again.gradients.flat(), saved.gradients.flat()));
    // What four blocks kept is now what one keeps.
    constexpr Index rows = batch * G::positions;
    constexpr std::size_t of_a_block = G::Block::saved_bytes<double>(rows, rows, batch * length);
    BOOST_CHECK_LE(again.ws.peak_bytes(), saved.ws.peak_bytes() - 2 * of_a_block);
    BOOST_CHECK_EQUAL(saved.ws.peak_bytes(), (G::workspace_bytes<double>(batch, length, scratch)));
    BOOST_CHECK_EQUAL(again.ws.peak_bytes(), (G::workspace_bytes<double, RecomputeBlocks>(batch, length, scratch)));
  };
  check([] { return reference(); }, ReferenceScratch());
  check([] { return cpu::Context({.threads = 2}); }, cpu::Scratch{2});
}

BOOST_AUTO_TEST_CASE(attention_over_layer_and_rank_keeps_tokens_apart) {
  // Without the other ways between positions (cross attention sees only the condition), a token depends on its own prior alone.
  Problem<NotContiguous> problem;
  std::ranges::copy(test::random_values(problem.weights.extent, "weights"), problem.weights.flat().begin());
  problem.forward();
  const auto before = problem.tokens;
  constexpr Index token = 4;
  const auto hw = problem.weights.view().hw_pos;
  for (Index k = 0; k < Tokens::rank * hw.width; ++k) hw[token * Tokens::rank * hw.width + k] += 0.5;
  problem.forward();
  for (Index k = 0; k < batch * Tokens::values; ++k) {
    const auto at = static_cast<std::size_t>(k);
    if (k / Tokens::values_per_token % Tokens::tokens_per_layer == token) BOOST_CHECK_NE(problem.tokens[at], before[at]);
    else BOOST_CHECK_EQUAL(problem.tokens[at], before[at]);
  }
}

BOOST_AUTO_TEST_CASE(the_first_step_runs_the_frozen_backbone_and_teaches_proj_out_B_alone) {
  using G = OneAxisEach;
  Problem<G> problem;
  G::initialise<double>(problem.weights.view(), test::seed);
  const auto saved = problem.forward();
  std::size_t values_of_B = 0;
  each_token_value(problem.tokens, [&](double v, bool is_A) {
    BOOST_CHECK_EQUAL(v == 0, !is_A);
    values_of_B += !is_A;
  });
  BOOST_CHECK_EQUAL(static_cast<Index>(values_of_B), batch * Tokens::layers * Tokens::tokens_B * Tokens::values_per_token);

  // A backbone of the two adapted layers: 3 rows for each of 2 samples, each with its own request.
  constexpr Index rows = 3 * batch;
  constexpr std::array<Index, batch> which{0, 1};
  using Up = LoRALinear<5, 7, Tokens::rank>;
  using Down = LoRALinear<7, 5, Tokens::rank>;
  struct Backbone {
    Weights<Linear<5, 7>, double> up;
    Weights<Linear<7, 5>, double> down;
  } backbone;
  std::ranges::copy(test::random_values(backbone.up.extent, "up"), backbone.up.flat().begin());
  std::ranges::copy(test::random_values(backbone.down.extent, "down"), backbone.down.flat().begin());
  const auto x = test::random_values(rows * 5, "x"), dy = test::random_values(rows * 5, "dy");
  const View<const double, dyn, 5> vx(x.data(), rows), vdy(dy.data(), rows);
  std::vector<double> dtokens(problem.tokens.size()), middle = test::poisoned(rows * 7), y = test::poisoned(rows * 5),
                                                      frozen = y, dmiddle = test::poisoned(rows * 7);
  const View<double, dyn, 7> vmiddle(middle.data(), rows), vdmiddle(dmiddle.data(), rows);
  const View<double, dyn, 5> vy(y.data(), rows);
  const Tokens::Tokens<const double> generated(problem.tokens.data(), batch);
  const Tokens::Tokens<double> dgenerated(dtokens.data(), batch);
  for (Index l = 0; l < Tokens::layers; ++l) {
    auto& ctx = problem.ctx;
    auto& ws = problem.ws;
    const auto up = Tokens::adapter<"up">(generated, l);
    const auto down = Tokens::adapter<"down">(generated, l);
    const auto xa_up = Up::forward<double>(ctx, ws, vmiddle, vx, backbone.up.frozen(), up, which, 0.5);
    const auto xa_down = Down::forward<double>(ctx, ws, vy, vmiddle, backbone.down.frozen(), down, which, 0.5);
    Down::forward<double>(ctx, ws, View<double, dyn, 5>(frozen.data(), rows), vmiddle, backbone.down.frozen(), {}, which,
                          0.5);
    BOOST_CHECK(y == frozen);
    Down::backward<double>(ctx, ws, vdmiddle, Linear<7, 5>::Parameters<double>{}, Tokens::adapter<"down">(dgenerated, l),
                           vdy, vmiddle, xa_down, backbone.down.frozen(), down, which, 0.5);
    Up::backward<double>(ctx, ws, {}, Linear<5, 7>::Parameters<double>{}, Tokens::adapter<"up">(dgenerated, l), vdmiddle, vx,
                         xa_up, backbone.up.frozen(), up, which, 0.5);
  }
  std::size_t taught = 0;
  each_token_value(dtokens, [&](double v, bool is_A) {
    if (is_A) BOOST_CHECK_EQUAL(v, 0);
    else taught += v != 0;
  });
  BOOST_CHECK_EQUAL(static_cast<Index>(taught),
                    batch * Tokens::layers * Tokens::rank * (7 + 5));  // all of B but its padding

  problem.backward(dtokens, saved);
  auto dp = problem.gradients.view();
  int learning = 0;
  for_each_parameter(dp, [&](std::string_view name, auto& view) {
    const auto nonzero = std::ranges::count_if(view, [](double v) { return v != 0; });
    if (name.starts_with("model.proj_out_B.")) {
      BOOST_CHECK_MESSAGE(nonzero == view.size(), name << " does not learn");
      ++learning;
    } else BOOST_CHECK_MESSAGE(nonzero == 0, name << " learns in the first step");
  });
  BOOST_CHECK_EQUAL(learning, 2);
  BOOST_CHECK(std::ranges::all_of(problem.dcondition, [](double v) { return v == 0; }));
}

BOOST_AUTO_TEST_CASE(proj_out_A_starts_so_that_generated_A_have_variance_one_over_the_token_width) {
  // What it is given has mean square 1 (norm_final) in c channels: c weights of variance 1 / (c d) make 1 / d.
  using G = Generator<Tokenizer<4, 64>::of<AdaptedLayers<2, Adapted<"up", 32, 64>>>, Width<32>, HeadWidth<16>, Blocks<1>,
                      JoinedRanks<1>, ConditionWidth<8>>;
  Weights<G, double> weights;
  G::initialise<double>(weights.view(), test::seed);
  double square = 0;
  for (const double v : weights.view().proj_out_A.weight) square += v * v;
  // The sum of 2048 squares has a relative standard error of sqrt(2 / 2048); this is five of them.
  BOOST_CHECK_CLOSE(square, 1, 16);
}

BOOST_AUTO_TEST_CASE(sizes_that_differ_are_refused_before_anything_is_written) {
  using G = NotContiguous;
  Problem<G> problem;
  std::ranges::fill(problem.tokens, 7);
  auto forward = [&](Index tokens, Index samples, Index rows) {
    return G::forward<double>(problem.ctx, problem.ws, {problem.tokens.data(), tokens},
                              View<const double, dyn, dyn, G::input>(problem.condition.data(), samples, rows),
                              problem.weights.frozen());
  };
  auto says = [](std::string sentence) {
    return [sentence](const ShapeError& e) {
      if (e.what() != sentence) BOOST_TEST_MESSAGE("found: " << e.what());
      return e.what() == sentence;
    };
  };
  BOOST_CHECK_EXCEPTION(forward(1, 2, length), ShapeError,
                        says("generator: expected tokens for 2 conditions of at least one row, found 1 and length 5"));
  BOOST_CHECK_EXCEPTION(forward(1, 1, 0), ShapeError,
                        says("generator: expected tokens for 1 conditions of at least one row, found 1 and length 0"));
  BOOST_CHECK_EXCEPTION(forward(0, 0, length), ShapeError,
                        says("generator: expected tokens for 0 conditions of at least one row, found 0 and length 5"));
  BOOST_CHECK(std::ranges::all_of(problem.tokens, [](double v) { return v == 7; }));

  const auto saved = forward(batch, batch, length);
  auto backward = [&](Index tokens, Index samples, Index rows) {
    G::backward<double>(problem.ctx, problem.ws, View<double, dyn, dyn, G::input>(problem.dcondition.data(), samples, rows),
                        problem.gradients.view(), {problem.tokens.data(), tokens}, saved, problem.weights.frozen());
  };
  const std::string expected =
      "generator backward: expected gradients of tokens and condition for 2 conditions of length 5, found ";
  BOOST_CHECK_EXCEPTION(backward(1, batch, length), ShapeError, says(expected + "1, and 2 of length 5"));
  BOOST_CHECK_EXCEPTION(backward(batch, 1, length), ShapeError, says(expected + "2, and 1 of length 5"));
  BOOST_CHECK_EXCEPTION(backward(batch, batch, 4), ShapeError, says(expected + "2, and 2 of length 4"));
  BOOST_CHECK(std::ranges::all_of(problem.gradients.flat(), [](double v) { return v == 0; }));
}
