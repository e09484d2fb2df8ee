// ops/linear.hpp and cpu/linear.hpp.
#include <boost/test/unit_test.hpp>

#include "support/gradient_check.hpp"
#include "wu/cpu/linear.hpp"

namespace {

using wu::Index, wu::View, wu::dyn;
constexpr Index rows = 5, In = 7, Out = 3;

/// Forward, backward and gradient check of y = x W^T + b on the device of ctx.
void check(auto& ctx) {
  auto x = wu::test::random_values(rows * In, "x"), W = wu::test::random_values(Out * In, "W"), b = wu::test::random_values(Out, "b");
  const auto dy = wu::test::random_values(rows * Out, "dy");
  auto y = wu::test::poisoned(rows * Out), dx = wu::test::poisoned(rows * In);
  std::vector<double> dW(Out * In), db(Out);
  const View<const double, Out, In> vW(W.data());
  const View<const double, Out> vb(b.data());
  const View<const double, dyn, In> vx(x.data(), rows);
  auto loss = [&] {
    linear_forward(ctx, View<double, dyn, Out>(y.data(), rows), vx, vW, vb);
    return wu::test::dot(y, dy);
  };
  loss();
  linear_backward(ctx, View<double, dyn, In>(dx.data(), rows), View<double, Out, In>(dW.data()), View<double, Out>(db.data()),
                  View<const double, dyn, Out>(dy.data(), rows), vx, vW);
  wu::test::check_gradient("x", x, dx, loss);
  wu::test::check_gradient("W", W, dW, loss);
  wu::test::check_gradient("b", b, db, loss);
}

}  // namespace

BOOST_AUTO_TEST_CASE(linear_gradients) {
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

BOOST_AUTO_TEST_CASE(linear_adds_to_parameter_gradients_and_skips_unwanted_ones) {
  wu::reference ctx;
  const auto x = wu::test::random_values(rows * In, "x"), W = wu::test::random_values(Out * In, "W"), dy = wu::test::random_values(rows * Out, "dy");
  std::vector<double> once(Out * In), twice(Out * In);
  const View<const double, dyn, In> vx(x.data(), rows);
  const View<const double, dyn, Out> vdy(dy.data(), rows);
  const View<const double, Out, In> vW(W.data());
  const View<double, dyn, In> no_dx;
  const View<double, Out> no_db;
  linear_backward(ctx, no_dx, View<double, Out, In>(once.data()), no_db, vdy, vx, vW);
  for (int i = 0; i < 2; ++i) linear_backward(ctx, no_dx, View<double, Out, In>(twice.data()), no_db, vdy, vx, vW);
  for (std::size_t k = 0; k < once.size(); ++k) BOOST_CHECK_CLOSE(2 * once[k], twice[k], 1e-10);
}

BOOST_AUTO_TEST_CASE(linear_refuses_another_number_of_rows) {
  wu::reference ctx;
  std::vector<double> x(rows * In), y(rows * Out), W(Out * In);
  BOOST_CHECK_EXCEPTION(linear_forward(ctx, View<double, dyn, Out>(y.data(), rows - 1), View<double, dyn, In>(x.data(), rows),
                                       View<double, Out, In>(W.data()), View<double, Out>()),
                        wu::ShapeError, [](const wu::ShapeError& e) { return std::string(e.what()) == "linear: expected 5 rows, found 4"; });
}
