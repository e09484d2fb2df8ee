// core/random.hpp.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "wu/core/random.hpp"

namespace {

using wu::Random;
using Block = std::array<std::uint32_t, 4>;

// Known answers published with the generator (Random123, kat_vectors), at compile time.
static_assert(wu::philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(wu::philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
              Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(wu::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
              Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

// FNV-1a of the empty string and of "a", from its authors' list.
static_assert(wu::hash_name("") == 0xcbf29ce484222325u && wu::hash_name("a") == 0xaf63dc4c8601ec8cu);
static_assert(std::uniform_random_bit_generator<Random>);

std::vector<std::uint32_t> first(Random random, int n = 9) {
  std::vector<std::uint32_t> values;
  for (int i = 0; i < n; ++i) values.push_back(random());
  return values;
}

struct Moments {
  double mean = 0, variance = 0;
};

/// Of n calls of next().
template <class Next>
Moments moments(int n, Next&& next) {
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double v = next();
    sum += v, squares += v * v;
  }
  return {sum / n, squares / n - sum / n * (sum / n)};
}

/// Standard normal if the two streams are independent: the correlation of n pairs times sqrt(n).
double correlation(Random a, Random b) {
  constexpr int n = 20000;
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += (a.uniform() - 0.5) * (b.uniform() - 0.5);
  return 12 * sum / std::sqrt(n);
}

}  // namespace

BOOST_AUTO_TEST_CASE(random_repeats_itself) {
  BOOST_CHECK(first(Random(7, "noise", 3)) == first(Random(7, "noise", 3)));
  Random a(7, "noise", 3), b(7, "noise", 3);
  for (int i = 0; i < 100; ++i) BOOST_REQUIRE_EQUAL(a.normal(), b.normal());
  Random copy = a;  // a copy goes on from where the original stands
  BOOST_CHECK_EQUAL(copy(), a());
}

BOOST_AUTO_TEST_CASE(random_has_a_stream_for_each_seed_purpose_and_index) {
  std::set<std::vector<std::uint32_t>> streams;
  std::size_t made = 0;
  constexpr std::uint64_t high = std::uint64_t{1} << 32, top = std::uint64_t{1} << 63;
  for (const std::uint64_t seed :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, high, high + 1, top, ~std::uint64_t{0}})
    for (const char* purpose : {"", "noise", "noisf", "times", "initialise"})
      for (const std::uint64_t index : {std::uint64_t{0}, std::uint64_t{1}, high, top, ~std::uint64_t{0}})
        streams.insert(first(Random(seed, purpose, index))), ++made;
  BOOST_CHECK_EQUAL(streams.size(), made);
}

BOOST_AUTO_TEST_CASE(random_streams_do_not_follow_each_other) {
  BOOST_CHECK_LT(std::fabs(correlation(Random(7, "noise", 3), Random(8, "noise", 3))), 4);
  BOOST_CHECK_LT(std::fabs(correlation(Random(7, "noise", 3), Random(7, "times", 3))), 4);
  BOOST_CHECK_LT(std::fabs(correlation(Random(7, "noise", 3), Random(7, "noise", 4))), 4);
  BOOST_CHECK_GT(correlation(Random(7, "noise", 3), Random(7, "noise", 3)), 100);  // the measure does measure
  // Nor is one a later piece of another.
  const auto a = first(Random(7, "noise", 0), 1000), b = first(Random(7, "noise", 1), 1000);
  const std::set<std::uint32_t> words(a.begin(), a.end());
  int common = 0;
  for (const std::uint32_t w : b) common += words.contains(w) ? 1 : 0;
  BOOST_CHECK_LE(common, 2);
}

BOOST_AUTO_TEST_CASE(random_uniform_mean_and_variance) {
  constexpr int n = 200000;
  Random random(11, "uniform");
  double least = 1, most = 0;
  int outside = 0;
  const Moments m = moments(n, [&] {
    const double v = random.uniform();
    least = std::min(least, v), most = std::max(most, v);
    return v;
  });
  BOOST_CHECK_SMALL(m.mean - 0.5, 5 * std::sqrt(1.0 / 12 / n));
  BOOST_CHECK_SMALL(m.variance - 1.0 / 12, 5 * std::sqrt(1.0 / 180 / n));
  BOOST_CHECK_GE(least, 0);
  BOOST_CHECK_LT(most, 1);
  BOOST_CHECK_LT(least, 1e-3);
  BOOST_CHECK_GT(most, 1 - 1e-3);
  const Moments scaled = moments(n, [&] {
    const double v = random.uniform(-3, 5);
    outside += v < -3 || v >= 5;
    return v;
  });
  BOOST_CHECK_EQUAL(outside, 0);
  BOOST_CHECK_SMALL(scaled.mean - 1, 5 * 8 * std::sqrt(1.0 / 12 / n));
}

BOOST_AUTO_TEST_CASE(random_normal_moments_and_tails) {
  constexpr int n = 200000;
  Random random(11, "normal");
  double cubes = 0, fourths = 0;
  int beyond = 0;
  const Moments m = moments(n, [&] {  // a value that is not finite would show in the mean
    const double v = random.normal();
    cubes += v * v * v, fourths += v * v * v * v;
    beyond += std::fabs(v) > 2 ? 1 : 0;
    return v;
  });
  BOOST_CHECK_SMALL(m.mean, 5 / std::sqrt(n));
  BOOST_CHECK_SMALL(m.variance - 1, 5 * std::sqrt(2.0 / n));
  BOOST_CHECK_SMALL(cubes / n, 5 * std::sqrt(15.0 / n));
  BOOST_CHECK_SMALL(fourths / n - 3, 5 * std::sqrt(96.0 / n));
  BOOST_CHECK_SMALL(beyond / static_cast<double>(n) - 0.0455, 5 * std::sqrt(0.0455 * 0.9545 / n));
}

BOOST_AUTO_TEST_CASE(random_neighbours_are_independent) {
  constexpr int n = 200000;
  Random random(11, "neighbours");
  double before = random.normal(), sum = 0;
  for (int i = 0; i < n; ++i) {
    const double v = random.normal();
    sum += v * before;
    before = v;
  }
  BOOST_CHECK_SMALL(sum / n, 5 / std::sqrt(n));
}

BOOST_AUTO_TEST_CASE(random_below_is_even_and_below) {
  constexpr int n = 70000;
  Random random(11, "below");
  std::array<int, 7> counts{};
  for (int i = 0; i < n; ++i) {
    const std::uint32_t v = random.below(7);
    ++counts.at(v);
  }
  for (const int count : counts) BOOST_CHECK_SMALL(count - n / 7.0, 5 * std::sqrt(n / 7.0));
  for (int i = 0; i < 100; ++i) BOOST_REQUIRE_EQUAL(random.below(1), 0u);
  std::uint32_t most = 0;
  for (int i = 0; i < 1000; ++i) most = std::max(most, random.below(0xffffffff));
  BOOST_CHECK_GT(most, 0xf0000000u);
}

BOOST_AUTO_TEST_CASE(random_uses_all_four_words_of_a_block) {
  const auto values = first(Random(11, "words"), 4000);
  const std::set<std::uint32_t> different(values.begin(), values.end());
  BOOST_CHECK_GE(different.size(), 3998u);
}
