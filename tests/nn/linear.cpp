// nn/linear.hpp: LoRALinear, a frozen layer with each sample's adapter beside it. ops/linear.hpp and ops/lora.hpp are tested in
// their own room.
#include <boost/test/unit_test.hpp>

#include "support/gradient_check.hpp"
#include "wu/core/parameters.hpp"
#include "wu/nn/linear.hpp"

namespace {

using namespace wu;
constexpr Index In = 7, Out = 5, rank = 2, samples = 4, rows = samples * 3, requests = 3;
constexpr double scale = 0.7;
using Module = LoRALinear<In, Out, rank>;
using Base = Linear<In, Out>;
using Adapter = AdapterView<double, In, Out, rank>;

/// Request 1 serves two samples, request 2 none; the second sample runs the frozen layer alone.
constexpr std::array<Index, samples> which{1, no_adapter, 0, 1};

/// A and B of every request with a gap between them, as they lie among generated tokens.
constexpr Index first_B = rank * In + 3, stride = first_B + Out * rank + 2;
Adapter adapter_in(std::vector<double>& memory) { return {memory.data(), memory.data() + first_B, stride, requests}; }

struct Problem {
  Weights<Base, double> weights;
  std::vector<double> adapters = test::random_values(requests * stride, "adapters"), x = test::random_values(rows * In, "x"),
                      y = test::poisoned(rows * Out);
  const std::vector<double> dy = test::random_values(rows * Out, "dy");
  reference ctx;
  Workspace ws;

  Problem() { std::ranges::copy(test::random_values(weights.extent, "weights"), weights.flat().begin()); }
  View<const double, dyn, In> input() const { return {x.data(), rows}; }
  View<const double, dyn, Out> cotangent() const { return {dy.data(), rows}; }
  auto forward(Adapter adapter) {
    return Module::forward<double>(ctx, ws, View<double, dyn, Out>(y.data(), rows), input(), weights.frozen(), adapter,
                                   which, scale);
  }
  std::vector<double> frozen_output() {
    auto out = test::poisoned(rows * Out);
    linear_forward(ctx, View<double, dyn, Out>(out.data(), rows), input(), weights.frozen().weight, weights.frozen().bias);
    return out;
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(lora_linear_gradients) {
  Problem problem;
  Weights<Base, double> gradients;
  auto dx = test::poisoned(rows * In);
  std::vector<double> dadapters(problem.adapters.size());
  auto loss = [&] {
    const Workspace::Scope scope(problem.ws);
    problem.forward(adapter_in(problem.adapters));
    return test::dot(problem.y, problem.dy);
  };
  const auto xa = problem.forward(adapter_in(problem.adapters));
  Module::backward<double>(problem.ctx, problem.ws, View<double, dyn, In>(dx.data(), rows), gradients.view(),
                           adapter_in(dadapters), problem.cotangent(), problem.input(), xa, problem.weights.frozen(),
                           adapter_in(problem.adapters), which, scale);
  test::check_gradient("x", problem.x, dx, loss);
  auto p = problem.weights.view();
  for_each_parameter(p, [&](std::string_view name, auto& view) {
    const auto at = static_cast<std::size_t>(view.data - problem.weights.flat().data()),
               n = static_cast<std::size_t>(view.size());
    test::check_gradient(name, {view.data, n}, gradients.flat().subspan(at, n), loss);
  });
  for (std::size_t k = 0; k < 2; ++k) {
    auto part = [&](std::vector<double>& all, Index from, Index count) {
      return std::span(all).subspan(k * stride + static_cast<std::size_t>(from), static_cast<std::size_t>(count));
    };
    test::check_gradient("A of request " + std::to_string(k), part(problem.adapters, 0, rank * In),
                         part(dadapters, 0, rank * In), loss);
    test::check_gradient("B of request " + std::to_string(k), part(problem.adapters, first_B, Out * rank),
                         part(dadapters, first_B, Out * rank), loss);
  }
  for (Index k = 0; k < requests * stride; ++k)  // nothing between the matrices, nothing for the request that nobody used
    if (const Index at = k % stride; k / stride == 2 || (at >= rank * In && at < first_B) || at >= first_B + Out * rank)
      BOOST_CHECK_EQUAL(dadapters[static_cast<std::size_t>(k)], 0);
}

BOOST_AUTO_TEST_CASE(lora_linear_computes_its_formula) {
  Problem problem;
  const auto frozen = problem.frozen_output();
  problem.forward(adapter_in(problem.adapters));
  for (Index r = 0; r < rows; ++r)
    for (Index o = 0; o < Out; ++o) {
      const auto at = static_cast<std::size_t>(r * Out + o);
      const Index k = which[static_cast<std::size_t>(r * samples / rows)];
      if (k == no_adapter) {
        BOOST_CHECK_EQUAL(problem.y[at], frozen[at]);
        continue;
      }
      double update = 0;
      for (Index i = 0; i < In; ++i)
        for (Index j = 0; j < rank; ++j)
          update += problem.adapters[static_cast<std::size_t>(k * stride + first_B + o * rank + j)] *
                    problem.adapters[static_cast<std::size_t>(k * stride + j * In + i)] *
                    problem.x[static_cast<std::size_t>(r * In + i)];
      BOOST_CHECK_SMALL(problem.y[at] - frozen[at] - scale * update, 1e-13);
    }
}

BOOST_AUTO_TEST_CASE(lora_linear_without_adapters_is_the_frozen_layer_bit_for_bit) {
  Problem problem;
  const auto xa = problem.forward({});
  BOOST_CHECK(xa.data == nullptr);
  BOOST_CHECK(problem.y == problem.frozen_output());

  Weights<Base, double> gradients, expected;
  std::vector<double> dx = test::poisoned(rows * In), expected_dx = test::poisoned(rows * In);
  const auto p = problem.weights.frozen();
  Module::backward<double>(problem.ctx, problem.ws, View<double, dyn, In>(dx.data(), rows), gradients.view(), Adapter{},
                           problem.cotangent(), problem.input(), xa, p, Adapter{}, which, scale);
  linear_backward(problem.ctx, View<double, dyn, In>(expected_dx.data(), rows), expected.view().weight, expected.view().bias,
                  problem.cotangent(), problem.input(), p.weight);
  BOOST_CHECK(dx == expected_dx);
  BOOST_CHECK(std::ranges::equal(gradients.flat(), expected.flat()));
}

BOOST_AUTO_TEST_CASE(lora_linear_computes_only_the_gradients_that_are_wanted) {
  Problem problem;
  const auto xa = problem.forward(adapter_in(problem.adapters));
  std::vector<double> all(problem.adapters.size()), alone(problem.adapters.size()), dx(rows * In), dx_alone(rows * In);
  Weights<Base, double> gradients;
  auto backward = [&](double* into_x, const auto& dp, Adapter into) {
    Module::backward<double>(problem.ctx, problem.ws, View<double, dyn, In>(into_x, rows), dp, into, problem.cotangent(),
                             problem.input(), xa, problem.weights.frozen(), adapter_in(problem.adapters), which, scale);
  };
  const Base::Parameters<double> frozen;
  backward(dx.data(), gradients.view(), adapter_in(all));
  backward(nullptr, frozen, adapter_in(alone));
  BOOST_CHECK(all == alone);
  backward(dx_alone.data(), frozen, Adapter{});
  BOOST_CHECK(dx == dx_alone);
}

BOOST_AUTO_TEST_CASE(linear_is_its_operation) {
  Problem problem;
  auto y = test::poisoned(rows * Out), dx = test::poisoned(rows * In), expected_dx = dx;
  const auto p = problem.weights.frozen();
  Base::forward(problem.ctx, View<double, dyn, Out>(y.data(), rows), problem.input(), p);
  BOOST_CHECK(y == problem.frozen_output());
  Weights<Base, double> gradients, expected;
  Base::backward(problem.ctx, View<double, dyn, In>(dx.data(), rows), gradients.view(), problem.cotangent(), problem.input(),
                 p);
  linear_backward(problem.ctx, View<double, dyn, In>(expected_dx.data(), rows), expected.view().weight, expected.view().bias,
                  problem.cotangent(), problem.input(), p.weight);
  BOOST_CHECK(dx == expected_dx);
  BOOST_CHECK(std::ranges::equal(gradients.flat(), expected.flat()));
}
