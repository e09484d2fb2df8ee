// Adapters for tests: random values, and what they do to an input, summed in double by the formula itself.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "support.hpp"
#include "wu/core/dtype.hpp"
#include "wu/io/adapter.hpp"

namespace wu::test {

/// Values in [-1, 1], multiples of 1/128, which every type of a file can hold; unlike for each seed.
template <class T>
std::vector<T> some_values(Index count, std::uint64_t seed) {
  std::vector<T> values;
  std::uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (Index k = 0; k < count; ++k) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    values.push_back(static_cast<T>(static_cast<double>(static_cast<int>(state >> 40 & 0xFFu) - 128) / 128));
  }
  return values;
}

template <class T = double>
io::Adapter<T> some_adapter(std::string module, Index in, Index out, Index rank, double scale, std::uint64_t seed,
                            Index experts = 0) {
  const Index pairs = std::max<Index>(experts, 1);
  return {std::move(module),
          in,
          out,
          rank,
          experts,
          scale,
          some_values<T>(pairs * rank * in, seed),
          some_values<T>(pairs * out * rank, seed + 1000)};
}

/// scale * B (A x) of expert e.   x: (in)   result: (out)
template <class T>
std::vector<double> update_of(const io::Adapter<T>& a, const std::vector<double>& x, Index e = 0) {
  const auto at = [](const std::vector<T>& values, Index k) {
    return static_cast<double>(values.at(static_cast<std::size_t>(k)));
  };
  std::vector<double> y(static_cast<std::size_t>(a.out));
  for (Index o = 0; o < a.out; ++o)
    for (Index r = 0; r < a.rank; ++r) {
      double ax = 0;
      for (Index i = 0; i < a.in; ++i) ax += at(a.A, (e * a.rank + r) * a.in + i) * x.at(static_cast<std::size_t>(i));
      y[static_cast<std::size_t>(o)] += a.scale * at(a.B, (e * a.out + o) * a.rank + r) * ax;
    }
  return y;
}

template <class T>
const io::Adapter<T>& named(const io::Adapters<T>& adapters, const std::string& module) {
  for (const auto& adapter : adapters)
    if (adapter.module == module) return adapter;
  BOOST_FAIL("no adapter of " << module);
  return adapters.front();
}

/// The largest difference between two lists of the same length; 1e300 where it differs or a value is NaN.
inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return 1e300;
  double most = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (!(std::abs(a[k] - b[k]) < 1e300)) return 1e300;
    most = std::max(most, std::abs(a[k] - b[k]));
  }
  return most;
}

/// Checks that both have the same modules and do the same to an input.
template <class T, class U>
void check_same_updates(const io::Adapters<T>& found, const io::Adapters<U>& expected, double tolerance = 1e-12) {
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  for (const auto& e : expected) {
    const auto& f = named(found, e.module);
    BOOST_REQUIRE_EQUAL(f.experts, e.experts);
    const auto x = some_values<double>(e.in, 77);
    for (Index expert = 0; expert < e.pairs(); ++expert)
      BOOST_CHECK_MESSAGE(
          distance(update_of(f, x, expert), update_of(e, x, expert)) < tolerance,
          e.module << ": the updates differ by " << distance(update_of(f, x, expert), update_of(e, x, expert)));
  }
}

/// Layers whose names are easily confused once points are underscores, with ranks and scales of their own.
template <class T = double>
io::Adapters<T> tricky_adapters() {
  return {some_adapter<T>("blk.0.to_q", 5, 7, 2, 0.5, 1), some_adapter<T>("blk.0.to_q_proj", 6, 3, 4, 2, 2),
          some_adapter<T>("blk.0.add_out.0", 3, 8, 1, 1, 3), some_adapter<T>("blk.1.to_q", 5, 7, 3, 0.5, 4)};
}

}  // namespace wu::test
