// The full way in one file, as a user's program has it: picture and instruction -> condition -> generator -> adapters -> frozen
// backbone -> loss, back to every weight that learns, and one optimiser step. At the demonstration's sizes, float32 on the CPU.
// scripts/build-time.sh measures what it costs to compile; run as a test, the loss on its two requests must fall.
#include <cstdlib>
#include <iostream>
#include <vector>

#include "wu/wu.hpp"

namespace {

using namespace wu;

using Backbone = backbone::EditTransformer</*layers*/ 4, /*token width*/ 128, /*pixel width*/ 64, /*head width*/ 32,
                                           /*instruction width*/ 64, /*rank*/ 8, /*adapter token width*/ 128>;
using Condition = condition::Hybrid<
    condition::ImageEncoder</*size*/ 64, /*patch*/ 16, /*width*/ 64, /*head width*/ 16, /*blocks*/ 2>,
    condition::TextEncoder</*vocabulary*/ 2048, /*length*/ 24, /*width*/ 64, /*head width*/ 16, /*blocks*/ 1>>;
using Memory =
    wu::Generator<Backbone::Tokens, Width<64>, HeadWidth<16>, Blocks<2>, JoinedRanks<1>, ConditionWidth<Condition::width>>;
using Tokens = Memory::Tokens;
using Step = diffusion::DiffusionStep<diffusion::SourceBridge, diffusion::Predicts::edit, diffusion::LogMeanSquared>;

/// What learns.
struct Learning {
  template <class T>
  struct Parameters {
    typename Condition::template Parameters<T> condition;
    typename Memory::template Parameters<T> generator;
    constexpr void visit(auto&& at) { at("condition", condition), at("generator", generator); }
  };
};

constexpr Index requests = 2, side = 32;

}  // namespace

int main() {
  cpu::Context ctx({.threads = 2});
  Workspace ws;
  Weights<Backbone, float> backbone;
  Backbone::initialise<float>(backbone.view(), 1);
  const auto frozen = backbone.frozen();
  train::Training<Learning, float> training;
  Condition::initialise<float>(training.weights().view().condition, 1);
  Memory::initialise<float>(training.weights().view().generator, 1);

  Tensor<float, dyn, dyn, dyn, 3> seen(requests, 64, 64), source(requests, side, side), target(requests, side, side);
  fill_normal(seen.view(), 1, "seen", 0.5);
  fill_normal(source.view(), 1, "source", 0.5);
  fill_normal(target.view(), 1, "target", 0.5);
  Tensor<float, dyn, 64> instruction(requests);
  std::vector<std::int32_t> pieces(static_cast<std::size_t>(requests * 24));
  for (Index k = 0; k < requests; ++k)
    condition::word_pieces(std::span(pieces).subspan(static_cast<std::size_t>(k * 24), 24), "make it darker", 2048);
  const std::vector<Index> which{0, 1};
  const std::vector<double> t(requests, 0.0);

  train::Options options;
  options.schedule = {.peak = 1e-3, .warmup = 0, .steps = 3};
  std::vector<double> losses;
  for (int step = 0; step < 3; ++step) {
    const auto result = training.advance(ctx, options, [&](const auto& p, const auto& dp, Index, Index) {
      const Workspace::Scope scope(ws);
      const auto u = ws.take<float, dyn, dyn, Condition::width>(requests, Condition::length);
      const auto encoded = Condition::forward<float>(ctx, ws, u, seen, pieces, p.condition);
      const Tokens::Tokens<float> tokens(ws.take_values<float>(requests * Tokens::values), requests);
      const auto generated = Memory::forward<float>(ctx, ws, tokens, u, p.generator);
      const Backbone::Adapters<float> adapters{tokens, which, 1.0 / 8};
      const auto edit = ws.take<float, dyn, dyn, dyn, 3>(requests, side, side);
      const auto dedit = ws.take<float, dyn, dyn, dyn, 3>(requests, side, side);
      const auto applied = Backbone::forward<float>(ctx, ws, edit, source, source, t, instruction, frozen, adapters);
      const auto each = ws.take<double, dyn>(requests);
      const double loss =
          Step::loss(ctx, ws, dedit, each, as_const(edit), source.view(), source.view(), source.view(), target.view(), t);
      const Tokens::Tokens<float> dtokens(ws.take_values<float>(requests * Tokens::values), requests);
      zero(ctx, dtokens);
      Backbone::backward<float>(ctx, ws, dtokens, {}, {}, dedit, applied, frozen, adapters);
      const auto du = ws.take<float, dyn, dyn, Condition::width>(requests, Condition::length);
      Memory::backward<float>(ctx, ws, du, dp.generator, dtokens, generated, p.generator);
      Condition::backward<float>(ctx, ws, dp.condition, du, encoded, p.condition);
      return loss;
    });
    std::cout << "step " << step + 1 << ": loss " << result.loss << ", gradient " << result.gradient_norm << '\n';
    losses.push_back(result.loss);
  }
  if (losses[2] < losses[1] && losses[1] < losses[0]) return EXIT_SUCCESS;
  std::cerr << "full way: expected a loss that falls at every step\n";
  return EXIT_FAILURE;
}
