// Training: the backbone first, which is then frozen; the memory second; and for comparison one adapter for all springs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "memory.hpp"
#include "springs.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/train/model.hpp"
#include "wu/train/training.hpp"

namespace springs {

using Tokens = Backbone::Tokens;
using Adapters = Backbone::Adapters<float>;
inline constexpr double scale = 1;  ///< the factor before every adapter, alpha / rank

/// The mean squared error of the backbone's answers to a batch's questions, and its gradients: the backbone's are added to dp,
/// the adapters' to dtokens. What is null is not wanted.
inline double loss(wu::cpu::Context& cpu, wu::Workspace& ws, const Backbone::Parameters<float>& dp,
                   Tokens::Tokens<float> dtokens, const Batch& batch, const Backbone::Parameters<const float>& p,
                   const Adapters& adapters) {
  const auto y = ws.take<float, dyn, 1>(batch.t.size()), dy = ws.take<float, dyn, 1>(batch.t.size());
  const auto each = ws.take<double, dyn>(batch.count);
  const std::vector<double> weights(batch.which.size(), 1 / static_cast<double>(batch.count));
  const auto saved = Backbone::forward<float>(cpu, ws, y, batch.t, p, adapters);
  const double error = mse_forward(cpu, each, wu::as_const(y), batch.y.view());
  mse_backward(cpu, dy, wu::as_const(y), batch.y.view(), weights);
  Backbone::backward<float>(cpu, ws, dp, dtokens, dy, saved, p, adapters);
  return error;
}

/// Trains a module with Adam: at every step compute(workspace, batch, weights, gradients) adds the gradients of a new batch and
/// returns its loss. Random numbers are named by seed and step, so the same command gives the same weights.
template <class Module, class Compute>
wu::Model<Module, float> train(wu::cpu::Context& cpu, const char* what, std::uint64_t seed, Index steps, Compute&& compute) {
  constexpr Index springs = 32, questions = 16;
  wu::Workspace ws;
  wu::train::Training<Module, float> run;
  Module::template initialise<float>(run.weights().view(), seed);
  wu::train::Options options;
  options.schedule = {.peak = 3e-3, .warmup = std::min<Index>(40, steps / 5 + 1), .steps = steps};
  double first = 0, smooth = 0;
  while (run.step < steps) {
    const auto result = run.advance(cpu, options, [&](const auto& p, const auto& dp, Index step, Index) {
      const wu::Workspace::Scope scope(ws);  // gives back what the step takes
      const Index length = 6 + step % 11;    // 6 to 16 measurements
      return compute(ws, Batch(seed, "training", step * springs, springs, length, questions), p, dp);
    });
    if (run.step == 1) first = smooth = result.loss;
    smooth += 0.05 * (result.loss - smooth);
    if (run.step % 100 == 0) std::fprintf(stderr, "%s: step %td of %td, loss %.4f\n", what, run.step, steps, smooth);
  }
  std::printf("%-8s %7td parameters, loss %.4f -> %.4f\n", what, wu::Weights<Module, float>::count, first, smooth);
  return wu::Model<Module, float>(std::move(run.weights()));
}

/// Everything that is trained, and where it is kept.
struct Models {
  wu::Model<Backbone, float> backbone;
  wu::Model<Memory, float> memory;
  wu::Model<Tokens, float> shared;

  static Models train(wu::cpu::Context& cpu, std::uint64_t seed, Index steps) {
    // The backbone alone, without adapters. It learns what springs have in common, and stays as it is from then on: frozen()
    // is const, and below its gradients are null.
    auto backbone = springs::train<Backbone>(
        cpu, "backbone", seed, steps,
        [&](auto& ws, const Batch& batch, auto& p, auto& dp) { return loss(cpu, ws, dp, {}, batch, p, {}); });
    const auto frozen = backbone.weights.frozen();
    // The memory: examples -> adapters -> the frozen backbone's answers -> loss, and back.
    auto memory = springs::train<Memory>(cpu, "memory", seed, steps, [&](auto& ws, const Batch& batch, auto& p, auto& dp) {
      const auto tokens = Tokens::take<float>(ws, batch.count), dtokens = Tokens::take<float>(ws, batch.count);
      zero(cpu, dtokens);
      const auto saved = Memory::forward<float>(cpu, ws, tokens, batch.examples, p);
      const double error = loss(cpu, ws, {}, dtokens, batch, frozen, {tokens, batch.which, scale});
      Memory::backward<float>(cpu, ws, dp, dtokens, saved, p);
      return error;
    });
    // One adapter for all springs: plain LoRA, without a generator.
    auto shared = springs::train<Tokens>(cpu, "shared", seed, steps, [&](auto& ws, const Batch& batch, auto& p, auto& dp) {
      const std::vector<Index> first(batch.which.size(), 0);  // every spring uses the adapter number 0
      return loss(cpu, ws, {}, dp.batch(), batch, frozen, {p.batch(), first, scale});
    });
    return {std::move(backbone), std::move(memory), std::move(shared)};
  }

  void save(const std::string& folder) const {
    backbone.save(folder + "/backbone.safetensors");
    memory.save(folder + "/memory.safetensors");
    shared.save(folder + "/shared.safetensors");
  }
  static Models load(const std::string& folder) {
    return {wu::Model<Backbone, float>::load(folder + "/backbone.safetensors"),
            wu::Model<Memory, float>::load(folder + "/memory.safetensors"),
            wu::Model<Tokens, float>::load(folder + "/shared.safetensors")};
  }
};

/// The frozen backbone's positions at times t: (rows, 1), in equal parts for the springs of adapters.which.
inline wu::Tensor<float, dyn, 1> answer(wu::cpu::Context& cpu, const wu::Model<Backbone, float>& backbone,
                                        View<const float, dyn, 1> t, const Adapters& adapters) {
  wu::Workspace ws;
  wu::Tensor<float, dyn, 1> y(t.rows());
  Backbone::forward<float>(cpu, ws, y, t, backbone.weights.frozen(), adapters);
  return y;
}

}  // namespace springs
