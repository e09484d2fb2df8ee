// ops/adamw and clip over flat buffers. What each reads and writes stands beside it, in arrays of `count` values.
#include "wu/benchmark/layers.hpp"

namespace {

using namespace wu;
using namespace wu::bench;

template <class T>
std::span<T> all(View<T, dyn, 1> v) {
  return {v.data, static_cast<std::size_t>(v.size())};
}

template <class T>
void add_adamw(const std::string& name, Index count, bool clipped, bool averaged) {
  using Sum = accumulator_t<T>;
  using Buffers = AdamWBuffers<T>;
  // w, m, v, g -> w, m, v, and the weights rounded; the average, read and written; the gradient once more for its norm
  Work work = 7 * moved<Sum>(count);
  if (Buffers::has_master) work = work + moved<T>(count);
  if (averaged) work = work + 2 * moved<Sum>(count);
  if (clipped) work = work + moved<Sum>(count);
  add<T>(join(name, "/values:", count), "forward", work, [=](Fixture& f) {
    const auto sums = [&] { return all(f.output<Sum, dyn, 1>(count)); };
    Buffers buffers{.values = all(f.output<T, dyn, 1>(count)),
                    .first = sums(),
                    .second = sums(),
                    .gradients = all(f.input<Sum, dyn, 1>(count))};
    if constexpr (Buffers::has_master) buffers.master = sums();
    if (averaged) buffers.average = sums();
    for (Sum& second : buffers.second) second = std::abs(second);
    return [=, &f] {
      AdamW rule{.average_decay = 0.999};
      if (clipped) rule.gradient_scale = clip_factor(std::sqrt(squared_norm(f.ctx, buffers.gradients)), 1);
      adamw_update(f.ctx, buffers, rule, 1000);
    };
  });
}

template <class T>
void add_optimiser(Index count) {
  add_adamw<T>("adamw", count, false, false);
  add_adamw<T>("adamw_average", count, false, true);
  add_adamw<T>("clip_adamw_average", count, true, true);
}

// g -> one number
template <class T>
void add_norm(Index count) {
  add<T>(join("squared_norm/values:", count), "forward", moved<T>(count), [=](Fixture& f) {
    const auto g = f.input<T, dyn, 1>(count);
    return [=, &f] {
      double sum = squared_norm(f.ctx, all(g));
      benchmark::DoNotOptimize(sum);
    };
  });
}

WU_BENCHMARK(add_optimiser<float>(16 << 20));  // 64 MiB an array: more than a cache holds
WU_BENCHMARK(add_norm<float>(16 << 20));
WU_BENCHMARK(add_optimiser<double>(8 << 20));
WU_BENCHMARK(add_norm<double>(8 << 20));
WU_BENCHMARK(add_optimiser<bfloat16>(16 << 20));

}  // namespace
