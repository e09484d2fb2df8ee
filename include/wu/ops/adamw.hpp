// AdamW, decoupled weight decay.                                                       Loshchilov & Hutter 2019, algorithm 2
//     m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g^2
//     w -= rate (m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + epsilon) + decay w)
#pragma once

#include <cmath>
#include <span>

#include "wu/ops/reference.hpp"

namespace wu {

/// The rule's constants; rate and weight_decay as in the formula above.
struct AdamW {
  double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
};

namespace detail {
inline void check_adamw(std::size_t values, std::size_t first, std::size_t second, std::size_t gradients, Index step) {
  if (first != values || second != values || gradients != values || step < 1)
    throw ShapeError(message("adamw: expected moments and gradients for ", values, " values and a step from 1, found ",
                             first, ", ", second, ", ", gradients, " and step ", step));
}

template <class T, class M>
void adamw_slice(T* w, M* m, M* v, const T* g, Index count, const AdamW& rule, Index step) {
  const M b1 = static_cast<M>(rule.beta1), b2 = static_cast<M>(rule.beta2),
          decay = static_cast<M>(rule.rate * rule.weight_decay);
  const M rate = static_cast<M>(rule.rate / (1 - std::pow(rule.beta1, static_cast<double>(step))));
  const M correction = static_cast<M>(1 / std::sqrt(1 - std::pow(rule.beta2, static_cast<double>(step)))),
          epsilon = static_cast<M>(rule.epsilon);
  for (Index k = 0; k < count; ++k) {
    const M gradient = static_cast<M>(g[k]);
    m[k] = b1 * m[k] + (1 - b1) * gradient;
    v[k] = b2 * v[k] + (1 - b2) * gradient * gradient;
    w[k] = static_cast<T>(static_cast<M>(w[k]) - rate * m[k] / (std::sqrt(v[k]) * correction + epsilon) -
                          decay * static_cast<M>(w[k]));
  }
}
}  // namespace detail

/// step counts from 1. All spans have one length; the moments are float or double.
template <class T, class M>
void adamw_update(reference&, std::span<T> values, std::span<M> first, std::span<M> second, std::span<const T> gradients,
                  const AdamW& rule, Index step) {
  detail::check_adamw(values.size(), first.size(), second.size(), gradients.size(), step);
  detail::adamw_slice(values.data(), first.data(), second.data(), gradients.data(), static_cast<Index>(values.size()), rule,
                      step);
}

}  // namespace wu
