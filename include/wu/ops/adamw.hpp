// AdamW, decoupled weight decay, in one pass with clipping and a moving average.       Loshchilov & Hutter 2019, algorithm 2
//     g = gradient_scale gradient
//     m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g^2
//     w -= rate (m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + epsilon) + decay w)
//     a += (1 - average_decay) / (1 - average_decay^step) (w - a)
// The average's factor is Adam's bias correction: a is the mean of the weights after steps 1 .. step, each weighing average_decay
// times as much as the one after it, whatever a was before the first step.
#pragma once

#include <cmath>
#include <concepts>
#include <span>

#include "wu/core/dtype.hpp"
#include "wu/ops/clip.hpp"

namespace wu {

/// The rule's constants, and what may change from step to step; rate and weight_decay as in the formula above.
struct AdamW {
  double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  double gradient_scale = 1;  ///< clip_factor(), or 1 over the number of parts that were added, or both
  double average_decay = 0;   ///< from 0 to below 1; read where there is an average
};

/// The flat buffers of one update, all of one length. T: the scalar in which modules read the weights; all else is in the scalar
/// in which T is summed, float for bfloat16.
template <class T>
struct AdamWBuffers {
  /// What moments, master weights, average and gradients are in.
  using Sum = accumulator_t<T>;
  static constexpr bool has_master = !std::is_same_v<T, Sum>;

  std::span<T> values{};             ///< the weights; where there are master weights, these rounded, only written
  std::span<Sum> master{};           ///< the weights before rounding, where T is not Sum; empty where it is
  std::span<Sum> first{}, second{};  ///< moments
  std::span<Sum> average{};          ///< moving average of the weights; empty: none
  std::span<const Sum> gradients{};

  /// What is updated: the master weights, or the values where they are their own.
  std::span<Sum> weights() const {
    if constexpr (has_master) return master;
    else return values;
  }
};

namespace detail {
/// The formula's constants, put together once for a whole pass.
template <class S>
struct AdamWConstants {
  S scale, beta1, beta2, epsilon, decay, rate, correction, average;

  AdamWConstants(const AdamW& rule, Index step)
      : scale(static_cast<S>(rule.gradient_scale)),
        beta1(static_cast<S>(rule.beta1)),
        beta2(static_cast<S>(rule.beta2)),
        epsilon(static_cast<S>(rule.epsilon)),
        decay(static_cast<S>(rule.rate * rule.weight_decay)),
        rate(static_cast<S>(rule.rate / (1 - std::pow(rule.beta1, static_cast<double>(step))))),
        correction(static_cast<S>(1 / std::sqrt(1 - std::pow(rule.beta2, static_cast<double>(step))))),
        average(static_cast<S>((1 - rule.average_decay) / (1 - std::pow(rule.average_decay, static_cast<double>(step))))) {}
};

template <class T>
void check_adamw(const AdamWBuffers<T>& to, const AdamW& rule, Index step) {
  const std::size_t count = to.values.size(), masters = AdamWBuffers<T>::has_master ? count : 0;
  if (to.first.size() != count || to.second.size() != count || to.gradients.size() != count || to.master.size() != masters ||
      (to.average.size() != count && !to.average.empty()) || step < 1)
    throw ShapeError(message("adamw: expected two moments and gradients for ", count, " values, ", masters,
                             " master weights, an average of as many values or none, and a step from 1, found ",
                             to.first.size(), ", ", to.second.size(), ", ", to.gradients.size(), ", ", to.master.size(),
                             ", ", to.average.size(), " and step ", step));
  if (!to.average.empty() && !(rule.average_decay >= 0 && rule.average_decay < 1))
    throw Error(message("adamw: expected an average's decay from 0 to below 1, found ", rule.average_decay));
}
}  // namespace detail

/// One update; step counts from 1. Throws ShapeError where lengths differ, Error where the average's decay is none.
template <class T>
void adamw_update(reference&, const AdamWBuffers<T>& to, const AdamW& rule, Index step) {
  using S = typename AdamWBuffers<T>::Sum;
  detail::check_adamw(to, rule, step);
  const detail::AdamWConstants<S> c(rule, step);
  const std::span<S> weights = to.weights();
  for (std::size_t k = 0; k < weights.size(); ++k) {
    S &w = weights[k], &m = to.first[k], &v = to.second[k];
    const S g = c.scale * to.gradients[k];
    m = c.beta1 * m + (1 - c.beta1) * g;
    v = c.beta2 * v + (1 - c.beta2) * g * g;
    w -= c.rate * m / (std::sqrt(v) * c.correction + c.epsilon) + c.decay * w;
    if (!to.average.empty()) to.average[k] += c.average * (w - to.average[k]);
    if constexpr (AdamWBuffers<T>::has_master) to.values[k] = static_cast<T>(w);
  }
}

/// One update with clipped gradients: rule.gradient_scale times all of them, brought to the limit where their norm is above it. Returns
/// that norm, before clipping; where it is not finite, nothing is changed.
template <class T>
double clipped_adamw_update(std::derived_from<reference> auto& ctx, const AdamWBuffers<T>& to, AdamW rule, Index step,
                            double limit) {
  detail::check_adamw(to, rule, step);
  const double norm = rule.gradient_scale * std::sqrt(squared_norm(ctx, to.gradients));
  if (!std::isfinite(norm)) return norm;
  rule.gradient_scale *= clip_factor(norm, limit);
  adamw_update(ctx, to, rule, step);
  return norm;
}

}  // namespace wu
