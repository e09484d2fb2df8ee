// ops/layer_norm.hpp and the CPU's version.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::View, wu::dyn, wu::test::Values;

template <Index C, bool Gain, bool Bias = Gain>
Values run(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  using Sum = wu::accumulator_t<T>;
  const Index rows = wu::test::length(in, "x") / C;
  const auto x = wu::test::cast<T>(in.at("x")), gain = wu::test::cast<T>(in.at("gain")),
             bias = wu::test::cast<T>(in.at("bias")), dy = wu::test::cast<T>(in.at("dy"));
  auto y = wu::test::poison<T>(rows * C), dx = wu::test::poison<T>(rows * C), dx_added = wu::test::begun<T>(rows * C);
  auto mean = wu::test::poison<Sum>(rows), inv_std = wu::test::poison<Sum>(rows), dgain = wu::test::begun<Sum>(C),
       dbias = wu::test::begun<Sum>(C);
  const View<const T, dyn, C> vx(x.data(), rows), vdy(dy.data(), rows);
  const View<const T, C> vgain(Gain ? gain.data() : nullptr), vbias(Bias ? bias.data() : nullptr);
  const View<Sum, C> none, vdgain(Gain ? dgain.data() : nullptr), vdbias(Bias ? dbias.data() : nullptr);
  const View<Sum, dyn> vmean(mean.data(), rows), vinv(inv_std.data(), rows);
  layer_norm_forward(ctx, View<T, dyn, C>(y.data(), rows), vmean, vinv, vx, vgain, vbias);
  layer_norm_backward(ctx, View<T, dyn, C>(dx.data(), rows), vdgain, vdbias, vdy, vx, as_const(vmean), as_const(vinv),
                      vgain);
  layer_norm_backward_add(ctx, View<T, dyn, C>(dx_added.data(), rows), none, none, vdy, vx, as_const(vmean), as_const(vinv),
                          vgain);
  return {{"y", wu::test::widen(y)},
          {"mean", wu::test::widen(mean)},
          {"inv_std", wu::test::widen(inv_std)},
          {"dx", wu::test::widen(dx)},
          {"dgain", wu::test::added(dgain)},
          {"dbias", wu::test::added(dbias)},
          {"dx added", wu::test::added(dx_added)}};
}

template <Index C>
Values sizes(Index rows) {
  return wu::test::inputs({{"x", rows * C}, {"gain", C}, {"bias", C}, {"dy", rows * C}});
}

}  // namespace

BOOST_AUTO_TEST_CASE(layer_norm) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<7, true>(zero, ctx, in); }, sizes<7>(5),
                            sizes<7>(2500), {"x", "gain", "bias"});
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<67, true>(zero, ctx, in); },
                            sizes<67>(3), sizes<67>(301), {"x", "gain", "bias"});
}

BOOST_AUTO_TEST_CASE(layer_norm_without_gain_and_bias) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<7, false>(zero, ctx, in); }, sizes<7>(5),
                            sizes<7>(2500), {"x"});
}

BOOST_AUTO_TEST_CASE(layer_norm_with_gain_or_bias_alone) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<7, true, false>(zero, ctx, in); },
                            sizes<7>(5), sizes<7>(2500), {"x", "gain"});
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<7, false, true>(zero, ctx, in); },
                            sizes<7>(5), sizes<7>(2500), {"x", "bias"});
}

BOOST_AUTO_TEST_CASE(layer_norm_on_any_number_of_threads) {
  wu::test::check_threads([](auto zero, auto& ctx, const Values& in) { return run<67, true>(zero, ctx, in); },
                          sizes<67>(301));
}

BOOST_AUTO_TEST_CASE(layer_norm_adds_to_a_gradient_that_is_there) {
  wu::reference reference;
  wu::cpu::Context cpu({.threads = 2});
  const auto check = [](const Values& out) {
    BOOST_CHECK_LE(wu::test::relative_error(out.at("dx added"), out.at("dx")), 1e-14);
  };
  check(run<67, true>(double{}, reference, sizes<67>(3))), check(run<67, true>(double{}, cpu, sizes<67>(3)));
}

BOOST_AUTO_TEST_CASE(layer_norm_does_not_see_a_shift) {
  wu::cpu::Context ctx({.threads = 2});
  auto in = sizes<67>(3);
  const auto before = run<67, true>(float{}, ctx, in)["y"];
  for (double& v : in["x"]) v += 100;  // a variance taken as mean(x^2) - mean^2 would lose four digits here
  BOOST_CHECK_LE(wu::test::relative_error(run<67, true>(float{}, ctx, in)["y"], before), 1e-4);
}

BOOST_AUTO_TEST_CASE(layer_norm_refuses_another_number_of_rows) {
  auto check = [](auto& ctx) {
    std::vector<double> memory(35);
    const View<double, dyn> five(memory.data(), 5);
    const View<double, 7> none;
    auto call = [&] {
      layer_norm_forward(ctx, View<double, dyn, 7>(memory.data(), 4), five, five, View<double, dyn, 7>(memory.data(), 5),
                         none, none);
    };
    BOOST_CHECK_EXCEPTION(call(), wu::ShapeError, wu::test::says("layer norm: expected 5 rows, found 4"));
    const View<double, dyn, 7> rows(memory.data(), 5), not_wanted;
    const View<double, dyn> four(memory.data(), 4);
    BOOST_CHECK_EXCEPTION(layer_norm_forward(ctx, rows, four, five, rows, none, none), wu::ShapeError,
                          wu::test::says("layer norm, mean: expected 5 values, found 4"));
    BOOST_CHECK_EXCEPTION(layer_norm_forward(ctx, rows, five, four, rows, none, none), wu::ShapeError,
                          wu::test::says("layer norm, inv_std: expected 5 values, found 4"));
    BOOST_CHECK_EXCEPTION(layer_norm_backward(ctx, not_wanted, none, none, rows, rows, four, five, none), wu::ShapeError,
                          wu::test::says("layer norm backward, mean: expected 5 values, found 4"));
    BOOST_CHECK_EXCEPTION(layer_norm_backward(ctx, not_wanted, none, none, rows, rows, five, four, none), wu::ShapeError,
                          wu::test::says("layer norm backward, inv_std: expected 5 values, found 4"));
    BOOST_CHECK(memory == std::vector<double>(35));
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}
