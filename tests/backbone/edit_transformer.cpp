// backbone/edit_transformer.hpp and the blocks and adapters that it is made of.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <limits>

#include "support/gradient_check.hpp"
#include "wu/backbone/edit_transformer.hpp"
#include "wu/core/parameters.hpp"
#include "wu/cpu/cpu.hpp"

namespace {

using namespace wu;
using Net = backbone::EditTransformer</*layers*/ 2, /*token width*/ 8, /*pixel width*/ 6, /*head width*/ 4,
                                      /*instruction width*/ 5, /*rank*/ 2, /*adapter token width*/ 3>;
using Tokens = Net::Tokens;
using Adapters = Net::Adapters<double>;
constexpr Index batch = 3, height = 8, width = 16, picture = height * width * 3, requests = 2;

/// Two samples share request 1, one runs the frozen backbone; nobody asks for request 0.
constexpr std::array<Index, batch> shared{1, no_adapter, 1};
constexpr std::array<Index, batch> nobody{no_adapter, no_adapter, no_adapter};

std::vector<double> scaled(std::vector<double> values, double factor) {
  for (double& v : values) v *= factor;
  return values;
}

/// Everything one call needs, at random: weights and both halves of the adapters away from zero.
struct Problem {
  Weights<Net, double> weights;
  std::vector<double> x_t = test::random_values(batch * picture, "x_t"),
                      source = test::random_values(batch * picture, "source"),
                      instruction = test::random_values(batch * Net::instruction_width, "instruction"),
                      edit = test::poisoned(batch * picture),
                      tokens = scaled(test::random_values(requests * Tokens::values, "tokens"), 0.5);
  const std::vector<double> t{0.15, 0.5, 0.95};
  Workspace ws;

  Problem() { std::ranges::copy(scaled(test::random_values(weights.extent, "weights"), 0.5), weights.flat().begin()); }

  static View<double, dyn, dyn, dyn, 3> pictures(std::vector<double>& values) {
    return {values.data(), batch, height, width};
  }
  View<const double, dyn, Net::instruction_width> features() const { return {instruction.data(), batch}; }
  Adapters adapters(std::span<const Index> which) const {
    return {Tokens::Tokens<const double>(tokens.data(), requests), which, 0.7};
  }

  template <class Keep = SaveBlocks>
  auto forward(auto& ctx, const Adapters& with) {
    return Net::forward<double, Keep>(ctx, ws, pictures(edit), pictures(x_t), pictures(source), t, features(),
                                      weights.frozen(), with);
  }
  /// The edit alone, in memory of its own.
  std::vector<double> output(auto& ctx, const Adapters& with) {
    const Workspace::Scope scope(ws);
    edit = test::poisoned(batch * picture);
    forward(ctx, with);
    return edit;
  }
};

/// What backward gives for a random cotangent.
struct Gradients {
  std::vector<double> tokens = std::vector<double>(static_cast<std::size_t>(requests * Tokens::values)),
                      instruction = test::poisoned(batch * Net::instruction_width);
  Weights<Net, double> weights;
};

const std::vector<double> dedit = test::random_values(batch * picture, "dedit");

template <class Keep = SaveBlocks>
Gradients gradients_of(auto& ctx, Problem& problem, const Adapters& with) {
  const Workspace::Scope scope(problem.ws);
  Gradients g;
  const auto saved = problem.forward<Keep>(ctx, with);
  BOOST_CHECK_EQUAL(problem.ws.taken_bytes(), (Net::saved_bytes<double, Keep>(batch, height, width)));
  Net::backward<double>(ctx, problem.ws, {g.tokens.data(), requests}, g.weights.view(), {g.instruction.data(), batch},
                        {dedit.data(), batch, height, width}, saved, problem.weights.frozen(), with);
  return g;
}

auto says(std::string sentence) {
  return [sentence = std::move(sentence)](const Error& e) {
    if (sentence != e.what()) BOOST_TEST_MESSAGE("found: " << e.what());
    return sentence == e.what();
  };
}

}  // namespace

BOOST_AUTO_TEST_CASE(gradients_of_weights_adapters_and_instruction) {
  Problem problem;
  reference ctx;
  const auto with = problem.adapters(shared);
  const Gradients g = gradients_of(ctx, problem, with);
  auto loss = [&] { return test::dot(problem.output(ctx, with), dedit); };
  auto p = problem.weights.view();
  for_each_parameter(p, [&](std::string_view name, auto& view) {
    const auto at = static_cast<std::size_t>(view.data - problem.weights.flat().data()),
               n = static_cast<std::size_t>(view.size());
    test::check_gradient(name, {view.data, n}, g.weights.flat().subspan(at, n), loss, 1e-7, 6);
  });
  test::check_gradient("instruction", problem.instruction, g.instruction, loss);
  for (std::size_t m = 0; m < Tokens::module_count; ++m)
    for (Index layer = 0; layer < Net::layers; ++layer) {
      auto part = [&](auto& all, Index token, Index count) {
        return std::span(all).subspan(
            static_cast<std::size_t>(Tokens::values + layer * Tokens::values_per_layer + token * Tokens::values_per_token),
            static_cast<std::size_t>(count));
      };
      const auto& module = Tokens::modules[m];
      const std::string name = " of layer " + std::to_string(layer) + ", " + module.name();
      test::check_gradient("A" + name, part(problem.tokens, Tokens::first_A[m], Tokens::rank * module.in),
                           part(g.tokens, Tokens::first_A[m], Tokens::rank * module.in), loss, 1e-7, 6);
      test::check_gradient("B" + name, part(problem.tokens, Tokens::first_B[m], Tokens::rank * module.out),
                           part(g.tokens, Tokens::first_B[m], Tokens::rank * module.out), loss, 1e-7, 6);
    }
  BOOST_CHECK(std::all_of(g.tokens.begin(), g.tokens.begin() + Tokens::values,
                          [](double v) { return v == 0; }));  // nobody's request
}

BOOST_AUTO_TEST_CASE(recomputed_blocks_give_the_same_gradients_in_less_memory) {
  cpu::Context ctx({.threads = 2});
  Problem saved_problem, problem;
  const Gradients saved = gradients_of(ctx, saved_problem, saved_problem.adapters(shared)),
                  again = gradients_of<RecomputeBlocks>(ctx, problem, problem.adapters(shared));
  BOOST_CHECK(again.tokens == saved.tokens);
  BOOST_CHECK(again.instruction == saved.instruction);
  BOOST_CHECK(std::ranges::equal(again.weights.flat(), saved.weights.flat()));
  BOOST_CHECK_LT(problem.ws.peak_bytes(), saved_problem.ws.peak_bytes());
}

BOOST_AUTO_TEST_CASE(a_frozen_backbone_gives_the_same_gradients_of_its_adapters_bit_for_bit) {
  Problem problem;
  reference ctx;
  const auto with = problem.adapters(shared);
  const Gradients g = gradients_of(ctx, problem, with);
  const auto before = problem.weights.clone();
  auto frozen = [&](double* dinstruction) {
    const Workspace::Scope scope(problem.ws);
    std::vector<double> dtokens(g.tokens.size());
    const auto saved = problem.forward(ctx, with);
    Net::backward<double>(ctx, problem.ws, {dtokens.data(), requests}, Net::Parameters<double>{}, {dinstruction, batch},
                          {dedit.data(), batch, height, width}, saved, problem.weights.frozen(), with);
    return dtokens;
  };
  auto dinstruction = test::poisoned(batch * Net::instruction_width);
  BOOST_CHECK(frozen(nullptr) == g.tokens);
  BOOST_CHECK(frozen(dinstruction.data()) == g.tokens);
  BOOST_CHECK(dinstruction == g.instruction);
  BOOST_CHECK(std::ranges::equal(before.flat(), problem.weights.flat()));
}

BOOST_AUTO_TEST_CASE(gradients_of_adapters_are_added_and_may_be_unwanted) {
  Problem problem;
  reference ctx;
  const auto with = problem.adapters(shared);
  const Gradients g = gradients_of(ctx, problem, with);
  const auto saved = problem.forward(ctx, with);
  std::vector<double> dtokens(g.tokens.size(), 0.5);
  auto backward = [&](double* dadapters, Index count, const auto& dp, double* dinstruction) {
    Net::backward<double>(ctx, problem.ws, {dadapters, count}, dp, {dinstruction, batch},
                          {dedit.data(), batch, height, width}, saved, problem.weights.frozen(), with);
  };
  const Net::Parameters<double> frozen;
  backward(dtokens.data(), requests, frozen, nullptr);
  for (std::size_t k = 0; k < dtokens.size(); ++k) BOOST_CHECK_SMALL(dtokens[k] - g.tokens[k] - 0.5, 1e-12);
  Gradients alone;
  backward(nullptr, 0, alone.weights.view(), alone.instruction.data());
  BOOST_CHECK(std::ranges::equal(alone.weights.flat(), g.weights.flat()));
  BOOST_CHECK(alone.instruction == g.instruction);
  BOOST_CHECK_EXCEPTION(backward(dtokens.data(), 1, frozen, nullptr), ShapeError,
                        says("edit transformer: expected gradients of 2 requests' adapters, found 1"));
}

BOOST_AUTO_TEST_CASE(without_adapters_it_is_the_base_bit_for_bit) {
  Problem problem;
  reference ctx;
  const auto base = problem.output(ctx, {}), with = problem.output(ctx, problem.adapters(shared));
  BOOST_CHECK(base == problem.output(ctx, problem.adapters(nobody)));
  std::size_t same = 0;
  for (std::size_t k = 0; k < base.size(); ++k) same += base[k] == with[k];
  BOOST_CHECK_EQUAL(static_cast<Index>(same), picture);  // the one sample without an adapter, and no other value
  BOOST_CHECK(std::equal(base.begin() + picture, base.begin() + 2 * picture, with.begin() + picture));

  const std::vector<double> tokens = problem.tokens;
  std::ranges::fill(problem.tokens, 0);
  BOOST_CHECK(base == problem.output(ctx, problem.adapters(shared)));
  problem.tokens = tokens;
  auto unscaled = problem.adapters(shared);
  unscaled.scale = 0;
  BOOST_CHECK(base == problem.output(ctx, unscaled));
}

BOOST_AUTO_TEST_CASE(an_exception_leaves_nothing_behind) {
  Problem problem;
  reference ctx;
  const auto base = problem.output(ctx, {});
  const auto weights = problem.weights.clone();
  const auto tokens = problem.tokens;
  auto check = [&]<class E>(std::type_identity<E>, const std::string& sentence, auto&& call) {
    BOOST_TEST_CONTEXT(sentence) {
      std::ranges::fill(problem.edit, 7);
      {
        const Workspace::Scope scope(problem.ws);
        BOOST_CHECK_EXCEPTION(call(), E, says(sentence));
      }
      BOOST_CHECK(std::ranges::all_of(problem.edit, [](double v) { return v == 7; }));
      BOOST_CHECK(std::ranges::equal(weights.flat(), problem.weights.flat()));
      problem.tokens = tokens;
      BOOST_CHECK(base == problem.output(ctx, {}));
    }
  };
  constexpr std::type_identity<NonFiniteError> non_finite;
  constexpr std::type_identity<ShapeError> shape;
  // The first value, one in the middle, one of a request that nobody uses.
  for (const std::size_t at : {std::size_t{0}, tokens.size() / 2 + 5, std::size_t{3}})
    for (const double wrong :
         {std::nan(""), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()})
      check(non_finite, "adapters: a generated value is NaN or infinite", [&] {
        problem.tokens[at] = wrong;
        problem.forward(ctx, problem.adapters(shared));
      });
  check(shape, "adapters: expected one entry for each of 3 samples, found 2",
        [&] { problem.forward(ctx, problem.adapters(std::span(shared).first(2))); });
  check(shape, "adapters: expected one entry for each of 3 samples, found 0",
        [&] { problem.forward(ctx, problem.adapters({})); });
  constexpr std::array<Index, batch> beyond{1, 2, 0}, negative{1, -2, 0};
  check(shape, "lora: expected an adapter index below 2 or no_adapter, found 2",
        [&] { problem.forward(ctx, problem.adapters(beyond)); });
  check(shape, "lora: expected an adapter index below 2 or no_adapter, found -2",
        [&] { problem.forward(ctx, problem.adapters(negative)); });

  const std::string expected =
      "edit transformer: expected equal pictures in multiples of 8 pixels, with one time and one instruction each; found "
      "edit ";
  using Pictures = View<double, dyn, dyn, dyn, 3>;
  auto call = [&](Pictures edit, Pictures x_t, Pictures source, Index times, Index instructions) {
    Net::forward<double>(ctx, problem.ws, edit, x_t, source, std::span(problem.t).first(static_cast<std::size_t>(times)),
                         {problem.instruction.data(), instructions}, problem.weights.frozen(), problem.adapters(shared));
  };
  auto sized = [](std::vector<double>& values, Index b, Index h, Index w) { return Pictures(values.data(), b, h, w); };
  const auto edit = Problem::pictures(problem.edit), x_t = Problem::pictures(problem.x_t),
             source = Problem::pictures(problem.source);
  check(shape, expected + "3 x 8 x 16, x_t 3 x 8 x 16, source 3 x 16 x 8, 3 times, 3 instructions",
        [&] { call(edit, x_t, sized(problem.source, 3, 16, 8), 3, 3); });
  check(shape, expected + "3 x 8 x 16, x_t 3 x 8 x 16, source 2 x 8 x 16, 3 times, 3 instructions",
        [&] { call(edit, x_t, sized(problem.source, 2, 8, 16), 3, 3); });
  check(shape, expected + "3 x 8 x 8, x_t 3 x 8 x 16, source 3 x 8 x 16, 3 times, 3 instructions",
        [&] { call(sized(problem.edit, 3, 8, 8), x_t, source, 3, 3); });
  check(shape, expected + "3 x 8 x 16, x_t 3 x 8 x 16, source 3 x 8 x 16, 2 times, 3 instructions",
        [&] { call(edit, x_t, source, 2, 3); });
  check(shape, expected + "3 x 8 x 16, x_t 3 x 8 x 16, source 3 x 8 x 16, 3 times, 1 instructions",
        [&] { call(edit, x_t, source, 3, 1); });
  check(shape, expected + "3 x 8 x 12, x_t 3 x 8 x 12, source 3 x 8 x 12, 3 times, 3 instructions",
        [&] { call(sized(problem.edit, 3, 8, 12), sized(problem.x_t, 3, 8, 12), sized(problem.source, 3, 8, 12), 3, 3); });
  check(shape, expected + "3 x 4 x 16, x_t 3 x 4 x 16, source 3 x 4 x 16, 3 times, 3 instructions",
        [&] { call(sized(problem.edit, 3, 4, 16), sized(problem.x_t, 3, 4, 16), sized(problem.source, 3, 4, 16), 3, 3); });
  check(shape, expected + "0 x 8 x 16, x_t 0 x 8 x 16, source 0 x 8 x 16, 0 times, 0 instructions",
        [&] { call(sized(problem.edit, 0, 8, 16), sized(problem.x_t, 0, 8, 16), sized(problem.source, 0, 8, 16), 0, 0); });
}

BOOST_AUTO_TEST_CASE(stored_adapters_come_back_with_nan_in_their_padding) {
  Problem problem;
  reference ctx;
  const auto base = problem.output(ctx, problem.adapters(shared));
  const auto tokens = problem.tokens;
  std::array<std::vector<double>, Tokens::module_count> A, B;
  std::array<double*, Tokens::module_count> at_A, at_B;
  std::array<const double*, Tokens::module_count> from_A, from_B;
  for (std::size_t m = 0; m < Tokens::module_count; ++m) {
    A[m].resize(static_cast<std::size_t>(Tokens::rank * Tokens::modules[m].in)),
        B[m].resize(static_cast<std::size_t>(Tokens::rank * Tokens::modules[m].out));
    from_A[m] = at_A[m] = A[m].data(), from_B[m] = at_B[m] = B[m].data();
  }
  for (std::size_t layer = 0; layer < tokens.size(); layer += Tokens::values_per_layer) {
    Tokens::detokenize(at_A, at_B, tokens.data() + layer);
    Tokens::tokenize(problem.tokens.data() + layer, from_A, from_B);
  }
  BOOST_CHECK_GT(std::ranges::count_if(problem.tokens, [](double v) { return std::isnan(v); }), 0);
  BOOST_CHECK(base == problem.output(ctx, problem.adapters(shared)));
}

BOOST_AUTO_TEST_CASE(samples_do_not_see_each_other) {
  Problem problem;
  reference ctx;
  const auto base = problem.output(ctx, problem.adapters(shared));
  for (Index k = 0; k < picture; ++k) problem.x_t[static_cast<std::size_t>(k)] += 0.25;
  const auto other = problem.output(ctx, problem.adapters(shared));
  BOOST_CHECK(!std::equal(base.begin(), base.begin() + picture, other.begin()));
  BOOST_CHECK(std::equal(base.begin() + picture, base.end(), other.begin() + picture));
}

BOOST_AUTO_TEST_CASE(it_starts_near_leaving_the_picture_alone) {
  Problem problem;
  reference ctx;
  Net::initialise<double>(problem.weights.view(), test::seed);
  const auto edit = problem.output(ctx, {});
  const double size = std::sqrt(test::dot(edit, edit) / static_cast<double>(edit.size()));
  BOOST_CHECK_GT(size, 0);
  BOOST_CHECK_LT(size, 0.1);  // of pictures whose values have a root mean square of 0.58
  Problem again;
  Net::initialise<double>(again.weights.view(), test::seed);
  BOOST_CHECK(std::ranges::equal(problem.weights.flat(), again.weights.flat()));
}

BOOST_AUTO_TEST_CASE(the_cpu_agrees_with_the_reference) {
  Problem problem;
  reference slow;
  cpu::Context fast({.threads = 2});
  const auto with = problem.adapters(shared);
  BOOST_CHECK_LT(test::relative_error(problem.output(fast, with), problem.output(slow, with)), 1e-12);
  BOOST_CHECK(problem.output(fast, {}) == problem.output(fast, problem.adapters(nobody)));
  const Gradients expected = gradients_of(slow, problem, with), found = gradients_of(fast, problem, with);
  BOOST_CHECK_LT(test::relative_error(found.tokens, expected.tokens), 1e-12);
  BOOST_CHECK_LT(test::relative_error(found.instruction, expected.instruction), 1e-12);
  BOOST_CHECK_LT(test::relative_error(found.weights.flat(), expected.weights.flat()), 1e-12);
}
