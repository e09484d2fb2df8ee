// The generator's forward pass and gradient on the CPU, as a share of the machine's matrix-product peak measured in the same run.
// n = 8 layers, h = 24 tokens, rank 16, token width 128, 4 ranks joined, width 512, 4 blocks, condition length 128, float32.
#include <benchmark/benchmark.h>

#include "peak.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/generator/generator.hpp"

namespace {

using namespace wu;

using Shape = AdaptedLayers<8, Adapted<"attn.qkv", 256, 768>, Adapted<"attn.out", 256, 256>, Adapted<"mlp.up", 256, 512>,
                            Adapted<"mlp.down", 512, 256>>;
using Model =
    Generator<Tokenizer<16, 128>::of<Shape>, Width<512>, HeadWidth<64>, Blocks<4>, JoinedRanks<4>, ConditionWidth<512>>;
static_assert(Model::h == 24 && Model::positions == 768);
constexpr Index condition_length = 128;

struct Setup {
  cpu::Context ctx;
  Workspace ws;
  Weights<Model, float> weights, gradients;
  Buffer<float> tokens{Model::Tokens::values}, condition{condition_length * Model::input};

  explicit Setup(int threads) : ctx({.threads = threads}) {
    Model::initialise<float>(weights.view(), 1);
    fill_normal(View<float, dyn, 1>(condition.data(), condition.size()), 1, "condition", 1);
  }
  auto forward() {
    return Model::forward<float>(ctx, ws, {tokens.data(), 1},
                                 View<const float, dyn, dyn, Model::input>(condition.data(), 1, condition_length),
                                 weights.frozen());
  }
};

void report(benchmark::State& state, double operations, int threads) {
  state.counters["GFLOP/s"] = benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  const double seconds_at_peak = operations / (bench::eigen_peak(threads) * 1e9);
  state.counters["share_of_peak"] = benchmark::Counter(seconds_at_peak, benchmark::Counter::kIsIterationInvariantRate);
}

void generator_forward(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(0));
  Setup setup(threads);
  for (auto _ : state) {
    const Workspace::Scope scope(setup.ws);
    setup.forward();
    benchmark::DoNotOptimize(setup.tokens.data());
  }
  report(state, Model::operations(1, condition_length).total(), threads);
}

void generator_forward_backward(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(0));
  Setup setup(threads);
  for (auto _ : state) {
    const Workspace::Scope scope(setup.ws);
    const auto saved = setup.forward();
    Model::backward<float>(setup.ctx, setup.ws, {}, setup.gradients.view(), {setup.tokens.data(), 1}, saved,
                           setup.weights.frozen());
    benchmark::DoNotOptimize(setup.gradients.flat().data());
  }
  report(state, 3 * Model::operations(1, condition_length).total(), threads);
}

BENCHMARK(generator_forward)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(generator_forward_backward)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
