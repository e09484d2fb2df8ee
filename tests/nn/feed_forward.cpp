// nn/feed_forward.hpp.
#include <boost/test/unit_test.hpp>

#include "support/gradient_check.hpp"
#include "wu/core/parameters.hpp"
#include "wu/nn/feed_forward.hpp"

namespace {

using namespace wu;
constexpr Index C = 3, hidden = 7, rows = 5;
using Module = FeedForward<C, hidden>;
using Rows = View<double, dyn, C>;
using ConstRows = View<const double, dyn, C>;

}  // namespace

BOOST_AUTO_TEST_CASE(feed_forward_gradients) {
  Weights<Module, double> weights, gradients;
  std::ranges::copy(test::random_values(weights.extent, "weights"), weights.flat().begin());
  auto x = test::random_values(rows * C, "x");
  const auto dy = test::random_values(rows * C, "dy");
  auto y = test::poisoned(rows * C), dx = test::poisoned(rows * C);
  Workspace ws;
  reference ctx;
  const ConstRows vx(x.data(), rows);
  auto loss = [&] {
    const Workspace::Scope scope(ws);
    Module::forward<double>(ctx, ws, Rows(y.data(), rows), vx, weights.frozen());
    return test::dot(y, dy);
  };
  const auto saved = Module::forward<double>(ctx, ws, Rows(y.data(), rows), vx, weights.frozen());
  Module::backward<double>(ctx, ws, Rows(dx.data(), rows), gradients.view(), ConstRows(dy.data(), rows), saved,
                           weights.frozen());
  test::check_gradient("x", x, dx, loss);
  auto p = weights.view();
  for_each_parameter(p, [&](std::string_view name, auto& view) {
    const auto at = static_cast<std::size_t>(view.data - weights.flat().data()), n = static_cast<std::size_t>(view.size());
    test::check_gradient(name, {view.data, n}, gradients.flat().subspan(at, n), loss);
  });
}

BOOST_AUTO_TEST_CASE(feed_forward_computes_its_formula) {
  Weights<Module, double> weights;
  std::ranges::copy(test::random_values(weights.extent, "weights"), weights.flat().begin());
  const auto p = weights.frozen();
  const auto x = test::random_values(rows * C, "x");
  auto y = test::poisoned(rows * C);
  Workspace ws;
  reference ctx;
  Module::forward<double>(ctx, ws, Rows(y.data(), rows), ConstRows(x.data(), rows), p);
  for (Index r = 0; r < rows; ++r)
    for (Index o = 0; o < C; ++o) {
      double expected = p.fc2.bias[o];
      for (Index k = 0; k < hidden; ++k) {
        double up = p.fc1.bias[k];
        for (Index i = 0; i < C; ++i) up += p.fc1.weight[k * C + i] * x[static_cast<std::size_t>(r * C + i)];
        expected += p.fc2.weight[o * hidden + k] * up / (1 + std::exp(-up));
      }
      BOOST_CHECK_SMALL(y[static_cast<std::size_t>(r * C + o)] - expected, 1e-14);
    }
}

BOOST_AUTO_TEST_CASE(feed_forward_keeps_what_it_says_it_keeps) {
  Weights<Module, double> weights;
  const std::vector<double> x(static_cast<std::size_t>(rows * C), 1);
  std::vector<double> y(x.size());
  Workspace ws;
  reference ctx;
  Module::forward<double>(ctx, ws, Rows(y.data(), rows), ConstRows(x.data(), rows), weights.frozen());
  BOOST_CHECK_EQUAL(ws.taken_bytes(), Module::saved_bytes<double>(rows));
}
