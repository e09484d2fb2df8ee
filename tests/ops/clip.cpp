// ops/clip.hpp and the CPU's version: the norm of a flat buffer, and the factor that clips it.
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

BOOST_AUTO_TEST_CASE(squared_norm_sums_in_double_and_repeats_itself) {
  on_each_device([](auto& ctx) {
    const std::vector<float> x(1 << 20, 0.1f);
    const double expected = static_cast<double>(0.1f) * static_cast<double>(0.1f) * (1 << 20),
                 found = squared_norm(ctx, std::span<const float>(x));
    BOOST_CHECK_CLOSE(found, expected, 1e-8);
    for (int i = 0; i < 20; ++i) BOOST_REQUIRE_EQUAL(squared_norm(ctx, std::span<const float>(x)), found);
    const auto r = wu::test::random_values(20011, "x");
    BOOST_CHECK_CLOSE(squared_norm(ctx, std::span<const double>(r)), wu::test::dot(r, r), 1e-10);
    BOOST_CHECK_EQUAL(squared_norm(ctx, std::span<const float>()), 0);
  });
}

BOOST_AUTO_TEST_CASE(squared_norm_shows_what_is_not_finite) {
  on_each_device([](auto& ctx) {
    for (const std::size_t n : {3u, 20011u})
      for (const std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
        std::vector<float> x(n, 1);
        x[at] = std::numeric_limits<float>::quiet_NaN();
        BOOST_CHECK(std::isnan(squared_norm(ctx, std::span<const float>(x))));
        x[at] = -std::numeric_limits<float>::infinity();
        BOOST_CHECK(std::isinf(squared_norm(ctx, std::span<const float>(x))));
      }
  });
}

BOOST_AUTO_TEST_CASE(squared_norm_does_not_overflow_float) {
  on_each_device([](auto& ctx) {
    const std::vector<float> x(3, 3e38f);  // the square is beyond float, not beyond double
    BOOST_CHECK_CLOSE(std::sqrt(squared_norm(ctx, std::span<const float>(x))), 3e38 * std::sqrt(3.), 1e-4);
  });
}

BOOST_AUTO_TEST_CASE(the_clip_factor_brings_what_is_too_long_to_the_limit) {
  BOOST_CHECK_CLOSE(wu::clip_factor(5, 0.5), 0.1, 1e-12);
  BOOST_CHECK_EQUAL(wu::clip_factor(5, 5), 1);  // at the limit, not beyond
  BOOST_CHECK_EQUAL(wu::clip_factor(4.9, 5), 1);
  BOOST_CHECK_EQUAL(wu::clip_factor(0, 5), 1);
  BOOST_CHECK_EQUAL(wu::clip_factor(1e300, std::numeric_limits<double>::infinity()), 1);
  BOOST_CHECK_EQUAL(wu::clip_factor(std::nan(""), 5), 1);
  on_each_device([](auto& ctx) {
    auto x = wu::test::random_values(20011, "x");
    const double factor = wu::clip_factor(std::sqrt(squared_norm(ctx, std::span<const double>(x))), 2);
    for (double& v : x) v *= factor;
    BOOST_CHECK_CLOSE(std::sqrt(squared_norm(ctx, std::span<const double>(x))), 2, 1e-10);
  });
}
