// The optimiser's passes over the flat buffer on all threads. Nothing is allocated; the sum of squares does not depend on the
// number of threads.
#pragma once

#include <array>
#include <cmath>
#include <span>

#include "wu/cpu/context.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"
#include "wu/cpu/vector_math.hpp"
#include "wu/ops/adamw.hpp"
#include "wu/ops/clip.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
template <class T>
struct Optimiser {
  static void adamw(Context& ctx, T* w, T* m, T* v, const T* g, Index count, const AdamW& rule, Index step);
  static double squared_norm(Context& ctx, const T* values, Index count);
  static void scale(Context& ctx, T* values, Index count, accumulator_t<T> factor);
};

template <class T>
void Optimiser<T>::adamw(Context& ctx, T* w, T* m, T* v, const T* g, Index count, const AdamW& rule, Index step) {
  const typename VectorMath<T>::Adam by{static_cast<T>(rule.beta1),
                                        static_cast<T>(rule.beta2),
                                        static_cast<T>(1 - rule.rate * rule.weight_decay),
                                        static_cast<T>(rule.rate / (1 - std::pow(rule.beta1, static_cast<double>(step)))),
                                        static_cast<T>(1 / std::sqrt(1 - std::pow(rule.beta2, static_cast<double>(step)))),
                                        static_cast<T>(rule.epsilon)};
  ctx.split_blocks(count, 4, [=](Index begin, Index end) {
    VectorMath<T>::adam(w + begin, m + begin, v + begin, g + begin, end - begin, by);
  });
}

template <class T>
double Optimiser<T>::squared_norm(Context& ctx, const T* values, Index count) {
  constexpr Index parts = 64;
  std::array<double, parts> sums{};
  ctx.split(parts, count / parts, [&](int, Index begin, Index end) {
    for (Index p = begin; p < end; ++p) {
      const T* const in = values + count * p / parts;
      sums[static_cast<std::size_t>(p)] =
          detail::lane_sum<double>(count * (p + 1) / parts - count * p / parts,
                                   [in](Index k) { return static_cast<double>(in[k]) * static_cast<double>(in[k]); });
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

template <class T>
void Optimiser<T>::scale(Context& ctx, T* values, Index count, accumulator_t<T> factor) {
  ctx.split(count, 1, [=](int, Index begin, Index end) {
    for (Index k = begin; k < end; ++k) values[k] = static_cast<T>(static_cast<accumulator_t<T>>(values[k]) * factor);
  });
}
}  // namespace kernel

/// One pass over all four buffers, block by block.
template <class T>
  requires(std::is_same_v<T, float> || std::is_same_v<T, double>)
void adamw_update(Context& ctx, std::span<T> values, std::span<T> first, std::span<T> second, std::span<const T> gradients,
                  const AdamW& rule, Index step) {
  detail::check_adamw(values.size(), first.size(), second.size(), gradients.size(), step);
  kernel::Optimiser<T>::adamw(ctx, values.data(), first.data(), second.data(), gradients.data(),
                              static_cast<Index>(values.size()), rule, step);
}

/// ops/clip.hpp's, on all threads; the same bits for any number of them.
template <class T>
double squared_norm(Context& ctx, std::span<const T> values) {
  return kernel::Optimiser<T>::squared_norm(ctx, values.data(), static_cast<Index>(values.size()));
}

/// ops/clip.hpp's, on all threads.
template <class T>
void scale(Context& ctx, std::span<T> values, double factor) {
  kernel::Optimiser<T>::scale(ctx, values.data(), static_cast<Index>(values.size()), static_cast<accumulator_t<T>>(factor));
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
