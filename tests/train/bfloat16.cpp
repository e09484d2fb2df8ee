// A generator that computes in bfloat16 learns: float32 master weights, gradients and moments.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "support/gradient_check.hpp"
#include "wu/generator/generator.hpp"
#include "wu/train/training.hpp"

namespace {

using namespace wu;

using Shape = AdaptedLayers<2, Adapted<"up", 6, 8>, Adapted<"down", 8, 6>>;
using Tokens = Tokenizer</*rank*/ 2, /*width*/ 8>::of<Shape>;
using Memory = Generator<Tokens, Width<16>, HeadWidth<4>, Blocks<1>, JoinedRanks<1>, ConditionWidth<7>>;
constexpr Index batch = 3, length = 4, steps = 200;

struct Losses {
  double first = 0, last = 0, average = 0;  ///< of the untrained weights, the trained ones, and their moving average
};

/// Three conditions, for each of which the generator has to write other tokens: the mean squared error per value.
template <class T>
Losses learn() {
  using Sum = accumulator_t<T>;
  reference ctx;
  Workspace ws;
  Tensor<T, dyn, dyn, Memory::input> condition(batch, length), dcondition(batch, length);
  typename Tokens::Owned<T> tokens(batch), dtokens(batch);
  std::ranges::transform(test::random_values(condition.size(), "condition"), condition.data(),
                         [](double v) { return static_cast<T>(v); });
  const auto wanted = test::random_values(tokens.size(), "wanted");
  const auto forward = [&](const typename Memory::template Parameters<const T>& p) {
    return Memory::forward<T>(ctx, ws, tokens, condition, p);
  };
  const auto loss = [&] {
    double sum = 0;
    for (Index k = 0; k < tokens.size(); ++k) {
      const double error = static_cast<double>(tokens[k]) - wanted[static_cast<std::size_t>(k)];
      dtokens[k] = static_cast<T>(2 * error / static_cast<double>(tokens.size()));
      sum += error * error;
    }
    return sum / static_cast<double>(tokens.size());
  };

  train::Training<Memory, T> run;
  Memory::initialise<Sum>(run.weights().view(), test::seed);
  train::Options options;
  options.schedule = {.peak = 1e-2, .warmup = 20, .steps = steps};
  options.average_decay = 0.9;
  Losses losses;
  while (run.step < steps) {
    const auto result = run.advance(ctx, options, [&](const auto& p, const auto& dp, Index, Index) {
      const Workspace::Scope scope(ws);
      const auto saved = forward(p);
      const double error = loss();
      Memory::backward<T>(ctx, ws, dcondition, dp, dtokens, saved, p);
      return error;
    });
    if (run.step == 1) losses.first = result.loss;
  }
  forward(run.values().view());
  losses.last = loss();
  const auto average = run.average->template to<T>();
  forward(average.view());
  losses.average = loss();
  return losses;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_generator_learns_in_bfloat16_nearly_as_well_as_in_float32) {
  const Losses wide = learn<float>(), narrow = learn<bfloat16>();
  BOOST_TEST_MESSAGE("float32: " << wide.first << " -> " << wide.last << ", average " << wide.average << "; bfloat16: "
                                 << narrow.first << " -> " << narrow.last << ", average " << narrow.average);
  BOOST_CHECK_CLOSE(narrow.first, wide.first, 1);
  const double nearly_all = 3e-4 * wide.first;  // bfloat16's own rounding of the tokens is in what remains
  for (const double rest : {wide.last, wide.average, narrow.last, narrow.average}) BOOST_CHECK_LT(rest, nearly_all);
}
