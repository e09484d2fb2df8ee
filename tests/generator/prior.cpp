// generator/prior.hpp alone: its formula, and the gradients of both tables and of the gain.
#include "wu/generator/prior.hpp"

#include <boost/test/unit_test.hpp>

#include <cmath>

#include "support/gradient_check.hpp"
#include "wu/cpu/cpu.hpp"

namespace {

using namespace wu;

constexpr Index layers = 3, tokens = 5, rank = 6, width = 7, joined = 2, C = width * joined;
using Module = Prior<layers, tokens, rank, width, joined>;
constexpr Index rows = layers * Module::positions;
static_assert(Module::C == C && Module::positions == tokens * 3);

struct Problem {
  std::vector<double> hw = test::random_values(tokens * rank * width, "hw"),
                      layer = test::random_values(layers * width, "layer"), gain = test::random_values(C, "gain"),
                      x = test::poisoned(rows * C);
  Workspace ws;

  auto forward(auto& ctx) {
    return Module::forward<double>(
        ctx, ws, View<double, dyn, C>(x.data(), rows),
        {View<const double, tokens * rank, width>(hw.data()), View<const double, layers, width>(layer.data())},
        View<const double, C>(gain.data()));
  }
};

void check(auto& ctx) {
  Problem problem;
  const auto dx = test::random_values(rows * C, "dx");
  constexpr double before = 0.5;  // where gradients that are added to begin
  std::vector<double> dhw(problem.hw.size(), before), dlayer(problem.layer.size(), before), dgain(C, before);
  const auto saved = problem.forward(ctx);
  Module::backward<double>(ctx, problem.ws,
                           {View<double, tokens * rank, width>(dhw.data()), View<double, layers, width>(dlayer.data())},
                           View<double, C>(dgain.data()), View<const double, dyn, C>(dx.data(), rows), saved,
                           View<const double, C>(problem.gain.data()));
  for (auto* gradient : {&dhw, &dlayer, &dgain})
    for (double& v : *gradient) v -= before;
  const auto loss = [&] {
    const Workspace::Scope scope(problem.ws);
    problem.forward(ctx);
    return test::dot(problem.x, dx);
  };
  test::check_gradient("hw", problem.hw, dhw, loss);
  test::check_gradient("layer", problem.layer, dlayer, loss);
  test::check_gradient("gain", problem.gain, dgain, loss);
}

}  // namespace

BOOST_AUTO_TEST_CASE(prior_gradients) {
  reference slow;
  check(slow);
  cpu::Context fast({.threads = 2});
  check(fast);
}

BOOST_AUTO_TEST_CASE(prior_is_the_formula) {
  Problem problem;
  reference ctx;
  problem.forward(ctx);
  for (Index l = 0; l < layers; ++l)
    for (Index t = 0; t < tokens; ++t)
      for (Index v = 0; v < rank / joined; ++v) {
        double sum[C], square = 0;
        for (Index a = 0; a < joined; ++a)
          for (Index k = 0; k < width; ++k) {
            const double s = problem.hw[static_cast<std::size_t>((t * rank + v * joined + a) * width + k)] +
                             problem.layer[static_cast<std::size_t>(l * width + k)];
            sum[a * width + k] = s, square += s * s;
          }
        for (Index c = 0; c < C; ++c)
          BOOST_CHECK_SMALL(problem.x[static_cast<std::size_t>(((l * tokens + t) * (rank / joined) + v) * C + c)] -
                                sum[c] / std::sqrt(square / C + 1e-6) * problem.gain[static_cast<std::size_t>(c)],
                            1e-13);
      }
}
