// train/gradient_check.hpp and support/gradient_check.hpp: what every other test of a gradient leans on.
#include "support/gradient_check.hpp"

#include <algorithm>
#include <set>

#include "wu/nn/linear.hpp"

namespace {

using wu::test::gradient_error, wu::test::relative_error;

/// The loss sum c_k x_k^2 / 2, whose gradient is c_k x_k, times `size`.
struct Squares {
  double size = 1;
  std::vector<double> c = wu::test::random_values(7 * 8, "c"), x = wu::test::random_values(7 * 8, "x");
  double loss() const {
    double sum = 0;
    for (std::size_t k = 0; k < x.size(); ++k) sum += size * c[k] * x[k] * x[k] / 2;
    return sum;
  }
  std::vector<double> gradient() const {
    std::vector<double> g(x.size());
    for (std::size_t k = 0; k < x.size(); ++k) g[k] = size * c[k] * x[k];
    return g;
  }
  std::string error(std::span<const double> g, std::size_t most = 400) {
    return gradient_error("x", x, g, [&] { return loss(); }, 1e-7, most);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_right_gradient_passes_at_any_size) {
  for (const double size : {1e-12, 1e-3, 1.0, 1e6}) {
    Squares s{size};
    BOOST_CHECK_EQUAL(s.error(s.gradient()), "");
  }
}

BOOST_AUTO_TEST_CASE(a_gradient_that_is_wrong_fails_at_any_size) {
  for (const double size : {1e-12, 1e-3, 1.0, 1e6}) {
    Squares s{size};
    auto g = s.gradient();
    g[5] += 1e-5 * size;
    BOOST_CHECK_NE(s.error(g), "");
    BOOST_CHECK_NE(s.error(std::vector<double>(g.size())), "");
  }
}

BOOST_AUTO_TEST_CASE(a_nan_fails_wherever_it_stands_and_whether_it_is_tried_or_not) {
  Squares s;
  for (std::size_t k = 0; k < s.x.size(); ++k) {
    auto g = s.gradient();
    g[k] = std::nan("");
    BOOST_CHECK_EQUAL(s.error(g, 1), wu::message("x: the gradient is ", g[k], " at entry ", k).view());
    BOOST_CHECK(std::isnan(relative_error(g, s.gradient())));
    BOOST_CHECK(std::isnan(relative_error(s.gradient(), g)));
  }
}

BOOST_AUTO_TEST_CASE(a_gradient_of_zero_checks_nothing_and_says_so) {
  Squares s;
  s.c.assign(s.c.size(), 0);
  BOOST_CHECK_EQUAL(s.error(s.gradient()), "x: the gradient is nowhere above 0, so this checks nothing");
}

BOOST_AUTO_TEST_CASE(a_few_entries_are_different_ones_in_all_columns) {
  const auto entries = wu::detail::some_entries(64 * 64, 64, "x");  // a stride of 64 would stay in one column
  std::set<std::size_t> different(entries.begin(), entries.end()), columns;
  for (const std::size_t k : entries) columns.insert(k % 64);
  BOOST_CHECK_EQUAL(different.size(), 64u);
  BOOST_CHECK_LT(*different.rbegin(), 64u * 64u);
  BOOST_CHECK_GT(columns.size(), 30u);
  BOOST_CHECK(entries == wu::detail::some_entries(64 * 64, 64, "x"));
  BOOST_CHECK_EQUAL(wu::detail::some_entries(7, 7, "x").size(), 7u);
}

BOOST_AUTO_TEST_CASE(every_parameter_of_a_module_is_checked_by_its_name) {
  using Module = wu::Linear<2, 3>;
  wu::Weights<Module, double> weights, gradients;
  const auto loss = [&] {  // the sum of p^2 / 2, whose gradient is p
    const auto p = weights.frozen();
    double sum = 0;
    for (const double v : p.weight) sum += v * v / 2;
    for (const double v : p.bias) sum += v * v / 2;
    return sum;
  };
  std::ranges::copy(wu::test::random_values(weights.extent, "weights"), weights.flat().begin());
  std::ranges::copy(weights.flat(), gradients.flat().begin());
  BOOST_CHECK_EQUAL(gradient_error(weights, gradients, loss), "");
  BOOST_CHECK(std::ranges::equal(weights.flat(), gradients.flat()));  // put back
  gradients.view().bias[1] *= 1.001;
  const std::string error = gradient_error(weights, gradients, loss);
  BOOST_CHECK_MESSAGE(error.starts_with("bias: gradient off by ") && error.ends_with(")\n"), error);
  BOOST_CHECK_EQUAL(std::ranges::count(error, '\n'), 1);
}
