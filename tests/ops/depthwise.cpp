// ops/depthwise.hpp and cpu/depthwise.hpp.
#include <boost/test/unit_test.hpp>

#include "support/gradient_check.hpp"
#include "wu/cpu/depthwise.hpp"

namespace {

using wu::Index, wu::View, wu::dyn;
using wu::test::dot, wu::test::poisoned, wu::test::random_values, wu::test::relative_error;

template <class T, Index C>
using Picture = View<T, dyn, dyn, dyn, C>;

/// Pictures as large as the filter, larger and smaller, down to one pixel.
const std::vector<std::array<Index, 2>> sizes{{5, 7}, {2, 3}, {3, 2}, {1, 1}, {7, 1}, {4, 3}};

/// One output by the formula: the border pixel stands for everything beyond it.
template <Index K, Index C>
double formula(const std::vector<double>& x, const std::vector<double>& W, Index height, Index width, Index b, Index h,
               Index w, Index c) {
  double sum = 0;
  for (Index i = 0; i < K; ++i)
    for (Index j = 0; j < K; ++j) {
      const Index from_h = std::min(std::max<Index>(h + i - K / 2, 0), height - 1),
                  from_w = std::min(std::max<Index>(w + j - K / 2, 0), width - 1);
      sum += W[static_cast<std::size_t>((i * K + j) * C + c)] *
             x[static_cast<std::size_t>(((b * height + from_h) * width + from_w) * C + c)];
    }
  return sum;
}

template <Index K, Index C>
void check(auto& ctx, Index batch) {
  for (const auto& size : sizes) {
    const Index height = size[0], width = size[1];
    BOOST_TEST_CONTEXT("K " << K << ", C " << C << ", " << height << " x " << width) {
      const Index n = batch * height * width * C;
      auto x = random_values(n, "x"), W = random_values(K * K * C, "W");
      const auto dy = random_values(n, "dy");
      auto y = poisoned(n), dx = poisoned(n);
      std::vector<double> dW(W.size());
      const Picture<const double, C> vx(x.data(), batch, height, width), vdy(dy.data(), batch, height, width);
      const View<const double, K * K, C> vW(W.data());
      auto loss = [&] {
        depthwise_forward(ctx, Picture<double, C>(y.data(), batch, height, width), vx, vW);
        return dot(y, dy);
      };
      loss();
      for (Index b = 0; b < batch; ++b)
        for (Index h = 0; h < height; ++h)
          for (Index w = 0; w < width; ++w)
            for (Index c = 0; c < C; ++c)
              BOOST_REQUIRE_SMALL(y[static_cast<std::size_t>(((b * height + h) * width + w) * C + c)] -
                                      (formula<K, C>(x, W, height, width, b, h, w, c)),
                                  1e-12);
      depthwise_backward(ctx, Picture<double, C>(dx.data(), batch, height, width), View<double, K * K, C>(dW.data()), vdy,
                         vx, vW);
      wu::test::check_gradient("x", x, dx, loss, 1e-7, 120);
      wu::test::check_gradient("W", W, dW, loss, 1e-7, 120);
    }
  }
}

template <class T, Index K, Index C>
void check_cpu_equals_reference(Index batch, Index height, Index width, double tolerance) {
  wu::reference reference;
  wu::cpu::Context cpu({.threads = 2}), three({.threads = 3});
  const Index n = batch * height * width * C;
  using Sum = wu::accumulator_t<T>;
  const auto as_T = [](const std::vector<double>& v) { return std::vector<T>(v.begin(), v.end()); };
  const auto x = as_T(random_values(n, "x")), W = as_T(random_values(K * K * C, "W")), dy = as_T(random_values(n, "dy"));
  auto run = [&](auto& ctx) {
    std::vector<T> y(x.size(), static_cast<T>(NAN)), dx = y;
    std::vector<Sum> dW(W.begin(), W.end());  // added to
    const Picture<const T, C> vx(x.data(), batch, height, width), vdy(dy.data(), batch, height, width);
    const View<const T, K * K, C> vW(W.data());
    depthwise_forward(ctx, Picture<T, C>(y.data(), batch, height, width), vx, vW);
    depthwise_backward(ctx, Picture<T, C>(dx.data(), batch, height, width), View<Sum, K * K, C>(dW.data()), vdy, vx, vW);
    return std::tuple(y, dx, dW);
  };
  const auto [y, dx, dW] = run(reference);
  const auto found = run(cpu);
  BOOST_CHECK_SMALL(relative_error(std::get<0>(found), y), tolerance);
  BOOST_CHECK_SMALL(relative_error(std::get<1>(found), dx), tolerance);
  BOOST_CHECK_SMALL(relative_error(std::get<2>(found), dW), tolerance);
  BOOST_CHECK(run(three) == found);
}

}  // namespace

BOOST_AUTO_TEST_CASE(depthwise_formula_and_gradients) {
  wu::reference reference;
  check<3, 2>(reference, 3);
  check<5, 2>(reference, 3);
  check<1, 2>(reference, 2);
  wu::cpu::Context cpu({.threads = 2});
  check<3, 2>(cpu, 3);
  check<5, 2>(cpu, 3);
  check<1, 2>(cpu, 2);
}

BOOST_AUTO_TEST_CASE(depthwise_cpu_equals_reference) {
  check_cpu_equals_reference<double, 3, 7>(3, 11, 13, 1e-12);
  check_cpu_equals_reference<double, 5, 16>(2, 9, 8, 1e-12);
  check_cpu_equals_reference<float, 3, 96>(2, 5, 17, 1e-5);
  check_cpu_equals_reference<float, 5, 64>(3, 2, 3, 1e-5);
  check_cpu_equals_reference<wu::bfloat16, 5, 37>(2, 21, 12, 1e-2);
}

BOOST_AUTO_TEST_CASE(depthwise_adds_to_filter_gradients_and_skips_unwanted_ones) {
  const auto check_one = [](auto& ctx) {
    constexpr Index C = 3, K = 3, n = 2 * 4 * 5 * C;
    const auto x = random_values(n, "x"), W = random_values(K * K * C, "W"), dy = random_values(n, "dy");
    const Picture<const double, C> vx(x.data(), 2, 4, 5), vdy(dy.data(), 2, 4, 5);
    const View<const double, K * K, C> vW(W.data());
    std::vector<double> once(W.size()), twice(W.size()), dx(x.size());
    depthwise_backward(ctx, Picture<double, C>(), View<double, K * K, C>(once.data()), vdy, vx, vW);
    for (int i = 0; i < 2; ++i)
      depthwise_backward(ctx, Picture<double, C>(dx.data(), 2, 4, 5), View<double, K * K, C>(twice.data()), vdy, vx, vW);
    for (std::size_t k = 0; k < once.size(); ++k) BOOST_CHECK_CLOSE(2 * once[k], twice[k], 1e-10);
    auto alone = poisoned(n);
    depthwise_backward(ctx, Picture<double, C>(alone.data(), 2, 4, 5), View<double, K * K, C>(), vdy, vx, vW);
    BOOST_CHECK(alone == dx);
  };
  wu::reference reference;
  check_one(reference);
  wu::cpu::Context cpu({.threads = 2});
  check_one(cpu);
}

// As many pixels, but another shape: no picture may be read as the other.
BOOST_AUTO_TEST_CASE(depthwise_refuses_another_picture) {
  const auto check_one = [](auto& ctx) {
    std::vector<double> x(6), y(6, 1.0), W(9);
    const Picture<double, 1> two_by_three(x.data(), 1, 2, 3), three_by_two(y.data(), 1, 3, 2);
    const auto says = [](std::string wanted) { return [wanted](const wu::ShapeError& e) { return e.what() == wanted; }; };
    const View<double, 9, 1> vW(W.data());
    BOOST_CHECK_EXCEPTION(depthwise_forward(ctx, three_by_two, two_by_three, vW), wu::ShapeError,
                          says("depthwise: expected 1 pictures of 2 x 3, found 1 of 3 x 2"));
    BOOST_CHECK_EXCEPTION(depthwise_backward(ctx, three_by_two, vW, two_by_three, two_by_three, vW), wu::ShapeError,
                          says("depthwise backward: expected 1 pictures of 2 x 3, found 1 of 3 x 2"));
    for (const double v : y) BOOST_CHECK_EQUAL(v, 1.0);
  };
  wu::reference reference;
  check_one(reference);
  wu::cpu::Context cpu({.threads = 2});
  check_one(cpu);
}
