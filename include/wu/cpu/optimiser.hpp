// The optimiser's passes over the flat buffers on all threads. Nothing is allocated, and the same bits come out for any number of
// threads.
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "wu/cpu/bfloat16.hpp"
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
  static void adamw(Context& ctx, const AdamWBuffers<T>& to, const AdamW& rule, Index step);
  static double squared_norm(Context& ctx, const T* values, Index count);
};

template <class T>
void Optimiser<T>::adamw(Context& ctx, const AdamWBuffers<T>& to, const AdamW& rule, Index step) {
  using S = typename AdamWBuffers<T>::Sum;
  const detail::AdamWConstants<S> by(rule, step);
  ctx.split_blocks(static_cast<Index>(to.values.size()), 4, [=](Index begin, Index end) {
    constexpr Index block = 512;  // what has just been updated is rounded while it is in the nearest cache
    for (Index k = begin; k < end; k += block) {
      const Index n = std::min(block, end - k);
      S* const w = to.weights().data() + k;
      VectorMath<S>::adamw(w, to.first.data() + k, to.second.data() + k,
                           to.average.empty() ? nullptr : to.average.data() + k, to.gradients.data() + k, n, by);
      if constexpr (AdamWBuffers<T>::has_master) detail::narrow(to.values.data() + k, w, n);
    }
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
}  // namespace kernel

/// One pass over all buffers, block by block.
template <class T>
  requires(std::is_same_v<accumulator_t<T>, float> || std::is_same_v<accumulator_t<T>, double>)
void adamw_update(Context& ctx, const AdamWBuffers<T>& to, const AdamW& rule, Index step) {
  detail::check_adamw(to, rule, step);
  kernel::Optimiser<T>::adamw(ctx, to, rule, step);
}

/// ops/clip.hpp's, on all threads; the same bits for any number of them.
template <class T>
double squared_norm(Context& ctx, std::span<const T> values) {
  return kernel::Optimiser<T>::squared_norm(ctx, values.data(), static_cast<Index>(values.size()));
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
