// AdamW on the CPU: one pass over all four buffers, block by block on all threads.
#pragma once

#include "wu/cpu/activations.hpp"
#include "wu/ops/adamw.hpp"

namespace wu::cpu {

template <class T>
  requires has_product<T>
void adamw_update(Context& ctx, std::span<T> values, std::span<T> m, std::span<T> v, std::span<const T> gradients, const AdamW& rule, Index step) {
  detail::check_adamw(values.size(), m.size(), v.size(), gradients.size(), step);
  const detail::AdamWStep<T> u(rule, step);
  detail::split_blocks<T>(ctx, static_cast<Index>(values.size()), 4, [=](Index first, Index count, auto) {
    const auto g = detail::array(gradients.data() + first, count);
    auto w = detail::array(values.data() + first, count), m1 = detail::array(m.data() + first, count), m2 = detail::array(v.data() + first, count);
    m1 = u.beta1 * m1 + u.rest1 * g;
    m2 = u.beta2 * m2 + u.rest2 * g.square();
    w = u.keep * w - u.rate * m1 / (m2.sqrt() * u.root + u.epsilon);
  });
}

}  // namespace wu::cpu
