// nn/attention.hpp: the projections, the rotation and the groups together, as self attention and as cross attention.
#include <boost/test/unit_test.hpp>

#include "support/gradient_check.hpp"
#include "wu/core/parameters.hpp"
#include "wu/nn/attention.hpp"

namespace {

using namespace wu;
constexpr Index C = 12, head = 4, batch = 2, queries = 3;
using Module = Attention<C, head>;
using Rows = View<double, dyn, C>;
using ConstRows = View<const double, dyn, C>;

constexpr double before = 0.5;  // where a gradient that is added to begins

/// Every weight of w by its name against the gradient that lies at the same place in g.
void check_weights(Weights<Module, double>& w, Weights<Module, double>& g, auto&& loss) {
  auto p = w.view();
  for_each_parameter(p, [&](std::string_view name, auto& view) {
    const auto at = static_cast<std::size_t>(view.data - w.flat().data()), n = static_cast<std::size_t>(view.size());
    test::check_gradient(name, {view.data, n}, g.flat().subspan(at, n), loss);
  });
}

/// Self attention takes the memory to be x itself and gives no du.
template <bool Cross>
void check() {
  constexpr Index keys = Cross ? 5 : queries, n = batch * queries, m = batch * keys;
  Weights<Module, double> weights, gradients;
  std::ranges::copy(test::random_values(weights.extent, "weights"), weights.flat().begin());
  auto x = test::random_values(n * C, "x"), u = test::random_values(m * C, "u");
  const auto dy = test::random_values(n * C, "dy");
  auto y = test::poisoned(n * C), dx = test::poisoned(n * C);
  std::vector<double> du(static_cast<std::size_t>(m * C), before);
  Workspace ws;
  reference ctx;
  const auto rotary_q = Rotary<double, 2>::make(ctx, ws, {RotaryAxis{2, 1, queries, 0}, RotaryAxis{2, queries, batch, 0}});
  const auto rotary_k =
      Cross ? Rotary<double, 2>::make(ctx, ws, {RotaryAxis{2, 1, keys, 7}, RotaryAxis{2, 1, keys, 7}}) : rotary_q;
  AttentionRows rows;
  rows.query_group.push({batch, queries}), rows.query.push({queries, 1});
  rows.key_group.push({batch, keys}), rows.key.push({keys, 1});

  const ConstRows vx(x.data(), n), vu = Cross ? ConstRows(u.data(), m) : vx;
  auto forward = [&] {
    return Module::forward<double>(ctx, ws, Rows(y.data(), n), vx, vu, weights.frozen(), rotary_q, rotary_k, rows);
  };
  auto loss = [&] {
    const Workspace::Scope scope(ws);
    forward();
    return test::dot(y, dy);
  };
  const auto saved = forward();
  Module::backward<double>(ctx, ws, Rows(dx.data(), n), Cross ? Rows(du.data(), m) : Rows(), gradients.view(),
                           ConstRows(dy.data(), n), saved, weights.frozen(), rotary_q, rotary_k, rows);
  for (double& v : du) v -= before;
  test::check_gradient("x", x, dx, loss);
  if (Cross) test::check_gradient("u", u, du, loss);
  check_weights(weights, gradients, loss);
}

}  // namespace

BOOST_AUTO_TEST_CASE(self_attention_gradients) { check<false>(); }

BOOST_AUTO_TEST_CASE(cross_attention_gradients) { check<true>(); }

BOOST_AUTO_TEST_CASE(a_memory_that_begins_where_x_does_may_have_more_rows) {
  constexpr Index keys = 5, n = batch * queries, m = batch * keys;
  Weights<Module, double> weights;
  std::ranges::copy(test::random_values(weights.extent, "weights"), weights.flat().begin());
  const auto u = test::random_values(m * C, "u");
  const std::vector<double> apart(u.begin(), u.begin() + n * C);
  AttentionRows rows;
  rows.query_group.push({batch, queries}), rows.query.push({queries, 1});
  rows.key_group.push({batch, keys}), rows.key.push({keys, 1});
  reference ctx;
  Workspace ws;
  const Rotary<double, 0> none;
  const auto output = [&](const std::vector<double>& x) {
    auto y = test::poisoned(n * C);
    Module::forward<double>(ctx, ws, Rows(y.data(), n), ConstRows(x.data(), n), ConstRows(u.data(), m), weights.frozen(),
                            none, none, rows);
    return y;
  };
  BOOST_CHECK(output(u) == output(apart));
}

BOOST_AUTO_TEST_CASE(attention_adds_to_the_gradients_of_its_weights) {
  constexpr Index n = batch * queries;
  Weights<Module, double> weights, once, twice;
  std::ranges::copy(test::random_values(weights.extent, "weights"), weights.flat().begin());
  const auto x = test::random_values(n * C, "x"), dy = test::random_values(n * C, "dy");
  std::vector<double> y(x.size()), dx(x.size());
  Workspace ws;
  reference ctx;
  AttentionRows rows;
  rows.query_group.push({batch, queries}), rows.query.push({queries, 1});
  rows.key_group = rows.query_group, rows.key = rows.query;
  const Rotary<double, 0> still;
  const ConstRows vx(x.data(), n), vdy(dy.data(), n);
  const auto saved = Module::forward<double>(ctx, ws, Rows(y.data(), n), vx, vx, weights.frozen(), still, still, rows);
  for (auto* gradients : {&once, &twice, &twice})
    Module::backward<double>(ctx, ws, Rows(dx.data(), n), Rows(), gradients->view(), vdy, saved, weights.frozen(), still,
                             still, rows);
  for (std::size_t k = 0; k < once.flat().size(); ++k) BOOST_CHECK_SMALL(2 * once.flat()[k] - twice.flat()[k], 1e-12);
}

BOOST_AUTO_TEST_CASE(attention_refuses_rows_that_its_groups_do_not_cover) {
  Weights<Module, double> weights;
  std::vector<double> x(static_cast<std::size_t>(batch * queries * C)), y(x.size());
  Workspace ws;
  reference ctx;
  AttentionRows rows;
  rows.query_group.push({batch, 2}), rows.query.push({2, 1});
  rows.key_group = rows.query_group, rows.key = rows.query;
  const Rotary<double, 0> still;
  const ConstRows vx(x.data(), batch * queries);
  BOOST_CHECK_EXCEPTION(
      Module::forward<double>(ctx, ws, Rows(y.data(), batch * queries), vx, vx, weights.frozen(), still, still, rows),
      ShapeError, [](const ShapeError& e) {
        return std::string(e.what()) ==
               "attention: expected 2 groups of 2 queries and 2 keys, found 6 rows of q and 6 rows of k";
      });
}
