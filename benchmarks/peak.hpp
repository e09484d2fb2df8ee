// The machine's matrix-product peak, for others to be compared with.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "wu/cpu/context.hpp"
#include "wu/cpu/matrix.hpp"

namespace bench {

/// GFLOP/s of Eigen's float32 product of 2048 x 2048 matrices, rows split over `threads`; the best of several runs, taken once.
inline double eigen_peak(int threads) {
  static std::vector<double> known(256);
  double& peak = known.at(static_cast<std::size_t>(threads));
  if (peak > 0) return peak;
  constexpr wu::Index n = 2048;
  wu::cpu::Context ctx({.threads = threads});
  std::vector<float> a(n * n, 0.5f), b(n * n, 0.25f), c(n * n);
  for (int run = 0; run < 7; ++run) {
    const auto start = std::chrono::steady_clock::now();
    ctx.split(n, n * n, [&](int, wu::Index begin, wu::Index end) {
      wu::cpu::kernel::Matrix<float>::times({c.data() + begin * n, n}, {a.data() + begin * n, n}, {b.data(), n}, end - begin,
                                            n, n);
    });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    peak = std::max(peak, 2e-9 * n * n * n / seconds);
  }
  return peak;
}

}  // namespace bench
