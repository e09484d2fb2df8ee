// One block of the published generator at full width, for a backbone of 2 layers instead of 32, in bfloat16 with random weights:
// generate_tokens from a condition of 1024 rows. A program of its own, for it takes minutes and 1.5 GB. MiB_beyond: how far the
// process's peak lies above what weights, tokens and condition take; MiB_planned: what stream_plan states.
#include <sys/resource.h>

#include "wu/benchmark/measure.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/generator/shapes.hpp"
#include "wu/generator/stream.hpp"

namespace {

using namespace wu;
using namespace wu::bench;

using Model = shapes::HyWuOf</*backbone layers*/ 2, /*blocks*/ 1>::Generator;
static_assert(Model::h == 1379 && Model::positions == 2 * 1379 * 4);
constexpr Index length = 1024;

double mebibytes(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }
/// What the process has held at most.
double peak_mebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void add_block(int threads) {
  const auto measure = [=](benchmark::State& state) {
    static constexpr StreamPlan plan = stream_plan<Model, bfloat16>(1, length);
    const cpu::StreamScratch scratch = cpu::stream_scratch<Model, bfloat16>(length, threads);
    double before = 0;
    run<bfloat16>(state, threads, {plan.operations, 0}, [&](Fixture& f) {
      const auto p = f.weights<Model, bfloat16>().frozen();
      const auto tokens = f.output<bfloat16, dyn, Model::n, Model::h, Model::r, Model::d>(1);
      const auto condition = f.input<bfloat16, dyn, dyn, Model::input>(1, length);
      before = peak_mebibytes();  // weights, tokens and condition are there
      return [=, &f, ws = std::make_shared<Workspace>(plan.workspace() + scratch.attention)] {
        generate_tokens<Model, bfloat16>(f.ctx, *ws, tokens, condition, p);
      };
    });
    state.counters["MiB_weights"] = mebibytes(plan.weights);
    state.counters["MiB_activation"] = mebibytes(Model::positions * Model::C * sizeof(bfloat16));
    state.counters["MiB_planned"] = mebibytes(plan.workspace());
    state.counters["MiB_beyond"] = peak_mebibytes() - before;  // of the first of these benchmarks only
  };
  benchmark::RegisterBenchmark(("released_block/BF16/forward/threads:" + std::to_string(threads)).c_str(), measure)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond)
      ->Iterations(1);
}

WU_BENCHMARK(add_block(thread_counts().back()));

}  // namespace
