// ops/rms_norm.hpp and the CPU's version.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::View, wu::dyn, wu::test::Values;

template <Index C>
Values run(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  const Index rows = wu::test::length(in, "x") / C;
  const auto x = wu::test::cast<T>(in.at("x")), gain = wu::test::cast<T>(in.at("gain")), dy = wu::test::cast<T>(in.at("dy"));
  auto y = wu::test::poison<T>(rows * C), dx = wu::test::poison<T>(rows * C), dx_added = wu::test::begun<T>(rows * C);
  auto inv_rms = wu::test::poison<wu::accumulator_t<T>>(rows), dgain = wu::test::begun<wu::accumulator_t<T>>(C),
       dgain_added = dgain;
  const View<const T, dyn, C> vx(x.data(), rows), vdy(dy.data(), rows);
  const View<const T, C> vgain(gain.data());
  using Sums = View<wu::accumulator_t<T>, C>;
  const View<wu::accumulator_t<T>, dyn> vinv(inv_rms.data(), rows);
  rms_norm_forward(ctx, View<T, dyn, C>(y.data(), rows), vinv, vx, vgain);
  rms_norm_backward(ctx, View<T, dyn, C>(dx.data(), rows), Sums(dgain.data()), vdy, vx, as_const(vinv), vgain);
  rms_norm_backward_add(ctx, View<T, dyn, C>(dx_added.data(), rows), Sums(dgain_added.data()), vdy, vx, as_const(vinv),
                        vgain);
  return {{"y", wu::test::widen(y)},
          {"inv_rms", wu::test::widen(inv_rms)},
          {"dx", wu::test::widen(dx)},
          {"dgain", wu::test::added(dgain)},
          {"dx added", wu::test::added(dx_added)},
          {"dgain added", wu::test::added(dgain_added)}};
}

template <Index C>
Values sizes(Index rows) {
  return wu::test::inputs({{"x", rows * C}, {"gain", C}, {"dy", rows * C}});
}

}  // namespace

BOOST_AUTO_TEST_CASE(rms_norm) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<7>(zero, ctx, in); }, sizes<7>(5),
                            sizes<7>(2500), {"x", "gain"});
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<67>(zero, ctx, in); }, sizes<67>(3),
                            sizes<67>(301), {"x", "gain"});
}

BOOST_AUTO_TEST_CASE(rms_norm_on_any_number_of_threads) {
  wu::test::check_threads([](auto zero, auto& ctx, const Values& in) { return run<67>(zero, ctx, in); }, sizes<67>(301));
}

BOOST_AUTO_TEST_CASE(rms_norm_adds_to_a_gradient_that_is_there) {
  wu::reference reference;
  wu::cpu::Context cpu({.threads = 2});
  const auto check = [](const Values& out) {
    BOOST_CHECK_LE(wu::test::relative_error(out.at("dx added"), out.at("dx")), 1e-14);
    BOOST_CHECK(out.at("dgain added") == out.at("dgain"));
  };
  check(run<67>(double{}, reference, sizes<67>(3))), check(run<67>(double{}, cpu, sizes<67>(3)));
}

BOOST_AUTO_TEST_CASE(rms_norm_makes_the_mean_square_one) {
  wu::reference ctx;
  auto in = sizes<7>(5);
  in["gain"].assign(7, 1);
  const auto y = run<7>(double{}, ctx, in)["y"];
  for (std::size_t r = 0; r < 5; ++r) {
    double squares = 0;
    for (std::size_t c = 0; c < 7; ++c) squares += y[r * 7 + c] * y[r * 7 + c];
    BOOST_CHECK_CLOSE(squares / 7, 1, 1e-2);
  }
}

BOOST_AUTO_TEST_CASE(rms_norm_of_zero_is_zero) {
  wu::cpu::Context ctx({.threads = 1});
  auto in = sizes<7>(1);
  in["x"].assign(7, 0);
  const auto out = run<7>(float{}, ctx, in);
  for (const double v : out.at("y")) BOOST_CHECK_EQUAL(v, 0);
  BOOST_CHECK_CLOSE(out.at("inv_rms")[0], 1000, 1e-3);  // eps = 1e-6
}

BOOST_AUTO_TEST_CASE(rms_norm_skips_gradients_that_nobody_wants) {
  auto check = [](auto& ctx) {
    const auto in = sizes<7>(5);
    const auto all = run<7>(double{}, ctx, in);
    auto inv_rms = all.at("inv_rms"), dx = wu::test::poisoned(35), dgain = std::vector<double>(7);
    const View<const double, dyn, 7> x(in.at("x").data(), 5), dy(in.at("dy").data(), 5);
    const View<const double, 7> gain(in.at("gain").data());
    const View<const double, dyn> inv(inv_rms.data(), 5);
    rms_norm_backward(ctx, View<double, dyn, 7>(dx.data(), 5), View<double, 7>(), dy, x, inv, gain);
    rms_norm_backward(ctx, View<double, dyn, 7>(), View<double, 7>(dgain.data()), dy, x, inv, gain);
    BOOST_CHECK_LE(wu::test::relative_error(dx, all.at("dx")), 1e-15);
    BOOST_CHECK_LE(wu::test::relative_error(dgain, all.at("dgain")), 1e-14);
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

BOOST_AUTO_TEST_CASE(rms_norm_refuses_another_number_of_rows) {
  auto check = [](auto& ctx) {
    std::vector<double> memory(35), gain(7);
    auto call = [&] {
      rms_norm_forward(ctx, View<double, dyn, 7>(memory.data(), 4), View<double, dyn>(memory.data(), 5),
                       View<double, dyn, 7>(memory.data(), 5), View<double, 7>(gain.data()));
    };
    BOOST_CHECK_EXCEPTION(call(), wu::ShapeError, wu::test::says("rms norm: expected 5 rows, found 4"));
    const View<double, dyn, 7> rows(memory.data(), 5), four_rows(memory.data(), 4);
    const View<double, dyn> five(memory.data(), 5), four(memory.data(), 4);
    const View<double, 7> vgain(gain.data());
    BOOST_CHECK_EXCEPTION(rms_norm_forward(ctx, rows, four, rows, vgain), wu::ShapeError,
                          wu::test::says("rms norm, inv_rms: expected 5 values, found 4"));
    BOOST_CHECK_EXCEPTION(rms_norm_backward(ctx, rows, vgain, rows, rows, four, vgain), wu::ShapeError,
                          wu::test::says("rms norm backward, inv_rms: expected 5 values, found 4"));
    BOOST_CHECK_EXCEPTION(rms_norm_backward(ctx, four_rows, vgain, rows, rows, five, vgain), wu::ShapeError,
                          wu::test::says("rms norm backward: expected 5 rows, found 4"));
    BOOST_CHECK_EXCEPTION(rms_norm_backward_add(ctx, four_rows, vgain, rows, rows, five, vgain), wu::ShapeError,
                          wu::test::says("rms norm backward: expected 5 rows, found 4"));
    BOOST_CHECK(memory == std::vector<double>(35) && gain == std::vector<double>(7));
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}
