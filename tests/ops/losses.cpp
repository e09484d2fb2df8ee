// ops/losses.hpp and cpu/losses.hpp.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::View, wu::dyn, wu::test::Values;

/// "dy" has one weight for each sample, as y has one error.
Values run(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  const Index rows = wu::test::length(in, "prediction") / 7, samples = wu::test::length(in, "dy");
  const auto p = wu::test::cast<T>(in.at("prediction")), t = wu::test::cast<T>(in.at("target"));
  auto y = wu::test::poisoned(samples), mean = wu::test::poisoned(1);
  auto d = wu::test::poison<T>(rows * 7);
  const View<const T, dyn, 7> vp(p.data(), rows), vt(t.data(), rows);
  mean[0] = mse_forward(ctx, View<double, dyn>(y.data(), samples), vp, vt);
  mse_backward(ctx, View<T, dyn, 7>(d.data(), rows), vp, vt, std::span<const double>(in.at("dy")));
  return {{"y", y}, {"mean", mean}, {"dprediction", wu::test::widen(d)}};
}

Values sizes(Index samples, Index rows) {
  return wu::test::inputs({{"prediction", samples * rows * 7}, {"target", samples * rows * 7}, {"dy", samples}});
}

}  // namespace

BOOST_AUTO_TEST_CASE(mean_squared_error) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run(zero, ctx, in); }, sizes(3, 5),
                            sizes(3, 1501), {"prediction"});
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run(zero, ctx, in); }, sizes(2, 3),
                            sizes(131, 29), {"prediction"});
}

BOOST_AUTO_TEST_CASE(mean_squared_error_is_the_mean_over_samples) {
  wu::cpu::Context ctx({.threads = 2});
  const auto out = run(float{}, ctx, sizes(3, 5));
  const auto& each = out.at("y");
  BOOST_CHECK_CLOSE(out.at("mean")[0], (each[0] + each[1] + each[2]) / 3, 1e-12);
}

BOOST_AUTO_TEST_CASE(mean_squared_error_does_not_depend_on_the_number_of_threads) {
  wu::test::check_threads([](auto zero, auto& ctx, const Values& in) { return run(zero, ctx, in); }, sizes(3, 1501));
}

BOOST_AUTO_TEST_CASE(mean_squared_error_sums_in_double) {
  wu::cpu::Context ctx({.threads = 2});
  constexpr Index n = 1 << 20;  // a float32 sum of as many equal values is off by 1e-5 and more
  const std::vector<float> p(n, 0.1f), t(n, 0);
  double error = 0;
  mse_forward(ctx, View<double, dyn>(&error, 1), View<const float, dyn, 1>(p.data(), n),
              View<const float, dyn, 1>(t.data(), n));
  BOOST_CHECK_CLOSE(error, static_cast<double>(0.1f) * static_cast<double>(0.1f), 1e-10);
}

BOOST_AUTO_TEST_CASE(mean_squared_error_refuses_another_size) {
  auto check = [](auto& ctx) {
    std::vector<double> memory(35), errors(5);
    const View<double, dyn, 7> four(memory.data(), 4), five(memory.data(), 5);
    BOOST_CHECK_EXCEPTION(mse_forward(ctx, View<double, dyn>(errors.data(), 1), four, five), wu::ShapeError,
                          wu::test::says("mean squared error: expected 35 values, found 28"));
    BOOST_CHECK_EXCEPTION(mse_backward(ctx, five, four, five, std::span<const double>(errors).first(1)), wu::ShapeError,
                          wu::test::says("mean squared error backward: expected 35 values, found 28"));
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

BOOST_AUTO_TEST_CASE(mean_squared_error_refuses_samples_that_do_not_divide) {
  auto check = [](auto& ctx) {
    std::vector<double> memory(35), errors(5);
    const View<double, dyn, 7> five(memory.data(), 5);
    BOOST_CHECK_EXCEPTION(mse_forward(ctx, View<double, dyn>(errors.data(), 3), five, five), wu::ShapeError,
                          wu::test::says("mean squared error: expected a multiple of 3 samples' values, found 35"));
    BOOST_CHECK_EXCEPTION(mse_backward(ctx, five, five, five, std::span<const double>(errors).first(3)), wu::ShapeError,
                          wu::test::says("mean squared error backward: expected a multiple of 3 samples' values, found 35"));
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}
