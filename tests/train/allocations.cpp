// A whole training step asks the system for memory when it first runs, and never again.
#include "support/allocations.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <vector>

#include "wu/backbone/edit_transformer.hpp"
#include "wu/condition/hybrid.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/diffusion/step.hpp"
#include "wu/generator/generator.hpp"
#include "wu/train/training.hpp"

namespace {

using namespace wu;

// Large enough that threads share the work, with attention over few keys and over many.
using Backbone = backbone::EditTransformer</*layers*/ 2, /*token width*/ 32, /*pixel width*/ 16, /*head width*/ 8,
                                           /*instruction width*/ 8, /*rank*/ 4, /*adapter token width*/ 32>;
using Condition =
    condition::Hybrid<condition::ImageEncoder</*size*/ 20, /*patch*/ 4, /*width*/ 32, /*head width*/ 8, /*blocks*/ 1>,
                      condition::TextEncoder</*vocabulary*/ 7, /*length*/ 5, /*width*/ 32, /*head width*/ 8, /*blocks*/ 1>>;
using Generator =
    wu::Generator<Backbone::Tokens, Width<64>, HeadWidth<16>, Blocks<2>, JoinedRanks<2>, ConditionWidth<Condition::width>>;
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

constexpr Index requests = 2, side = 32;
constexpr std::array<Index, requests> which{0, 1};
constexpr std::array<double, requests> t{0.3, 0.7};
using Pictures = Tensor<float, dyn, dyn, dyn, 3>;

Pictures pictures(std::string_view purpose, Index size) {
  Pictures all(requests, size, size);
  fill_normal(all.view(), 1, purpose, 0.5);
  return all;
}

/// How often memory is asked for in each of some steps.
template <class Keep>
std::vector<std::size_t> allocations_of_steps() {
  cpu::Context ctx({.threads = 2});
  Workspace ws;
  train::Training<Memory, float> run;
  Weights<Backbone, float> backbone;
  Condition::initialise<float>(run.weights().view().condition, 1);
  Generator::initialise<float>(run.weights().view().generator, 2);
  Backbone::initialise<float>(backbone.view(), 3);
  const Pictures seen = pictures("seen", 20), source = pictures("source", side), target = pictures("target", side),
                 noise = pictures("noise", side);
  const Tensor<float, dyn, Backbone::instruction_width> instruction(requests);
  const std::vector<std::int32_t> pieces(static_cast<std::size_t>(requests * 5), 2);
  const Backbone::Parameters<float> frozen;

  const auto compute = [&](const auto& p, const auto& dp, Index, Index) {
    const Workspace::Scope scope(ws);
    const auto u = ws.take<float, dyn, dyn, Condition::width>(requests, Condition::length),
               du = ws.take<float, dyn, dyn, Condition::width>(requests, Condition::length);
    const auto condition = Condition::forward<float, Keep>(ctx, ws, u, seen, pieces, p.condition);
    const Tokens::Tokens<float> tokens(ws.take_values<float>(requests * Tokens::values), requests),
        dtokens(ws.take_values<float>(requests * Tokens::values), requests);
    const auto generated = Generator::forward<float, Keep>(ctx, ws, tokens, u, p.generator);
    const auto x_t = ws.take<float, dyn, dyn, dyn, 3>(requests, side, side),
               edit = ws.take<float, dyn, dyn, dyn, 3>(requests, side, side),
               dedit = ws.take<float, dyn, dyn, dyn, 3>(requests, side, side);
    const Backbone::Adapters<float> adapters{tokens, which, 0.25};
    Step::interpolate(ctx, x_t, noise.view(), target.view(), t);
    const auto applied =
        Backbone::forward<float, Keep>(ctx, ws, edit, x_t, source, t, instruction, backbone.frozen(), adapters);
    const double loss = Step::loss(ctx, ws, dedit, ws.take<double, dyn>(requests), as_const(edit), as_const(x_t),
                                   source.view(), noise.view(), target.view(), t);
    zero(ctx, View<float, dyn, 1>(dtokens.data, dtokens.size()));
    Backbone::backward<float>(ctx, ws, dtokens, frozen, {}, dedit, applied, backbone.frozen(), adapters);
    Generator::backward<float>(ctx, ws, du, dp.generator, dtokens, generated, p.generator);
    Condition::backward<float>(ctx, ws, dp.condition, du, condition, p.condition);
    return loss;
  };

  train::Options options;
  options.clip = 0.01;  // below the norm of the gradient, so that it is scaled
  std::vector<std::size_t> counts(4);
  for (std::size_t& count : counts) {
    const std::size_t before = test::allocations;
    const auto result = run.advance(ctx, options, compute);
    count = test::allocations - before;
    BOOST_CHECK_GT(result.gradient_norm, options.clip);
  }
  return counts;
}

void check(const std::vector<std::size_t>& counts) {
  BOOST_CHECK_GT(counts[0], 0u);  // the count does count
  for (std::size_t step = 1; step < counts.size(); ++step) BOOST_CHECK_EQUAL(counts[step], 0u);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_training_step_allocates_when_it_first_runs_and_never_again) {
  check(allocations_of_steps<SaveBlocks>());
}

BOOST_AUTO_TEST_CASE(nor_does_attention_to_many_keys) {
  constexpr Index rows = 700, C = 64, heads = 2;
  cpu::Context ctx({.threads = 2});
  Workspace ws;
  Tensor<float, dyn, C> q(rows), mixed(rows), dq(rows), dk(rows), dv(rows);
  Tensor<float, dyn, heads> lse(rows);
  fill_normal(q.view(), 1, "q", 1);
  AttentionRows all;
  all.query.push({rows, 1}), all.key = all.query;
  const auto x = as_const(q.view());
  std::vector<std::size_t> counts(3);
  for (std::size_t& count : counts) {
    const std::size_t before = test::allocations;
    attention_forward<C / heads>(ctx, ws, mixed.view(), lse.view(), x, x, x, all);
    attention_backward<C / heads>(ctx, ws, dq.view(), dk.view(), dv.view(), x, as_const(mixed.view()), as_const(lse.view()),
                                  x, x, x, all);
    count = test::allocations - before;
  }
  check(counts);
}

BOOST_AUTO_TEST_CASE(nor_does_one_that_recomputes_blocks) { check(allocations_of_steps<RecomputeBlocks>()); }
