// The mean squared error on the CPU. A sample is summed in a number of parts that depends on the samples alone, so that the
// threads' number does not show.
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/losses.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
/// On samples of `count` values each.
template <class T>
struct Losses {
  using Sum = accumulator_t<T>;
  static double mse(Context& ctx, std::span<double> per_sample, const T* prediction, const T* target, Index count);
  static void mse_backward(Context& ctx, T* dprediction, const T* prediction, const T* target,
                           std::span<const double> weights, Index count);

 private:
  template <Index W>
  static auto in_double(const T* values) {
    if constexpr (W == 1) return static_cast<double>(*values);
    else return __builtin_convertvector(detail::load_wide<W>(values), typename detail::Lanes<double, W>::type);
  }
};

template <class T>
double Losses<T>::mse(Context& ctx, std::span<double> per_sample, const T* prediction, const T* target, Index count) {
  constexpr Index slots = 64;
  const Index samples = static_cast<Index>(per_sample.size());
  double total = 0;
  for (Index first = 0; first < samples; first += slots) {
    const Index some = std::min(slots, samples - first), parts = slots / some;
    std::array<double, slots> sums{};
    ctx.split(some * parts, count / parts, [&](int, Index begin, Index end) {
      for (Index slot = begin; slot < end; ++slot) {
        const Index from = count * (slot % parts) / parts, until = count * (slot % parts + 1) / parts;
        const T* const p = prediction + (first + slot / parts) * count + from;
        const T* const t = target + (first + slot / parts) * count + from;
        const auto square = [p, t]<Index W>(Index k) {
          const auto error = in_double<W>(p + k) - in_double<W>(t + k);
          return std::array<typename detail::Lanes<double, W>::type, 1>{error * error};
        };
        sums[static_cast<std::size_t>(slot)] = detail::row_sums<double, 1>(until - from, square)[0];
      }
    });
    for (Index s = 0; s < some; ++s) {
      double sum = 0;
      for (Index part = 0; part < parts; ++part) sum += sums[static_cast<std::size_t>(s * parts + part)];
      total += per_sample[static_cast<std::size_t>(first + s)] = sum / static_cast<double>(count);
    }
  }
  return total / static_cast<double>(samples);
}

template <class T>
void Losses<T>::mse_backward(Context& ctx, T* dprediction, const T* prediction, const T* target,
                             std::span<const double> weights, Index count) {
  ctx.split(count * static_cast<Index>(weights.size()), 1, [=](int, Index begin, Index end) {
    for (Index first = begin, s = begin / count; first < end; first = ++s * count) {
      const Index last = std::min(end, (s + 1) * count);
      const Sum factor = static_cast<Sum>(2 * weights[static_cast<std::size_t>(s)] / static_cast<double>(count));
      detail::each_wide<T>(last - first, [=]<Index W>(Index k) {
        const auto error = detail::load_wide<W>(prediction + first + k) - detail::load_wide<W>(target + first + k);
        detail::store_narrow<W>(dprediction + first + k, error * factor);
      });
    }
  });
}
}  // namespace kernel

/// ops/losses.hpp's, on all threads.
double mse_forward(Context& ctx, View<double, dyn> per_sample, auto prediction, auto target)
  requires detail::one_type<decltype(prediction), decltype(target)>
{
  detail::check_contiguous(prediction, target);
  static_assert(detail::SameWidth<prediction.width, target.width>::value == prediction.width);
  detail::check_sizes("mean squared error", target.size(), prediction.size());
  const Index samples = per_sample.size(), count = detail::sample_values("mean squared error", target.size(), samples);
  return kernel::Losses<value_of<decltype(target)>>::mse(ctx, {per_sample.data, static_cast<std::size_t>(samples)},
                                                         prediction.data, target.data, count);
}

/// ops/losses.hpp's, on all threads.
void mse_backward(Context& ctx, auto dprediction /* = */, auto prediction, auto target, std::span<const double> weights)
  requires detail::one_type<decltype(dprediction), decltype(prediction), decltype(target)>
{
  detail::check_contiguous(dprediction, prediction, target);
  static_assert(detail::SameWidth<prediction.width, target.width, dprediction.width>::value == prediction.width);
  detail::check_sizes("mean squared error backward", target.size(), prediction.size());
  const Index samples = static_cast<Index>(weights.size()),
              count = detail::sample_values("mean squared error backward", target.size(), samples);
  if (!dprediction.data) return;
  detail::check_sizes("mean squared error backward", target.size(), dprediction.size());
  kernel::Losses<value_of<decltype(target)>>::mse_backward(ctx, dprediction.data, prediction.data, target.data, weights,
                                                           count);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
