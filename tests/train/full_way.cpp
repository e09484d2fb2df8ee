// The whole way at once, in float64: picture and instruction -> condition -> generator -> adapters -> frozen backbone -> loss,
// and back to every weight that learns. What each part's own check cannot see is whether they are joined rightly: which sample
// uses whose adapters, which layer whose tokens, what is added and what overwritten.                 design: the way of the data
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "support/gradient_check.hpp"
#include "wu/backbone/edit_transformer.hpp"
#include "wu/condition/hybrid.hpp"
#include "wu/core/parameters.hpp"
#include "wu/diffusion/step.hpp"
#include "wu/generator/generator.hpp"

namespace {

using namespace wu;

using Backbone = backbone::EditTransformer</*layers*/ 2, /*token width*/ 8, /*pixel width*/ 6, /*head width*/ 4,
                                           /*instruction width*/ 5, /*rank*/ 2, /*adapter token width*/ 5>;
using Condition =
    condition::Hybrid<condition::ImageEncoder</*size*/ 6, /*patch*/ 3, /*width*/ 8, /*head width*/ 4, /*blocks*/ 1>,
                      condition::TextEncoder</*vocabulary*/ 7, /*length*/ 3, /*width*/ 8, /*head width*/ 4, /*blocks*/ 1>>;
using Generator =
    wu::Generator<Backbone::Tokens, Width<8>, HeadWidth<4>, Blocks<1>, JoinedRanks<2>, ConditionWidth<Condition::width>>;
using Tokens = Generator::Tokens;
using Step = diffusion::DiffusionStep<diffusion::RectifiedFlow, diffusion::Predicts::edit, diffusion::LogMeanSquared>;

/// What learns.
struct Memory {
  template <class T>
  struct Parameters {
    typename Condition::template Parameters<T> condition;
    typename Generator::template Parameters<T> generator;
    constexpr void visit(auto&& at) { at("condition", condition), at("generator", generator); }
  };
};

constexpr Index requests = 2, samples = 3, side = 8, picture = side * side * 3;
/// The second request serves two samples.
constexpr std::array<Index, samples> which{1, 0, 1};

struct Way {
  Weights<Memory, double> memory, gradients;
  Weights<Backbone, double> backbone;
  const std::vector<double> seen = test::random_values(requests * 6 * 6 * 3, "seen"),
                            source = test::random_values(samples * picture, "source"),
                            target = test::random_values(samples * picture, "target"),
                            noise = test::random_values(samples * picture, "noise"),
                            instruction = test::random_values(samples * Backbone::instruction_width, "instruction"),
                            t{0.2, 0.5, 0.8};
  const std::vector<std::int32_t> pieces{1, 4, 2, 6, 4, 0};
  reference ctx;
  Workspace ws;

  Way() {
    auto p = memory.view();
    Condition::initialise<double>(p.condition, test::seed);
    Generator::initialise<double>(p.generator, test::seed);
    fill_normal(p.generator.proj_out_B.weight, test::seed, "B",
                0.3);  // away from the zero it starts from, where A has no gradient
    fill_normal(p.generator.proj_out_B.bias, test::seed, "B bias", 0.3);
    std::ranges::copy(test::random_values(backbone.extent, "backbone"), backbone.flat().begin());
    for (double& v : backbone.flat()) v *= 0.5;
  }

  static View<const double, dyn, dyn, dyn, 3> pictures(const std::vector<double>& values) {
    return {values.data(), samples, side, side};
  }

  /// The loss; with `backward`, every gradient too.
  double run(bool backward) {
    const Workspace::Scope scope(ws);
    const auto p = memory.frozen();
    const auto frozen = backbone.frozen();
    const auto u = ws.take<double, dyn, dyn, Condition::width>(requests, Condition::length);
    const auto condition = Condition::forward<double>(ctx, ws, u, {seen.data(), requests, 6, 6}, pieces, p.condition);
    const Tokens::Tokens<double> tokens(ws.take_values<double>(requests * Tokens::values), requests);
    const auto generated = Generator::forward<double>(ctx, ws, tokens, u, p.generator);

    const auto x_t = ws.take<double, dyn, dyn, dyn, 3>(samples, side, side),
               edit = ws.take<double, dyn, dyn, dyn, 3>(samples, side, side);
    const auto dedit = ws.take<double, dyn, dyn, dyn, 3>(samples, side, side);
    const auto each = ws.take<double, dyn>(samples);
    const Backbone::Adapters<double> adapters{tokens, which, 0.6};
    Step::interpolate(ctx, x_t, pictures(noise), pictures(target), t);
    const auto applied =
        Backbone::forward<double>(ctx, ws, edit, x_t, pictures(source), t, {instruction.data(), samples}, frozen, adapters);
    const double loss = Step::loss(ctx, ws, dedit, each, as_const(edit), as_const(x_t), pictures(source), pictures(noise),
                                   pictures(target), t);
    if (!backward) return loss;

    const Tokens::Tokens<double> dtokens(ws.take_values<double>(requests * Tokens::values), requests);
    zero(ctx, dtokens);
    Backbone::backward<double>(ctx, ws, dtokens, Backbone::Parameters<double>{}, {}, dedit, applied, frozen, adapters);
    const auto du = ws.take<double, dyn, dyn, Condition::width>(requests, Condition::length);
    const auto dp = gradients.view();
    Generator::backward<double>(ctx, ws, du, dp.generator, dtokens, generated, p.generator);
    Condition::backward<double>(ctx, ws, dp.condition, du, condition, p.condition);
    return loss;
  }

  std::uint64_t hash_of_backbone() const {
    const auto bytes = std::as_bytes(backbone.flat());
    return hash_name({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_loss_reaches_every_weight_that_learns_and_the_backbone_stays_as_it_is) {
  Way way;
  const std::uint64_t hash = way.hash_of_backbone();
  const double loss = way.run(true);
  BOOST_CHECK_EQUAL(loss, way.run(false));
  int checked = 0;
  auto p = way.memory.view();
  for_each_parameter(p, [&](std::string_view name, auto& view) {
    const auto at = static_cast<std::size_t>(view.data - way.memory.flat().data()),
               n = static_cast<std::size_t>(view.size());
    const auto gradient = way.gradients.flat().subspan(at, n);
    if (name.starts_with("condition.") && name.ends_with("W_k.bias")) {
      // It adds the same number to all scores of a query, which the softmax does not see.
      for (const double g : gradient) BOOST_CHECK_SMALL(g, 1e-13);
      return;
    }
    // The largest entry of every gradient lies between 0.03 and 3, so the bound of 1e-7 is small beside it.
    test::check_gradient(name, {view.data, n}, gradient, [&] { return way.run(false); }, 1e-7, 3);
    ++checked;
  });
  BOOST_CHECK_EQUAL(checked, 17 + 16 - 2 + 43);  // image encoder, text encoder, without their two biases of keys; generator
  BOOST_CHECK_EQUAL(hash, way.hash_of_backbone());
}

BOOST_AUTO_TEST_CASE(the_hash_sees_a_single_bit) {
  Way way;
  const std::uint64_t hash = way.hash_of_backbone();
  way.backbone.flat()[17] = std::nextafter(way.backbone.flat()[17], 1.0);
  BOOST_CHECK_NE(hash, way.hash_of_backbone());
}
