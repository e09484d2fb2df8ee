// What this machine does at best, measured in the same run as everything that is compared with it: matrix products for what
// multiplies, a large copy for what moves bytes. Each is the best of several runs, taken once per number of threads.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iterator>
#include <map>
#include <thread>
#include <type_traits>
#include <vector>

#include "wu/core/buffer.hpp"
#include "wu/cpu/linear.hpp"
#include "wu/cpu/packed_product.hpp"

namespace wu::bench {

/// One thread, and as many as the machine has.
inline std::vector<int> thread_counts() {
  const int all = static_cast<int>(std::thread::hardware_concurrency());
  return all > 1 ? std::vector{1, all} : std::vector{1};
}

/// wu's own, dx = dy W of a linear layer.                                                    2 rows n^2 operations
template <class T>
struct LinearProduct {
  static constexpr Index n = 512, rows = 1024;
  static constexpr double operations = 2.0 * rows * n * n;
  Buffer<T> dx{rows * n}, dy{rows * n}, W{n * n};
  LinearProduct() {
    std::ranges::fill(dy.span(), T(0.5));
    std::ranges::fill(W.span(), T(0.25));
  }
  void operator()(cpu::Context& ctx) {
    const View<const T, dyn, n> g(dy.data(), rows), x = g;
    linear_backward(ctx, View<T, dyn, n>(dx.data(), rows), View<accumulator_t<T>, n, n>(), View<accumulator_t<T>, n>(), g, x,
                    View<const T, n, n>(W.data()));
  }
};

/// wu's own product of packed operands that stay in the caches, `repeats` times split over the threads.
template <class T>
struct PackedPeak {
  using Product = cpu::kernel::PackedProduct<T>;
  static constexpr Index rows = Product::up_to(Product::rows, 96), columns = 512, K = 512 * Product::depth, repeats = 32;
  static constexpr double operations = 2.0 * rows * columns * K * repeats;
  /// One thread's own.
  struct Operands {
    Buffer<typename Product::Word> a{Product::packed_rows(rows, K)}, b{Product::packed_columns(columns, K)};
    Buffer<typename Product::Sum> c{rows * columns};
    Operands() {
      const std::vector<T> halves(static_cast<std::size_t>(columns * K), T(0.5));
      Product::pack_rows(a.data(), halves.data(), K, rows, K);
      Product::pack_columns(b.data(), halves.data(), columns, columns, K);
    }
  };
  std::vector<Operands> operands;
  void operator()(cpu::Context& ctx) {
    while (std::ssize(operands) < ctx.threads()) operands.emplace_back();
    ctx.split(repeats, rows * columns * K, [&](int thread, Index begin, Index end) {
      Operands& own = operands[static_cast<std::size_t>(thread)];
      for (Index repeat = begin; repeat < end; ++repeat)
        Product::multiply(own.c.data(), columns, own.a.data(), own.b.data(), rows, columns, K, false);
    });
  }
};

/// A copy of an array that no cache holds, cut into equal parts.                        `size` bytes read, as many written
struct MemoryCopy {
  static constexpr Index size = Index{64} << 20;
  static constexpr double bytes = 2.0 * size;
  Buffer<std::byte> from{size}, to{size};
  void operator()(cpu::Context& ctx) {
    ctx.split(size, 1, [&](int, Index begin, Index end) {
      std::memcpy(to.data() + begin, from.data() + begin, static_cast<std::size_t>(end - begin));
    });
  }
};

/// The least seconds that one of several calls of work(ctx) took.
template <class Work>
double best_seconds(int threads, Work& work) {
  cpu::Context ctx({.threads = threads});
  double best = 0;
  for (int run = 0; run < 7; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work(ctx);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = run == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

/// Operations per second of the faster of the two products in T.
template <class T>
double matrix_peak(int threads) {
  static std::map<int, double> known;
  double& peak = known[threads];
  if (peak == 0) {
    PackedPeak<T> packed;
    LinearProduct<T> linear;
    peak = std::max(packed.operations / best_seconds(threads, packed), linear.operations / best_seconds(threads, linear));
  }
  return peak;
}

/// Bytes per second of the copy, those read and those written both counted.
inline double copy_peak(int threads) {
  static std::map<int, double> known;
  double& peak = known[threads];
  if (peak == 0) {
    MemoryCopy copy;
    peak = copy.bytes / best_seconds(threads, copy);
  }
  return peak;
}

}  // namespace wu::bench
