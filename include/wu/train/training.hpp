// The state of a training run and one optimiser step of it:                                              paper section 3.6, eq. 7
//     gradients = 0;  for each part of the batch: gradients += d loss;  clip;  AdamW at the schedule's rate
// Nothing is changed when a loss or gradient is not finite: the step throws first. Random numbers are keyed by the step, so the
// weights, two moments and the step number are all there is to save.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include "wu/core/parameters.hpp"
#include "wu/ops/adamw.hpp"
#include "wu/ops/clip.hpp"
#include "wu/train/schedule.hpp"

namespace wu::train {

/// What stays the same over a run.
struct Options {
  Schedule schedule;
  double clip = 1;  ///< largest norm of the gradient, above 0; infinity: any
  double beta1 = 0.9, beta2 = 0.98, epsilon = 1e-8, weight_decay = 0;
  Index accumulate = 1;  ///< parts of a batch whose gradients are averaged into one step
};

/// What a step reports.
struct StepResult {
  double loss = 0, gradient_norm = 0, rate = 0;
};

/// Module: what learns; T: its scalar. Values, gradients and moments are zero at first: initialise `values`.
template <class Module, class T>
class Training {
 public:
  /// Views of the weights.
  using Values = typename Module::template Parameters<T>;
  /// Views of the weights that may not be written through.
  using Frozen = typename Module::template Parameters<const T>;

  Weights<Module, T> values;
  Weights<Module, float> first, second;  ///< Adam's moments
  Index step = 0;                        ///< steps done

  /// This step's gradients, for a compute() that wants the owner rather than the views.
  Weights<Module, T>& gradients() { return gradients_; }

  /// compute(values, gradients, step, part) adds one part's gradients and returns its loss; step counts from 1. Throws
  /// NonFiniteError before anything of the run is changed.
  template <class Compute>
  StepResult advance(auto& ctx, const Options& options, Compute&& compute) {
    if (options.accumulate < 1)
      throw Error(message("training: expected at least one part of a batch, found ", options.accumulate));
    if (!(options.clip > 0)) throw Error(message("training: expected a largest norm above 0, found ", options.clip));
    const Index next = step + 1;
    std::fill(gradients_.flat().begin(), gradients_.flat().end(), T(0));
    StepResult result;
    for (Index part = 0; part < options.accumulate; ++part) {
      const double loss = compute(values.frozen(), gradients_.view(), next, part);
      if (!std::isfinite(loss))
        throw NonFiniteError(
            message("the loss is not finite at step ", next, ", part ", part + 1, " of ", options.accumulate));
      result.loss += loss / static_cast<double>(options.accumulate);
    }
    if (options.accumulate > 1) scale(ctx, gradients_.flat(), 1 / static_cast<double>(options.accumulate));
    result.gradient_norm = std::sqrt(squared_norm(ctx, std::span<const T>(gradients_.flat())));
    if (!std::isfinite(result.gradient_norm)) throw NonFiniteError(message("a gradient is not finite at step ", next));
    if (result.gradient_norm > options.clip) scale(ctx, gradients_.flat(), options.clip / result.gradient_norm);
    result.rate = options.schedule.rate(next);
    AdamW rule;
    rule.rate = result.rate, rule.beta1 = options.beta1, rule.beta2 = options.beta2, rule.epsilon = options.epsilon,
    rule.weight_decay = options.weight_decay;
    adamw_update(ctx, values.flat(), first.flat(), second.flat(), std::span<const T>(gradients_.flat()), rule, next);
    step = next;
    return result;
  }

 private:
  Weights<Module, T> gradients_;
};

}  // namespace wu::train
