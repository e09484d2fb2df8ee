// nn/initialise.hpp.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "support/gradient_check.hpp"
#include "wu/nn/encoder_block.hpp"
#include "wu/nn/initialise.hpp"

namespace {

using namespace wu;

/// Mean and standard deviation.
std::array<double, 2> moments(auto view) {
  double sum = 0, square = 0;
  for (const double v : view) sum += v, square += v * v;
  const double n = static_cast<double>(view.size()), mean = sum / n;
  return {mean, std::sqrt(square / n - mean * mean)};
}

template <class Module>
Weights<Module, double> initialised(std::uint64_t seed, const std::string& purpose) {
  Weights<Module, double> weights;
  initialise(weights.view(), seed, purpose);
  return weights;
}

}  // namespace

BOOST_AUTO_TEST_CASE(matrices_have_variance_one_over_fan_in_gains_are_one_and_biases_zero) {
  const auto weights = initialised<EncoderBlock<48, 8, 80>>(test::seed, "test");
  int matrices = 0, gains = 0, biases = 0;
  auto p = weights.view();
  for_each_parameter(p, [&](std::string_view name, auto& view) {
    BOOST_TEST_CONTEXT(name) {
      if constexpr (std::remove_cvref_t<decltype(view)>::rank == 2) {
        // Five standard errors: of a mean of n values sd / sqrt(n), of a standard deviation sd / sqrt(2 n).
        const double expected = 1 / std::sqrt(static_cast<double>(view.width)),
                     error = expected / std::sqrt(static_cast<double>(view.size()));
        const auto [mean, deviation] = moments(view);
        BOOST_CHECK_SMALL(mean, 5 * error);
        BOOST_CHECK_SMALL(deviation - expected, 5 * error / std::sqrt(2.0));
        ++matrices;
      } else if (name.ends_with("bias")) {
        BOOST_CHECK(std::ranges::all_of(view, [](double v) { return v == 0; }));
        ++biases;
      } else {
        BOOST_CHECK(std::ranges::all_of(view, [](double v) { return v == 1; }));
        ++gains;
      }
    }
  });
  BOOST_CHECK_EQUAL(matrices, 6);
  BOOST_CHECK_EQUAL(biases, 6);
  BOOST_CHECK_EQUAL(gains, 2);
}

BOOST_AUTO_TEST_CASE(values_depend_on_seed_purpose_and_name_alone) {
  using Module = Linear<5, 7>;
  const auto first = initialised<Module>(1, "first"), again = initialised<Module>(1, "first");
  const auto seed = initialised<Module>(2, "first"), purpose = initialised<Module>(1, "second");
  auto differ = [&](const Weights<Module, double>& other) {
    const auto a = first.view().weight, b = other.view().weight;
    Index same = 0;
    for (Index k = 0; k < a.size(); ++k) same += a[k] == b[k];
    return same == 0;
  };
  BOOST_CHECK(std::ranges::equal(first.flat(), again.flat()));
  BOOST_CHECK(differ(seed));
  BOOST_CHECK(differ(purpose));

  // The same tensor by the same name within a larger module.
  Random random(1, "block.feed_forward.fc1.weight");
  const auto block = initialised<EncoderBlock<6, 2, 5>>(1, "block");
  for (const double v : block.view().feed_forward.fc1.weight)
    BOOST_CHECK_EQUAL(v, static_cast<float>(1 / std::sqrt(6.0) * random.normal()));
}

BOOST_AUTO_TEST_CASE(one_seed_gives_the_same_values_in_every_precision) {
  using Module = Linear<5, 7>;
  const auto wide = initialised<Module>(1, "test");
  auto narrow = [&]<class T>(T) {
    Weights<Module, T> weights;
    auto p = weights.view();
    initialise(p, 1, "test");
    for (std::size_t k = 0; k < wide.flat().size(); ++k)
      BOOST_CHECK_EQUAL(static_cast<float>(weights.flat()[k]), static_cast<float>(T(static_cast<float>(wide.flat()[k]))));
  };
  narrow(float{});
  narrow(bfloat16{});
}

BOOST_AUTO_TEST_CASE(fill_writes_every_value) {
  std::vector<double> memory(7, std::nan(""));
  fill(View<double, dyn>(memory.data(), 6), 0.25);
  BOOST_CHECK(std::all_of(memory.begin(), memory.end() - 1, [](double v) { return v == 0.25; }));
  BOOST_CHECK(std::isnan(memory.back()));
}
