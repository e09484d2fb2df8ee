// ops/linear and ops/lora, through the layers that call nothing else: y = x W^T + b, and the same with an adapter beside it.
#include "wu/benchmark/layers.hpp"

namespace {

using namespace wu;
using namespace wu::bench;

/// Only the adapter's part, with one adapter for each sample: x A^T and (x A^T) B^T. Backward has two products for each.
template <class T, Index In, Index Out, Index Rank, std::size_t Samples = 2>
void add_lora(Index rows) {
  static constexpr auto which = own_adapters<Samples>();
  const std::string shape = join("lora/", In, "x", Out, "/rank:", Rank, rows_of_samples(rows, Samples));
  const Work work = multiply_adds(rows, Rank, In + Out);
  add<T>(shape, "forward", work, [=](Fixture& f) {
    const auto y = f.output<T, dyn, Out>(rows);
    const auto xa = f.output<T, dyn, Rank>(rows);
    const auto x = f.input<T, dyn, In>(rows);
    const AdapterView<const T, In, Out, Rank> a = adapters<T, In, Out, Rank>(f, Samples);
    return [=, &f] { lora_forward(f.ctx, f.ws, y, xa, x, a, which, 1.0); };
  });
  add<T>(shape, "backward", 2 * work, [=](Fixture& f) {
    const auto dx = f.output<T, dyn, In>(rows);
    const auto dy = f.input<T, dyn, Out>(rows);
    const auto x = f.input<T, dyn, In>(rows);
    const auto xa = f.input<T, dyn, Rank>(rows);
    const auto da = adapters<accumulator_t<T>, In, Out, Rank>(f, Samples);
    const AdapterView<const T, In, Out, Rank> a = adapters<T, In, Out, Rank>(f, Samples);
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
WU_BENCHMARK(add_lora<float, 1024, 4096, 16, 8>(2048));
WU_BENCHMARK(add_lora<bfloat16, 1024, 4096, 16, 8>(2048));

WU_BENCHMARK_LORA_LINEAR(512, 512, 16, 1024);
WU_BENCHMARK_LORA_LINEAR(128, 384, 8, 1024);
WU_BENCHMARK(add_linear<float, 1024, 4096>(2048));
WU_BENCHMARK(add_linear<bfloat16, 1024, 4096>(2048));
WU_BENCHMARK(add_lora_linear<float, 1024, 4096, 16, 8>(2048));
WU_BENCHMARK(add_lora_linear<bfloat16, 1024, 4096, 16, 8>(2048));

}  // namespace
