// The optimiser's passes over the flat buffer on all threads. Nothing is allocated; the sum of squares does not depend on the
// number of threads.
#pragma once

#include <algorithm>
#include <array>

#include "wu/cpu/activations.hpp"
#include "wu/cpu/elementwise.hpp"
#include "wu/ops/adamw.hpp"
#include "wu/ops/clip.hpp"

namespace wu::cpu {

/// One pass over all four buffers, block by block. Eigen's square root is vectorised, std::sqrt in a loop is not, for it may set errno.
template <class T>
  requires has_product<T>
void adamw_update(Context& ctx, std::span<T> values, std::span<T> first, std::span<T> second, std::span<const T> gradients,
                  const AdamW& rule, Index step) {
  const bool fits =
      first.size() == values.size() && second.size() == values.size() && gradients.size() == values.size() && step >= 1;
  if (!fits)
    return wu::adamw_update(static_cast<reference&>(ctx), values, first, second, gradients, rule,
                            step);  // which says what is wrong
  const T b1 = static_cast<T>(rule.beta1), b2 = static_cast<T>(rule.beta2),
          keep = static_cast<T>(1 - rule.rate * rule.weight_decay);
  const T rate = static_cast<T>(rule.rate / (1 - std::pow(rule.beta1, static_cast<double>(step))));
  const T correction = static_cast<T>(1 / std::sqrt(1 - std::pow(rule.beta2, static_cast<double>(step)))),
          epsilon = static_cast<T>(rule.epsilon);
  detail::split_blocks<T>(ctx, static_cast<Index>(values.size()), 4, [=](Index from, Index count, auto) {
    const auto g = detail::array(gradients.data() + from, count);
    auto w = detail::array(values.data() + from, count), m = detail::array(first.data() + from, count),
         v = detail::array(second.data() + from, count);
    m = b1 * m + (1 - b1) * g;
    v = b2 * v + (1 - b2) * g.square();
    w = keep * w - rate * m / (v.sqrt() * correction + epsilon);
  });
}

template <class T>
double squared_norm(Context& ctx, std::span<const T> values) {
  constexpr Index parts = 64;
  const Index n = static_cast<Index>(values.size());
  std::array<double, parts> sums{};
  ctx.split(parts, n / parts, [&](int, Index begin, Index end) {
    for (Index p = begin; p < end; ++p) {
      const T* const in = values.data() + n * p / parts;
      sums[static_cast<std::size_t>(p)] = detail::lane_sum<double>(n * (p + 1) / parts - n * p / parts, [in](Index k) {
        return static_cast<double>(in[k]) * static_cast<double>(in[k]);
      });
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

template <class T>
void scale(Context& ctx, std::span<T> values, double factor) {
  const auto f = static_cast<accumulator_t<T>>(factor);
  T* const out = values.data();
  ctx.split(static_cast<Index>(values.size()), 1, [=](int, Index begin, Index end) {
    for (Index k = begin; k < end; ++k) out[k] = static_cast<T>(static_cast<accumulator_t<T>>(out[k]) * f);
  });
}

}  // namespace wu::cpu
