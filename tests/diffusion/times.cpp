// diffusion/times.hpp.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>

#include "support/gradient_check.hpp"
#include "wu/diffusion/times.hpp"

namespace {

using namespace wu;
using namespace wu::diffusion;
constexpr int n = 20000;

std::vector<double> draw(const auto& times, std::uint64_t index = 0) {
  Random random(test::seed, "times", index);
  std::vector<double> drawn(n);
  for (double& t : drawn) t = times(random);
  return drawn;
}

double share_below(const std::vector<double>& drawn, double limit) {
  return static_cast<double>(std::ranges::count_if(drawn, [&](double t) { return t < limit; })) / n;
}

/// Four standard errors of a share p of n draws.
double allowed(double p) { return 4 * std::sqrt(p * (1 - p) / n); }

}  // namespace

BOOST_AUTO_TEST_CASE(uniform_times) {
  const auto drawn = draw(UniformTimes{});
  BOOST_CHECK(std::ranges::all_of(drawn, [](double t) { return t >= 0 && t < 1; }));
  for (const double limit : {0.05, 0.3, 0.5, 0.9}) BOOST_CHECK_SMALL(share_below(drawn, limit) - limit, allowed(limit));
}

BOOST_AUTO_TEST_CASE(logit_normal_times) {
  // log(t / (1 - t)) is normal: its quantiles at -1, 0 and 1 deviations have known shares below them.
  for (const LogitNormalTimes times : {LogitNormalTimes{}, LogitNormalTimes{-0.5, 1.5}, LogitNormalTimes{1, 0.25}}) {
    const auto drawn = draw(times);
    BOOST_CHECK(std::ranges::all_of(drawn, [](double t) { return t > 0 && t < 1; }));
    for (const auto& [z, share] : {std::pair{-1.0, 0.158655254}, {0.0, 0.5}, {1.0, 0.841344746}}) {
      const double limit = 1 / (1 + std::exp(-(times.mean + times.deviation * z)));
      BOOST_CHECK_SMALL(share_below(drawn, limit) - share, allowed(share));
    }
  }
}

BOOST_AUTO_TEST_CASE(sampler_times_are_those_that_the_sampler_visits) {
  for (const Index steps : {1, 2, 7}) {
    std::map<double, int> seen;
    for (const double t : draw(SamplerTimes{steps})) ++seen[t];
    BOOST_REQUIRE_EQUAL(seen.size(), static_cast<std::size_t>(steps));
    Index k = 0;
    const double share = 1 / static_cast<double>(steps);
    for (const auto& [t, count] : seen) {
      BOOST_CHECK_EQUAL(t, static_cast<double>(k++) / static_cast<double>(steps));
      BOOST_CHECK_LE(std::fabs(static_cast<double>(count) / n - share), allowed(share));
    }
  }
  Random random(test::seed, "times");
  BOOST_CHECK_EXCEPTION(SamplerTimes{0}(random), ShapeError, [](const ShapeError& e) {
    return std::string(e.what()) == "sampler times: expected at least one step, found 0";
  });
}

BOOST_AUTO_TEST_CASE(times_depend_on_their_stream_alone) {
  const auto check = [](const auto& times) {
    BOOST_CHECK(draw(times, 1) == draw(times, 1));
    BOOST_CHECK(draw(times, 1) != draw(times, 2));
  };
  check(UniformTimes{});
  check(LogitNormalTimes{});
  check(SamplerTimes{5});
}
