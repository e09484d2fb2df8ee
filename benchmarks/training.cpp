// diffusion and train: the path, the loss, and one whole step of training the memory: condition, generator, frozen backbone,
// loss, and back to every weight that learns; then clipping and AdamW.
#include "wu/train/training.hpp"
#include "networks_work.hpp"
#include "wu/diffusion/sampler.hpp"
#include "wu/diffusion/step.hpp"

namespace {

using namespace wu;
using namespace networks;
using T = float;
using Step = diffusion::DiffusionStep<diffusion::RectifiedFlow, diffusion::Predicts::edit, diffusion::LogMeanSquared>;
using Pictures = View<const T, dyn, dyn, dyn, 3>;
constexpr Index b = 4, side = 64, values = b * side * side * 3;
constexpr std::array<double, b> t{0.1, 0.4, 0.6, 0.9};
constexpr std::array<Index, b> which{0, 1, 2, 3};

Pictures pictures(Fixture& f) { return f.input<T, dyn, dyn, dyn, 3>(b, side, side); }

/// x_0, x_1 -> x_t.    loss: output, x_t, source, x_0, x_1 -> one number.    with its gradient: -> doutput too
void add_diffusion_step() {
  const std::string size = join("pictures:", b, "/side:", side);
  const Work array = moved<T>(values);
  add<T>("interpolate/" + size, "forward", 3 * array, [](Fixture& f) {
    const auto x_t = f.output<T, dyn, dyn, dyn, 3>(b, side, side);
    const auto x_0 = pictures(f), x_1 = pictures(f);
    return [=, &f] { Step::interpolate(f.ctx, x_t, x_0, x_1, t); };
  });
  const auto loss = [&](const std::string& direction, Work work, bool backward) {
    add<T>("diffusion_loss/" + size, direction, work, [=](Fixture& f) {
      const auto wanted = f.output<T, dyn, dyn, dyn, 3>(b, side, side);
      const auto doutput = backward ? wanted : View<T, dyn, dyn, dyn, 3>(nullptr, b, side, side);
      const auto each = f.output<double, dyn>(b);
      const auto output = pictures(f), x_t = pictures(f), source = pictures(f), x_0 = pictures(f), x_1 = pictures(f);
      return [=, &f] {
        double sum = Step::loss(f.ctx, f.ws, doutput, each, output, x_t, source, x_0, x_1, t);
        benchmark::DoNotOptimize(sum);
      };
    });
  };
  loss("forward", 5 * array, false);
  loss("forward+backward", 6 * array, true);
  // output, x_t, source -> v; then, at each of the sampler's steps, v -> x beside it.
  add<T>("velocity/" + size, "forward", 4 * array, [](Fixture& f) {
    const auto v = f.output<T, dyn, dyn, dyn, 3>(b, side, side);
    const auto output = pictures(f), x_t = pictures(f), source = pictures(f);
    return [=, &f] { Step::velocity(f.ctx, v, output, x_t, source, t); };
  });
  constexpr Index steps = 4;
  add<T>(join("sample_euler/steps:", steps, "/", size), "forward", steps * 3.0 * array, [](Fixture& f) {
    const auto x = f.output<T, dyn, dyn, dyn, 3>(b, side, side);
    return [=, &f] { diffusion::sample_euler(f.ctx, f.ws, x, steps, [](auto, auto, double) {}); };
  });
}

/// Four requests, each with one picture. Clipping and AdamW are measured but not counted: they multiply no matrices.
void add_training_step() {
  const std::string shape =
      join("training_step/requests:", b, "/side:", side, "/trained:", parameter_count<Memory::Parameters<T>>());
  const Products memory = condition_products(b) + generator_products<SmallGenerator>(b, Condition::length);
  const auto backbone = backbone_work<Backbone>(b, side);
  const Work work = memory.forward() + memory.backward() + backbone.forward + backbone.backward;
  add<T>(shape, "forward+backward", work, [](Fixture& f) {
    using Run = train::Training<Memory, T>;
    using Tokens = SmallGenerator::Tokens::Tokens<T>;
    const auto run = std::make_shared<Run>();
    std::ranges::copy(f.weights<Memory, T>().flat(), run->weights().flat().begin());
    const auto& frozen = f.weights<Backbone, T>();
    const auto seen = f.input<T, dyn, dyn, dyn, 3>(b, ImageEncoder::size, ImageEncoder::size);
    const auto source = pictures(f), noise = pictures(f), target = pictures(f);
    const auto pieces = f.ids(b * TextEncoder::length, TextEncoder::vocabulary);
    const auto instruction = f.input<T, dyn, Backbone::instruction_width>(b);
    return [=, &f, &frozen] {
      auto& ws = f.ws;
      const auto compute = [&](const auto& p, const auto& dp, Index, Index) {
        const auto u = ws.take<T, dyn, dyn, Condition::width>(b, Condition::length),
                   du = ws.take<T, dyn, dyn, Condition::width>(b, Condition::length);
        const auto condition = Condition::forward<T>(f.ctx, ws, u, seen, pieces, p.condition);
        const Tokens tokens(ws.take_values<T>(b * SmallGenerator::Tokens::values), b),
            dtokens(ws.take_values<T>(b * SmallGenerator::Tokens::values), b);
        const auto generated = SmallGenerator::forward<T>(f.ctx, ws, tokens, u, p.generator);

        const auto x_t = ws.take<T, dyn, dyn, dyn, 3>(b, side, side), edit = ws.take<T, dyn, dyn, dyn, 3>(b, side, side),
                   dedit = ws.take<T, dyn, dyn, dyn, 3>(b, side, side);
        const Backbone::Adapters<T> adapters{tokens, which, 1.0 / SmallGenerator::r};
        Step::interpolate(f.ctx, x_t, noise, target, t);
        const auto applied = Backbone::forward<T>(f.ctx, ws, edit, x_t, source, t, instruction, frozen.frozen(), adapters);
        const double loss =
            Step::loss(f.ctx, ws, dedit, ws.take<double, dyn>(b), as_const(edit), as_const(x_t), source, noise, target, t);

        zero(f.ctx, View<T, dyn, 1>(dtokens.data, dtokens.size()));
        Backbone::backward<T>(f.ctx, ws, dtokens, Backbone::Parameters<T>{}, {}, dedit, applied, frozen.frozen(), adapters);
        SmallGenerator::backward<T>(f.ctx, ws, du, dp.generator, dtokens, generated, p.generator);
        Condition::backward<T>(f.ctx, ws, dp.condition, du, condition, p.condition);
        return loss;
      };
      benchmark::DoNotOptimize(run->advance(f.ctx, {}, compute));
    };
  });
}

WU_BENCHMARK(add_diffusion_step());
WU_BENCHMARK(add_training_step());

}  // namespace
