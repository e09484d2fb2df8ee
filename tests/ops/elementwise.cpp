// ops/elementwise.hpp and cpu/elementwise.hpp.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::View, wu::dyn, wu::test::Values;

void on_each_device(auto check) {
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

/// y = x for each of b copies; what is broadcast is a parameter, so its gradient is added to.
Values broadcast(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  const Index rows = wu::test::length(in, "x") / 7, all = wu::test::length(in, "dy") / 7;
  const auto x = wu::test::cast<T>(in.at("x")), dy = wu::test::cast<T>(in.at("dy"));
  auto y = wu::test::poison<T>(all * 7), dx = wu::test::begun<T>(rows * 7);
  auto dparameter = wu::test::begun<wu::accumulator_t<T>>(rows * 7);
  broadcast_rows_forward(ctx, View<T, dyn, 7>(y.data(), all), View<const T, dyn, 7>(x.data(), rows));
  broadcast_rows_backward(ctx, View<T, dyn, 7>(dx.data(), rows), View<const T, dyn, 7>(dy.data(), all));
  broadcast_rows_backward(ctx, View<wu::accumulator_t<T>, dyn, 7>(dparameter.data(), rows),
                          View<const T, dyn, 7>(dy.data(), all));
  return {{"y", wu::test::widen(y)}, {"dx", wu::test::added(dx)}, {"dx of a parameter", wu::test::added(dparameter)}};
}

template <Index C>
Values mean(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  const Index rows = wu::test::length(in, "x") / C, groups = wu::test::length(in, "dy") / C;
  const auto x = wu::test::cast<T>(in.at("x")), dy = wu::test::cast<T>(in.at("dy"));
  auto y = wu::test::poison<T>(groups * C), dx = wu::test::poison<T>(rows * C);
  mean_rows_forward(ctx, View<T, dyn, C>(y.data(), groups), View<const T, dyn, C>(x.data(), rows));
  mean_rows_backward(ctx, View<T, dyn, C>(dx.data(), rows), View<const T, dyn, C>(dy.data(), groups));
  return {{"y", wu::test::widen(y)}, {"dx", wu::test::widen(dx)}};
}

/// y(g K + k) = inner(k) + outer(g), both of them parameters.
template <Index C, Index K>
Values grid(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  using Sum = wu::accumulator_t<T>;
  const Index groups = wu::test::length(in, "outer") / C, rows = groups * K;
  const auto inner = wu::test::cast<T>(in.at("inner")), outer = wu::test::cast<T>(in.at("outer")),
             dy = wu::test::cast<T>(in.at("dy"));
  auto y = wu::test::poison<T>(rows * C);
  auto dinner = wu::test::begun<Sum>(K * C), douter = wu::test::begun<Sum>(groups * C);
  grid_sum_forward(ctx, View<T, dyn, C>(y.data(), rows), View<const T, K, C>(inner.data()),
                   View<const T, dyn, C>(outer.data(), groups));
  grid_sum_backward(ctx, View<Sum, K, C>(dinner.data()), View<Sum, dyn, C>(douter.data(), groups),
                    View<const T, dyn, C>(dy.data(), rows));
  return {{"y", wu::test::widen(y)}, {"dinner", wu::test::added(dinner)}, {"douter", wu::test::added(douter)}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(broadcast_rows) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return broadcast(zero, ctx, in); },
                            wu::test::inputs({{"x", 3 * 7}, {"dy", 2 * 3 * 7}}),
                            wu::test::inputs({{"x", 1001 * 7}, {"dy", 3 * 1001 * 7}}), {"x"});
}

BOOST_AUTO_TEST_CASE(mean_rows) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return mean<7>(zero, ctx, in); },
                            wu::test::inputs({{"x", 2 * 5 * 7}, {"dy", 2 * 7}}),
                            wu::test::inputs({{"x", 3 * 1001 * 7}, {"dy", 3 * 7}}), {"x"});
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return mean<67>(zero, ctx, in); },
                            wu::test::inputs({{"x", 3 * 2 * 67}, {"dy", 3 * 67}}),
                            wu::test::inputs({{"x", 2 * 151 * 67}, {"dy", 2 * 67}}), {"x"});
}

BOOST_AUTO_TEST_CASE(grid_sum) {
  const auto op = [](auto zero, auto& ctx, const Values& in) { return grid<7, 5>(zero, ctx, in); };
  wu::test::check_operation(op, wu::test::inputs({{"inner", 5 * 7}, {"outer", 3 * 7}, {"dy", 3 * 5 * 7}}),
                            wu::test::inputs({{"inner", 5 * 7}, {"outer", 1001 * 7}, {"dy", 1001 * 5 * 7}}),
                            {"inner", "outer"});
  wu::test::check_threads([](auto zero, auto& ctx, const Values& in) { return grid<67, 301>(zero, ctx, in); },
                          wu::test::inputs({{"inner", 301 * 67}, {"outer", 2 * 67}, {"dy", 2 * 301 * 67}}));
}

BOOST_AUTO_TEST_CASE(rows_on_any_number_of_threads) {
  wu::test::check_threads([](auto zero, auto& ctx, const Values& in) { return broadcast(zero, ctx, in); },
                          wu::test::inputs({{"x", 1001 * 7}, {"dy", 3 * 1001 * 7}}));
  wu::test::check_threads([](auto zero, auto& ctx, const Values& in) { return mean<67>(zero, ctx, in); },
                          wu::test::inputs({{"x", 2 * 151 * 67}, {"dy", 2 * 67}}));
}

BOOST_AUTO_TEST_CASE(add_of_bfloat16_rounds_once) {
  on_each_device([](auto& ctx) {
    const Index n = 5003 * 7;
    const auto x = wu::test::cast<wu::bfloat16>(wu::test::random_values(n, "x")),
               start = wu::test::cast<wu::bfloat16>(wu::test::random_values(n, "y"));
    auto y = start;
    add(ctx, View<wu::bfloat16, dyn, 7>(y.data(), n / 7), View<const wu::bfloat16, dyn, 7>(x.data(), n / 7));
    for (std::size_t k = 0; k < y.size(); ++k)
      BOOST_REQUIRE_EQUAL(y[k].bits, wu::bfloat16(static_cast<float>(start[k]) + static_cast<float>(x[k])).bits);
  });
}

BOOST_AUTO_TEST_CASE(add_copy_scale_and_zero) {
  on_each_device([](auto& ctx) {
    for (const Index rows : {5, 5003}) {
      const auto n = static_cast<std::size_t>(rows * 7);
      const auto x = wu::test::random_values(rows * 7, "x"), start = wu::test::random_values(rows * 7, "y");
      auto y = start;
      const View<const double, dyn, 7> vx(x.data(), rows);
      const View<double, dyn, 7> vy(y.data(), rows);
      add(ctx, vy, vx);
      for (std::size_t k = 0; k < n; ++k) BOOST_REQUIRE_EQUAL(y[k], start[k] + x[k]);
      std::fill(y.begin(), y.end(), std::nan(""));
      copy(ctx, vy, vx);
      BOOST_CHECK(y == x);
      scale(ctx, vy, -0.75);
      for (std::size_t k = 0; k < n; ++k) BOOST_REQUIRE_EQUAL(y[k], -0.75 * x[k]);
      std::fill(y.begin(), y.end(), std::nan(""));
      zero(ctx, vy);
      BOOST_CHECK(y == std::vector<double>(n));
    }
  });
}

BOOST_AUTO_TEST_CASE(convert_rounds_once) {
  on_each_device([](auto& ctx) {
    const std::vector<float> wide{1.0f, 1.00390625f, -3e38f,
                                  0.0f};  // the second lies in the middle, and goes to the even one
    std::vector<wu::bfloat16> narrow(4);
    std::vector<float> back(4, -1);
    convert(ctx, View<wu::bfloat16, dyn>(narrow.data(), 4), View<const float, dyn>(wide.data(), 4));
    convert(ctx, View<float, dyn>(back.data(), 4), View<const wu::bfloat16, dyn>(narrow.data(), 4));
    for (std::size_t k = 0; k < 4; ++k) BOOST_CHECK_EQUAL(back[k], static_cast<float>(wu::bfloat16(wide[k])));
    BOOST_CHECK_EQUAL(back[1], 1.0f);
    BOOST_CHECK_EXCEPTION(convert(ctx, View<float, dyn>(back.data(), 3), View<const wu::bfloat16, dyn>(narrow.data(), 4)),
                          wu::ShapeError, wu::test::says("convert: expected 3 values, found 4"));
  });
}

BOOST_AUTO_TEST_CASE(broadcast_rows_skips_a_gradient_that_nobody_wants) {
  on_each_device([](auto& ctx) {
    const auto dy = wu::test::random_values(6 * 7, "dy");
    broadcast_rows_backward(ctx, View<double, dyn, 7>(static_cast<double*>(nullptr), 3),
                            View<const double, dyn, 7>(dy.data(), 6));
  });
}

BOOST_AUTO_TEST_CASE(gradients_of_no_rows_add_nothing) {
  on_each_device([](auto& ctx) {
    std::vector<double> dx(3 * 7, 2);
    const View<double, dyn, 7> inner(dx.data(), 3), none(dx.data(), 0);
    const View<const double, dyn, 7> dy;
    broadcast_rows_backward(ctx, inner, dy);
    grid_sum_backward(ctx, inner, none, dy);
    BOOST_CHECK(dx == std::vector<double>(3 * 7, 2));
  });
}

BOOST_AUTO_TEST_CASE(elementwise_operations_refuse_sizes_that_do_not_fit) {
  on_each_device([](auto& ctx) {
    std::vector<double> memory(35);
    const View<double, dyn, 7> two(memory.data(), 2), four(memory.data(), 4), five(memory.data(), 5);
    BOOST_CHECK_EXCEPTION(add(ctx, five, four), wu::ShapeError, wu::test::says("add: expected 35 values, found 28"));
    BOOST_CHECK_EXCEPTION(copy(ctx, five, four), wu::ShapeError, wu::test::says("copy: expected 35 values, found 28"));
    BOOST_CHECK_EXCEPTION(broadcast_rows_forward(ctx, five, two), wu::ShapeError,
                          wu::test::says("broadcast rows: expected a multiple of 14 values, found 35"));
    BOOST_CHECK_EXCEPTION(broadcast_rows_backward(ctx, two, five), wu::ShapeError,
                          wu::test::says("broadcast rows backward: expected a multiple of 14 values, found 35"));
    BOOST_CHECK_EXCEPTION(mean_rows_forward(ctx, two, five), wu::ShapeError,
                          wu::test::says("mean rows: expected rows for 2 equal groups, found 5"));
    BOOST_CHECK_EXCEPTION(mean_rows_backward(ctx, five, two), wu::ShapeError,
                          wu::test::says("mean rows backward: expected rows for 2 equal groups, found 5"));
    const View<double, 3, 7> three(memory.data());
    BOOST_CHECK_EXCEPTION(grid_sum_forward(ctx, five, three, two), wu::ShapeError,
                          wu::test::says("grid sum: expected 2 times 3 rows, found 5"));
    BOOST_CHECK_EXCEPTION(grid_sum_backward(ctx, three, two, five), wu::ShapeError,
                          wu::test::says("grid sum backward: expected 2 times 3 rows, found 5"));
    // The mean of no rows would be NaN.
    BOOST_CHECK_EXCEPTION(mean_rows_forward(ctx, two, View<const double, dyn, 7>(memory.data(), 0)), wu::ShapeError,
                          wu::test::says("mean rows: expected rows for 2 equal groups, found 0"));
  });
}
