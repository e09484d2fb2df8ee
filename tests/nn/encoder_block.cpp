// nn/encoder_block.hpp.
#include <boost/test/unit_test.hpp>

#include "support/gradient_check.hpp"
#include "wu/core/parameters.hpp"
#include "wu/nn/encoder_block.hpp"

namespace {

using namespace wu;
constexpr Index C = 6, head = 2, hidden = 5, batch = 2, length = 3, rows = batch * length;
using Module = EncoderBlock<C, head, hidden>;
using Rows = View<double, dyn, C>;
using ConstRows = View<const double, dyn, C>;

/// Weights, input and cotangent, the same for every test.
struct Problem {
  Weights<Module, double> weights;
  std::vector<double> x = test::random_values(rows * C, "x"), y = test::poisoned(rows * C);
  reference ctx;
  Workspace ws;

  Problem() { std::ranges::copy(test::random_values(weights.extent, "weights"), weights.flat().begin()); }
  auto forward(Index samples = batch) {
    return Module::forward<double>(ctx, ws, Rows(y.data(), rows), ConstRows(x.data(), rows), weights.frozen(), samples);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(encoder_block_gradients) {
  Problem problem;
  Weights<Module, double> gradients;
  const auto dy = test::random_values(rows * C, "dy");
  auto loss = [&] {
    const Workspace::Scope scope(problem.ws);
    problem.forward();
    return test::dot(problem.y, dy);
  };
  const auto saved = problem.forward();
  auto dx = dy;  // in: the gradient of y
  Module::backward<double>(problem.ctx, problem.ws, Rows(dx.data(), rows), gradients.view(), saved, problem.weights.frozen(),
                           batch);
  test::check_gradient("x", problem.x, dx, loss);
  auto p = problem.weights.view();
  for_each_parameter(p, [&](std::string_view name, auto& view) {
    const auto at = static_cast<std::size_t>(view.data - problem.weights.flat().data()),
               n = static_cast<std::size_t>(view.size());
    const auto gradient = gradients.flat().subspan(at, n);
    if (name == "attention.W_k.bias") {
      // It adds the same number to all scores of a query, which the softmax does not see.
      for (const double g : gradient) BOOST_CHECK_SMALL(g, 1e-13);
    } else test::check_gradient(name, {view.data, n}, gradient, loss);
  });
}

BOOST_AUTO_TEST_CASE(encoder_block_keeps_samples_apart) {
  Problem problem;
  problem.forward();
  const auto first = problem.y;
  for (std::size_t k = length * C; k < problem.x.size(); ++k) problem.x[k] += 1;  // the second sample only
  problem.forward();
  BOOST_CHECK(std::equal(first.begin(), first.begin() + length * C, problem.y.begin()));
  for (std::size_t k = length * C; k < first.size(); ++k) BOOST_CHECK_NE(first[k], problem.y[k]);
}

BOOST_AUTO_TEST_CASE(encoder_block_without_weights_is_the_identity) {
  Problem problem;
  std::ranges::fill(problem.weights.flat(), 0);
  problem.forward();
  BOOST_CHECK(problem.x == problem.y);
}

BOOST_AUTO_TEST_CASE(encoder_block_refuses_rows_that_are_no_multiple_of_the_batch) {
  for (const Index samples : {Index{4}, Index{0}}) {
    Problem problem;
    const std::string sentence = message("encoder block: expected a multiple of ", samples, " samples' rows, found 6");
    BOOST_CHECK_EXCEPTION(problem.forward(samples), ShapeError, [&](const ShapeError& e) { return e.what() == sentence; });
  }
}
