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
void add_optimiser(Index count) {
  const std::string size = join("values:", count);
  const Work array = moved<T>(count);
  using Moment = accumulator_t<T>;
  // w, g -> w and m, v -> m, v
  add<T>("adamw/" + size, "forward", 3 * array + 4 * moved<Moment>(count), [=](Fixture& f) {
    const auto w = f.output<T, dyn, 1>(count);
    const auto m = f.output<Moment, dyn, 1>(count), v = f.output<Moment, dyn, 1>(count);
    const auto g = f.input<T, dyn, 1>(count);
    for (Moment& second : v) second = std::abs(second);
    return [=, &f] { adamw_update(f.ctx, all(w), all(m), all(v), all(g), AdamW{}, 1000); };
  });
  // g -> one number
  add<T>("squared_norm/" + size, "forward", array, [=](Fixture& f) {
    const auto g = f.input<T, dyn, 1>(count);
    return [=, &f] {
      double sum = squared_norm(f.ctx, all(g));
      benchmark::DoNotOptimize(sum);
    };
  });
  // g -> g
  add<T>("scale/" + size, "forward", 2 * array, [=](Fixture& f) {
    const auto g = f.output<T, dyn, 1>(count);
    return [=, &f] { scale(f.ctx, all(g), -1.0); };
  });
  // The norm, and the gradient once more to shrink it. The limit falls from call to call, so that there is always something
  // to clip.
  add<T>("clip_norm/" + size, "forward", 3 * array, [=](Fixture& f) {
    const auto g = f.output<T, dyn, 1>(count);
    const double norm = std::sqrt(squared_norm(f.ctx, all(as_const(g))));
    return [=, &f, limit = norm]() mutable { clip_norm(f.ctx, all(g), limit *= 0.9999); };
  });
}

WU_BENCHMARK(add_optimiser<float>(16 << 20));  // 64 MiB an array: more than a cache holds
WU_BENCHMARK(add_optimiser<double>(8 << 20));
WU_BENCHMARK(add_optimiser<bfloat16>(1 << 18));

}  // namespace
