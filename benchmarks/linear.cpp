// ops/linear and ops/lora, through the layers that call nothing else: y = x W^T + b, and the same with an adapter beside it.
#include "wu/benchmark/layers.hpp"

namespace {

using namespace wu;
using namespace wu::bench;

/// Only the adapter's part, with one adapter for each of two samples: x A^T and (x A^T) B^T. Backward has two products for
/// each.
template <class T, Index In, Index Out, Index Rank>
void add_lora(Index rows) {
  static constexpr std::array<Index, 2> which{0, 1};
  const std::string shape = join("lora/", In, "x", Out, "/rank:", Rank, "/rows:", rows);
  const Work work = multiply_adds(rows, Rank, In + Out);
  const auto adapters = [](Fixture& f) {
    constexpr Index values = Rank * (In + Out);
    const auto all = f.output<T, dyn, 1>(2 * values);
    return AdapterView<T, In, Out, Rank>{all.data, all.data + Rank * In, values, 2};
  };
  add<T>(shape, "forward", work, [=](Fixture& f) {
    const auto y = f.output<T, dyn, Out>(rows);
    const auto xa = f.output<T, dyn, Rank>(rows);
    const auto x = f.input<T, dyn, In>(rows);
    const AdapterView<const T, In, Out, Rank> a = adapters(f);
    return [=, &f] { lora_forward(f.ctx, f.ws, y, xa, x, a, which, 1.0); };
  });
  add<T>(shape, "backward", 2 * work, [=](Fixture& f) {
    const auto dx = f.output<T, dyn, In>(rows);
    const auto dy = f.input<T, dyn, Out>(rows);
    const auto x = f.input<T, dyn, In>(rows);
    const auto xa = f.input<T, dyn, Rank>(rows);
    const auto da = adapters(f);
    const AdapterView<const T, In, Out, Rank> a = adapters(f);
    return [=, &f] { lora_backward(f.ctx, f.ws, dx, da, dy, x, xa, a, which, 1.0); };
  });
}

WU_BENCHMARK(add_linear<float, 512, 512>(768));
WU_BENCHMARK(add_linear<float, 512, 2048>(768));
WU_BENCHMARK(add_linear<float, 64, 64>(1024));
WU_BENCHMARK(add_linear<double, 512, 512>(768));
WU_BENCHMARK(add_linear<bfloat16, 128, 128>(64));

WU_BENCHMARK(add_lora<float, 512, 512, 16>(1024));
WU_BENCHMARK(add_lora<float, 64, 128, 8>(4096));
WU_BENCHMARK(add_lora<double, 512, 512, 16>(1024));
WU_BENCHMARK(add_lora<bfloat16, 128, 128, 8>(64));

WU_BENCHMARK_LORA_LINEAR(512, 512, 16, 1024);
WU_BENCHMARK_LORA_LINEAR(128, 384, 8, 1024);

}  // namespace
