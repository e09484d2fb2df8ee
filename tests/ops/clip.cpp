// Clipping by the norm, its edges. More of it is in optimiser.cpp.
#include "support.hpp"

#include <limits>

#include "wu/cpu/optimiser.hpp"

namespace {

using wu::Index;

void on_each_device(auto check) {
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

}  // namespace

BOOST_AUTO_TEST_CASE(clip_brings_a_large_buffer_to_the_limit) {
  on_each_device([](auto& ctx) {
    auto check = [&](auto zero, double tolerance) {
      using T = decltype(zero);
      const auto start = wu::test::cast<T>(wu::test::random_values(20011, "x"));
      auto x = start;
      const double norm = clip_norm(ctx, std::span<T>(x), 2);
      BOOST_CHECK_CLOSE(norm, std::sqrt(wu::test::dot(wu::test::widen(start), wu::test::widen(start))), 1e-9);
      BOOST_CHECK_CLOSE(std::sqrt(squared_norm(ctx, std::span<const T>(x))), 2, tolerance);
      auto expected = wu::test::widen(start);
      for (double& v : expected) v *= 2 / norm;  // the direction stays
      BOOST_CHECK_LE(wu::test::relative_error(x, expected), tolerance);
    };
    check(double{}, 1e-12);
    check(float{}, 1e-5);
    check(wu::bfloat16{}, 1e-1);
  });
}

BOOST_AUTO_TEST_CASE(clip_leaves_what_is_short_enough_bit_for_bit) {
  on_each_device([](auto& ctx) {
    const std::vector<float> start{3, 0, -4};
    auto x = start;
    BOOST_CHECK_EQUAL(clip_norm(ctx, std::span(x), 5), 5);  // at the limit, not beyond
    BOOST_CHECK(x == start);
    std::vector<float> zeros(5);
    BOOST_CHECK_EQUAL(clip_norm(ctx, std::span(zeros), 1), 0);
    BOOST_CHECK(zeros == std::vector<float>(5));
    BOOST_CHECK_EQUAL(clip_norm(ctx, std::span<float>(), 1), 0);
  });
}

BOOST_AUTO_TEST_CASE(clip_shows_a_nan_in_the_norm_and_spreads_it_nowhere) {
  on_each_device([](auto& ctx) {
    for (const std::size_t n : {3u, 20011u})
      for (const std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
        std::vector<float> x(n, 1);
        x[at] = std::numeric_limits<float>::quiet_NaN();
        BOOST_CHECK(std::isnan(clip_norm(ctx, std::span(x), 0.5)));
        for (std::size_t k = 0; k < n; ++k)
          if (k == at ? !std::isnan(x[k]) : x[k] != 1) BOOST_ERROR("changed at " << k << ": " << x[k]);
      }
  });
}

BOOST_AUTO_TEST_CASE(clip_shows_infinity_in_the_norm) {
  on_each_device([](auto& ctx) {
    std::vector<float> x{1, -std::numeric_limits<float>::infinity(), 3};
    BOOST_CHECK(std::isinf(clip_norm(ctx, std::span(x), 0.5)));
  });
}

BOOST_AUTO_TEST_CASE(clip_norm_does_not_overflow_float) {
  on_each_device([](auto& ctx) {
    std::vector<float> x(3, 3e38f);  // the square is beyond float, not beyond double
    BOOST_CHECK_CLOSE(clip_norm(ctx, std::span(x), 1), 3e38 * std::sqrt(3.), 1e-4);
    for (const float v : x) BOOST_CHECK_CLOSE(v, static_cast<float>(1 / std::sqrt(3.)), 1e-3f);
  });
}
