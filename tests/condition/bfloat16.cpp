// The condition encoders in bfloat16 on the CPU, forward and backward, against the reference in float64 on the same rounded
// numbers.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include "support/gradient_check.hpp"
#include "wu/condition/hybrid.hpp"
#include "wu/core/parameters.hpp"
#include "wu/cpu/cpu.hpp"

namespace {

using namespace wu;
constexpr Index batch = 2, C = 24, head = 8;
using Both = condition::Hybrid<condition::ImageEncoder</*size*/ 12, /*patch*/ 4, C, head, /*blocks*/ 1>,
                               condition::TextEncoder</*vocabulary*/ 7, /*length*/ 5, C, head, /*blocks*/ 2>>;
constexpr Index pixels = batch * 12 * 12 * 3, features = batch * Both::length * C;

/// Random numbers that bfloat16 holds exactly.
template <class T>
std::vector<T> numbers(Index n, const char* name, double size) {
  std::vector<T> values;
  for (const double v : test::random_values(n, name))
    values.push_back(static_cast<T>(static_cast<float>(bfloat16(static_cast<float>(size * v)))));
  return values;
}

/// The features and the gradients of all weights, as doubles.
template <class T>
std::array<std::vector<double>, 2> step(auto& ctx) {
  Workspace ws;
  Weights<Both, T> weights;
  Weights<Both, accumulator_t<T>> gradients;
  std::ranges::copy(numbers<T>(weights.extent, "weights", 0.4), weights.flat().begin());
  const auto image = numbers<T>(pixels, "image", 1), du = numbers<T>(features, "du", 1);
  const std::vector<std::int32_t> pieces{3, 1, 3, 0, 0, 5, 4, 3, 2, 0};
  std::vector<T> u(features);
  const auto saved =
      Both::forward<T>(ctx, ws, View<T, dyn, dyn, C>(u.data(), batch, Both::length),
                       View<const T, dyn, dyn, dyn, 3>(image.data(), batch, 12, 12), pieces, weights.frozen());
  Both::backward<T>(ctx, ws, gradients.view(), View<const T, dyn, dyn, C>(du.data(), batch, Both::length), saved,
                    weights.frozen());
  return {std::vector<double>(u.begin(), u.end()), std::vector<double>(gradients.flat().begin(), gradients.flat().end())};
}

}  // namespace

BOOST_AUTO_TEST_CASE(bfloat16_on_the_cpu_is_near_the_reference) {
  reference slow;
  cpu::Context two({.threads = 2});
  const auto expected = step<double>(slow), found = step<bfloat16>(two);
  for (std::size_t k = 0; k < expected.size(); ++k) {
    double error = 0, size = 0;
    for (std::size_t i = 0; i < expected[k].size(); ++i)
      error += std::pow(found[k][i] - expected[k][i], 2), size += std::pow(expected[k][i], 2);
    BOOST_CHECK_LE(std::sqrt(error / size), 2e-2);
  }
}
