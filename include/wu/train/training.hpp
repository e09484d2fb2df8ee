// The state of a training run and one optimiser step of it:                                              paper section 3.6, eq. 7
//     gradients = 0;  for each part of the batch: gradients += d loss;  their norm;  clip and AdamW and average in one pass
// Nothing is changed when a loss or gradient is not finite: the step throws first. Random numbers are keyed by the step, so the
// weights, two moments, the average if there is one and the step number are all there is to save.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "wu/core/parameters.hpp"
#include "wu/ops/adamw.hpp"
#include "wu/ops/clip.hpp"
#include "wu/ops/elementwise.hpp"
#include "wu/train/schedule.hpp"

namespace wu::train {

/// What stays the same over a run.
struct Options {
  Schedule schedule;
  double clip = 1;  ///< largest norm of the gradient, above 0; infinity: any
  double beta1 = 0.9, beta2 = 0.98, epsilon = 1e-8, weight_decay = 0;
  Index accumulate = 1;      ///< parts of a batch whose gradients are averaged into one step
  double average_decay = 0;  ///< of the moving average of the weights, below 1, such as 0.999; 0: none
};

/// What a step reports.
struct StepResult {
  double loss = 0, gradient_norm = 0, rate = 0;
};

/// Module: what learns; T: the scalar in which it computes. Weights, gradients and moments are zero at first: initialise weights().
template <class Module, class T>
class Training {
 public:
  /// The scalar in which weights learn and gradients are summed: float where T is bfloat16, else T.
  using Sum = accumulator_t<T>;
  /// Views of the weights as the module reads them.
  using Frozen = typename Module::template Parameters<const T>;

  /// All zero, in the host's memory, or in that of the device that is to train.
  explicit Training(const MemoryResource* memory = nullptr)
      : first(memory), second(memory), weights_(memory), gradients_(memory) {}
  /// A copy in a device's memory, or in the host's where that is null: to go on there, to read or to save. Gradients are not
  /// copied.
  Training in(const MemoryResource* memory) const {
    Training copy(memory);
    copy.weights_.assign(weights_), copy.first.assign(first), copy.second.assign(second);
    if (average) copy.average = average->in(memory);
    copy.step = step;
    return copy;
  }

  Weights<Module, Sum> first, second;           ///< Adam's moments
  std::optional<Weights<Module, Sum>> average;  ///< of the weights, from the first step whose average_decay is above 0
  Index step = 0;                               ///< steps done

  /// Calls at(name, weights) for all that a checkpoint holds beside the number of steps: "values", which are weights(), "first",
  /// "second" and, where there is one, "average".
  void visit(auto&& at) {
    at("values", weights()), at("first", first), at("second", second);
    if (average) at("average", *average);
  }

  ///@{
  /// The weights that learn: to initialise, load and save. Where T is bfloat16 they are float32, and the module reads values(),
  /// a rounded copy. Write through what this returns before the next step, not after it: the copy is made again once for each
  /// call of the first form.
  Weights<Module, Sum>& weights() {
    stale_ = true;
    return weights_;
  }
  const Weights<Module, Sum>& weights() const { return weights_; }
  ///@}

  /// The weights as the module reads them; ctx makes the rounded copy where there is one.
  const Weights<Module, T>& values(auto& ctx) {
    if constexpr (!has_master) return weights_;
    else {
      if (!rounded_) rounded_.emplace(weights_.memory());
      if (stale_) convert(ctx, flat(*rounded_), as_const(flat(weights_)));
      stale_ = false;
      return *rounded_;
    }
  }
  /// The same, of a run in the host's memory.
  const Weights<Module, T>& values() {
    reference host;
    return values(host);
  }

  /// This step's gradients, for a compute() that wants the owner rather than the views; after a step, its gradients before
  /// clipping, summed over the parts of the batch.
  Weights<Module, Sum>& gradients() { return gradients_; }

  /// compute(values, gradients, step, part) adds one part's gradients and returns its loss; step counts from 1. Throws
  /// NonFiniteError before anything of the run is changed.
  template <class Compute>
  StepResult advance(auto& ctx, const Options& options, Compute&& compute) {
    if (options.accumulate < 1)
      throw Error(message("training: expected at least one part of a batch, found ", options.accumulate));
    if (!(options.clip > 0)) throw Error(message("training: expected a largest norm above 0, found ", options.clip));
    if (!(options.average_decay >= 0 && options.average_decay < 1))
      throw Error(message("training: expected an average's decay from 0 to below 1, found ", options.average_decay));
    if (average && options.average_decay == 0)
      throw Error("training: expected the decay of the average that this run has, found 0; to go on without it, reset() it");
    const Index next = step + 1;
    zero(ctx, flat(gradients_));
    const Frozen frozen = values(ctx).view();
    StepResult result;
    for (Index part = 0; part < options.accumulate; ++part) {
      const double loss = compute(frozen, gradients_.view(), next, part);
      if (!std::isfinite(loss))
        throw NonFiniteError(
            message("the loss is not finite at step ", next, ", part ", part + 1, " of ", options.accumulate));
      result.loss += loss / static_cast<double>(options.accumulate);
    }
    result.rate = options.schedule.rate(next);
    // Begun in the middle of a run, the average takes the weights as they are now for those of all steps before.
    std::optional<Weights<Module, Sum>> begun;
    if (options.average_decay > 0 && !average) begun = weights_.clone();
    AdamWBuffers<T> buffers{.first = first.flat(), .second = second.flat(), .gradients = gradients_.flat()};
    if constexpr (has_master) buffers.values = rounded_->flat(), buffers.master = weights_.flat();
    else buffers.values = weights_.flat();
    if (average || begun) buffers.average = (begun ? begun : average)->flat();
    result.gradient_norm = clipped_adamw_update(ctx, buffers,
                                                {.rate = result.rate,
                                                 .beta1 = options.beta1,
                                                 .beta2 = options.beta2,
                                                 .epsilon = options.epsilon,
                                                 .weight_decay = options.weight_decay,
                                                 .gradient_scale = 1 / static_cast<double>(options.accumulate),
                                                 .average_decay = options.average_decay},
                                                next, options.clip);
    if (!std::isfinite(result.gradient_norm)) throw NonFiniteError(message("a gradient is not finite at step ", next));
    if (begun) average = std::move(begun);
    step = next;
    return result;
  }

 private:
  static constexpr bool has_master = AdamWBuffers<T>::has_master;
  template <class U>
  static View<U, dyn> flat(Weights<Module, U>& all) {
    return {all.flat().data(), static_cast<Index>(all.flat().size())};
  }

  Weights<Module, Sum> weights_, gradients_;
  std::optional<Weights<Module, T>> rounded_;
  bool stale_ = true;  ///< rounded_ may be no copy of the weights that are there now
};

}  // namespace wu::train
