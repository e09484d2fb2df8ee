// What the others are compared with, as benchmarks of their own: shares near 1 say that the machine was quiet.
#include "wu/benchmark/machine.hpp"

#include "wu/benchmark/measure.hpp"

namespace {

using namespace wu::bench;
using wu::bfloat16;

template <class T, class Peak>
void add_peak(const std::string& name, Work work) {
  add<T>(name, "forward", work, [](Fixture& f) {
    const auto peak = std::make_shared<Peak>();
    return [&f, peak] {
      (*peak)(f.ctx);
      benchmark::DoNotOptimize(peak.get());
    };
  });
}

template <class T>
void add_products() {
  add_peak<T, PackedPeak<T>>("machine/packed_product", {PackedPeak<T>::operations, 0});
  add_peak<T, LinearProduct<T>>("machine/linear_product", {LinearProduct<T>::operations, 0});
}

WU_BENCHMARK(add_products<float>());
WU_BENCHMARK(add_products<double>());
WU_BENCHMARK(add_products<bfloat16>());
WU_BENCHMARK(add_peak<float, MemoryCopy>("machine/copy", {0, MemoryCopy::bytes}));

}  // namespace
