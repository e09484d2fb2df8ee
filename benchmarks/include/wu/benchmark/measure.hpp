// How a benchmark is written: its name, the work of one call counted from its sizes, and a setup that makes the inputs and
// returns the call. For example y = 2 x, which reads and writes `n` values:
//     wu::bench::add<float>("double/4096", "forward", moved<float>(2 * n), [](wu::bench::Fixture& f) {
//       const auto x = f.input<float, dyn, 1>(n);
//       const auto y = f.output<float, dyn, 1>(n);
//       return [=] { for (wu::Index k = 0; k < n; ++k) y[k] = 2 * x[k]; };
//     });
// It runs on one thread and on all, after one call to warm up. Counters: GFLOP/s and of_peak, the share of the machine's
// matrix product, for what multiplies; GB/s and of_copy, the share of its copy, for the rest.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wu/benchmark/machine.hpp"
#include "wu/core/dtype.hpp"
#include "wu/core/parameters.hpp"
#include "wu/core/random.hpp"
#include "wu/core/workspace.hpp"

namespace wu::bench {

// ---- work ---------------------------------------------------------------------------------------------------------------
/// Of one call. Operations are those in products, 2 for each multiplication and its addition. Bytes: every input read once
/// and every output written once; what is added to counts twice.
struct Work {
  double operations = 0, bytes = 0;
  friend constexpr Work operator+(Work a, Work b) { return {a.operations + b.operations, a.bytes + b.bytes}; }
  friend constexpr Work operator*(double n, Work a) { return {n * a.operations, n * a.bytes}; }
};

/// As many multiplications with an addition as the product of the factors: (rows, in, out) for a linear layer.
constexpr Work multiply_adds(std::convertible_to<Index> auto... factors) {
  return {(2.0 * ... * static_cast<double>(factors)), 0};
}
/// So many values of T from or to memory.
template <class T>
constexpr Work moved(Index values) {
  return {0, static_cast<double>(values) * sizeof(T)};
}

/// The products of a module's forward pass, by how often its backward pass does as many again.
struct Products {
  Work frozen;     ///< once: dx
  Work trained;    ///< twice: dx and dW
  Work attention;  ///< 2.5 times: forward has the scores and their product with v, backward the scores again and 4 gradients
  friend constexpr Products operator+(const Products& a, const Products& b) {
    return {a.frozen + b.frozen, a.trained + b.trained, a.attention + b.attention};
  }
  friend constexpr Products operator*(double n, const Products& a) { return {n * a.frozen, n * a.trained, n * a.attention}; }
  constexpr Work forward() const { return frozen + trained + attention; }
  constexpr Work backward() const { return frozen + 2 * trained + 2.5 * attention; }
};

// ---- inputs -------------------------------------------------------------------------------------------------------------
/// What one benchmark works with: a context, a workspace, and inputs that are the same in every run.
class Fixture {
 public:
  explicit Fixture(int threads) : ctx({.threads = threads}) {}
  cpu::Context ctx;
  Workspace ws;  ///< what a call takes from it is given back when the call ends

  /// (sizes...) standard normal values. Outputs hold some too: gradients are added to what is there.
  template <class T, Index... E>
  View<T, E...> output(std::convertible_to<Index> auto... sizes) {
    View<T, E...> view(static_cast<T*>(nullptr), sizes...);
    view.data = memory().take_values<T>(view.size());
    fill(view, 1);
    watch(view.data, view.size());
    return view;
  }
  template <class T, Index... E>
  View<const T, E...> input(std::convertible_to<Index> auto... sizes) {
    return output<T, E...>(sizes...);
  }

  /// A module's parameters: matrices normal with variance 1 / fan_in, gains 1, biases 0.
  template <class Module, class T>
  Weights<Module, T>& weights() {
    const auto owned = std::make_shared<Weights<Module, T>>();
    owned_.push_back(owned);
    auto views = owned->view();
    for_each_parameter(views, [&](std::string_view name, auto& view) {
      if constexpr (std::remove_cvref_t<decltype(view)>::rank >= 2)
        fill(view, 1 / std::sqrt(static_cast<double>(view.width)));
      else std::fill(view.begin(), view.end(), T(name.ends_with("bias") ? 0.0f : 1.0f));
    });
    watch(owned->flat().data(), owned->extent);
    return *owned;
  }

  /// Ids 0 .. below - 1.
  std::span<const std::int32_t> ids(Index count, Index below) {
    const std::span<std::int32_t> all(memory().take_values<std::int32_t>(count), static_cast<std::size_t>(count));
    Random random(seed, "ids");
    for (std::int32_t& id : all) id = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(below)));
    return all;
  }

  /// Whether the values are still finite: the time of a sum of NaN says nothing. Looks at the ends of every buffer.
  bool finite() const {
    return std::ranges::all_of(watched_, [](const auto& is_finite) { return is_finite(); });
  }

 private:
  static constexpr std::uint64_t seed = 1;

  /// All fixtures take their inputs from the same memory: asking the system for fresh pages takes longer than most
  /// benchmarks.
  static Workspace& memory() {
    static Workspace shared;
    return shared;
  }

  /// Normal values cost more to draw than most operations to run, so a few thousand repeat; tensors begin at different
  /// places.
  template <class T, Index... E>
  void fill(View<T, E...> view, double deviation) {
    static const auto drawn = [] {
      std::array<float, 4099> values{};
      Random random(seed, "values");
      for (float& v : values) v = static_cast<float>(random.normal());
      return values;
    }();
    const float factor = static_cast<float>(deviation);
    std::size_t at = next_++ * 577 % drawn.size();
    for (T* v = view.begin(); v != view.end(); at = 0) {
      const Index run = std::min(view.end() - v, static_cast<Index>(drawn.size() - at));
      for (Index k = 0; k < run; ++k) v[k] = static_cast<T>(factor * drawn[at + static_cast<std::size_t>(k)]);
      v += run;
    }
  }

  template <class T>
  void watch(T* data, Index size) {
    benchmark::DoNotOptimize(data);  // from here on the compiler must think that others read it
    watched_.push_back([data, size] {
      const auto is_finite = [](T v) { return std::isfinite(static_cast<double>(v)); };
      const Index some = std::min<Index>(size, 1024);
      return std::all_of(data, data + some, is_finite) && std::all_of(data + size - some, data + size, is_finite);
    });
  }

  Workspace::Scope scope_{memory()};
  std::vector<std::shared_ptr<void>> owned_;
  std::vector<std::function<bool()>> watched_;
  std::size_t next_ = 0;
};

// ---- running ------------------------------------------------------------------------------------------------------------
/// How Google Benchmark's JSON tells which library and compiler a file is from.
inline const bool context_is_told = [] {
  benchmark::AddCustomContext("compiler", __VERSION__);
#if defined(__AVX512F__)
  benchmark::AddCustomContext("vectors", "AVX-512");
#elif defined(__AVX__)
  benchmark::AddCustomContext("vectors", "AVX");
#else
  benchmark::AddCustomContext("vectors", "baseline");
#endif
  return true;
}();

template <class T, class Setup>
void run(benchmark::State& state, int threads, Work work, const Setup& setup) {
  Fixture fixture(threads);
  auto call = setup(fixture);
  const auto once = [&] {
    const Workspace::Scope scope(fixture.ws);
    call();
    benchmark::ClobberMemory();
  };
  once();  // the workspace takes its memory, and pages and caches are touched
  for (auto _ : state) once();
  if (!fixture.finite()) state.SkipWithError("a value is no longer finite");
  const auto rate = [&](const char* name, double per_call) {
    state.counters[name] = benchmark::Counter(per_call, benchmark::Counter::kIsIterationInvariantRate);
  };
  if (work.operations > 0) {
    rate("GFLOP/s", work.operations * 1e-9);
    rate("of_peak", work.operations / matrix_peak<T>(threads));
  } else {
    rate("GB/s", work.bytes * 1e-9);
    rate("of_copy", work.bytes / copy_peak(threads));
  }
}

/// Registers "shape/type/direction/threads:n". setup(Fixture&) returns what is measured; T is the type whose peak it is
/// compared with.
template <class T, class Setup>
void add(const std::string& shape, const std::string& direction, Work work, Setup setup) {
  for (const int threads : thread_counts()) {
    const std::string name =
        shape + "/" + std::string(dtype_name<T>) + "/" + direction + "/threads:" + std::to_string(threads);
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run<T>(state, threads, work, setup); })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
}

/// "linear/256x1024/rows:64" from its parts.
template <class... Parts>
std::string join(const Parts&... parts) {
  const auto text = [](const auto& part) {
    if constexpr (std::is_convertible_v<decltype(part), std::string>) return std::string(part);
    else return std::to_string(part);
  };
  return (text(parts) + ...);
}

}  // namespace wu::bench

#define WU_BENCHMARK_JOINED(a, b) a##b
#define WU_BENCHMARK_NAMED(a, b) WU_BENCHMARK_JOINED(a, b)
/// At namespace scope: WU_BENCHMARK(wu::bench::add_linear<double, 256, 1024>(/*rows*/ 64));
#define WU_BENCHMARK(...) \
  [[maybe_unused]] static const bool WU_BENCHMARK_NAMED(wu_benchmark_, __COUNTER__) = ((__VA_ARGS__), true)
