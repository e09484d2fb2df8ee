// The backbone in bfloat16 on the CPU, forward and backward, against the reference in float64 on the same rounded numbers.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>

#include "support/gradient_check.hpp"
#include "wu/backbone/edit_transformer.hpp"
#include "wu/cpu/cpu.hpp"

namespace {

using namespace wu;
using Net = backbone::EditTransformer</*layers*/ 2, /*token width*/ 32, /*pixel width*/ 20, /*head width*/ 8,
                                      /*instruction width*/ 12, /*rank*/ 2, /*adapter token width*/ 4>;
using Tokens = Net::Tokens;
constexpr Index batch = 2, height = 16, width = 24, picture = height * width * 3;

/// Random numbers of deviation about `size`, that bfloat16 holds exactly.
template <class T>
std::vector<T> numbers(Index n, const char* name, double size) {
  std::vector<T> values;
  for (const double v : test::random_values(n, name))
    values.push_back(static_cast<T>(static_cast<float>(bfloat16(static_cast<float>(size * v)))));
  return values;
}

/// The edit and every gradient of one step, as doubles.
template <class T>
std::array<std::vector<double>, 4> step(auto& ctx) {
  using Sum = accumulator_t<T>;
  Workspace ws;
  Weights<Net, T> weights;
  std::ranges::copy(numbers<T>(weights.extent, "weights", 0.3), weights.flat().begin());
  const auto x_t = numbers<T>(batch * picture, "x_t", 1), source = numbers<T>(batch * picture, "source", 1),
             instruction = numbers<T>(batch * Net::instruction_width, "instruction", 1),
             tokens = numbers<T>(batch * Tokens::values, "tokens", 0.3), dedit = numbers<T>(batch * picture, "dedit", 1);
  std::vector<T> edit(x_t.size(), static_cast<T>(NAN)), dtokens(tokens.size()), dinstruction(instruction.size());
  Weights<Net, Sum> dweights;
  const std::vector<double> t{0.25, 0.75};
  const std::vector<Index> which{1, 0};
  const Net::Adapters<T> adapters{typename Tokens::template Tokens<const T>(tokens.data(), batch), which, 1};
  using Pictures = View<const T, dyn, dyn, dyn, 3>;
  const auto saved =
      Net::forward<T>(ctx, ws, View<T, dyn, dyn, dyn, 3>(edit.data(), batch, height, width),
                      Pictures(x_t.data(), batch, height, width), Pictures(source.data(), batch, height, width), t,
                      View<const T, dyn, Net::instruction_width>(instruction.data(), batch), weights.frozen(), adapters);
  Net::backward<T>(ctx, ws, {dtokens.data(), batch}, dweights.view(),
                   View<T, dyn, Net::instruction_width>(dinstruction.data(), batch),
                   Pictures(dedit.data(), batch, height, width), saved, weights.frozen(), adapters);
  const auto widened = [](const auto& values) { return std::vector<double>(values.begin(), values.end()); };
  return {widened(edit), widened(dtokens), widened(dinstruction), widened(dweights.flat())};
}

/// The root of the mean squared error, relative to that of what is expected.
double distance(const std::vector<double>& found, const std::vector<double>& expected) {
  double error = 0, size = 0;
  for (std::size_t k = 0; k < expected.size(); ++k)
    error += (found[k] - expected[k]) * (found[k] - expected[k]), size += expected[k] * expected[k];
  return std::sqrt(error / size);
}

}  // namespace

BOOST_AUTO_TEST_CASE(bfloat16_on_the_cpu_is_near_the_reference) {
  reference slow;
  cpu::Context one({.threads = 1}), two({.threads = 2});
  const auto expected = step<double>(slow), found = step<bfloat16>(two);
  const char* const names[] = {"edit", "adapters' gradients", "instruction's gradient", "weights' gradients"};
  for (std::size_t k = 0; k < expected.size(); ++k) {
    const double off = distance(found[k], expected[k]);
    BOOST_CHECK_MESSAGE(off <= 2e-2, names[k] << " are off by " << off);
    BOOST_TEST_MESSAGE(names[k] << ": " << off);
  }
  BOOST_CHECK(step<bfloat16>(one) == found);
}
