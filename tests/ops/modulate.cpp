// ops/modulate.hpp and cpu/modulate.hpp. Shift, scale and gate are columns of one wider matrix, as in a block.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::View, wu::dyn, wu::test::Values;

/// "m" is (G, 3 C): shift, scale, gate.   y = (x (1 + scale) + shift), then y += gate h.
template <Index C>
Values run(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  const Index rows = wu::test::length(in, "x") / C, groups = wu::test::length(in, "m") / (3 * C);
  const auto x = wu::test::cast<T>(in.at("x")), h = wu::test::cast<T>(in.at("h")), m = wu::test::cast<T>(in.at("m")), dy = wu::test::cast<T>(in.at("dy"));
  auto y = wu::test::poison<T>(rows * C), dx = wu::test::poison<T>(rows * C), dh = wu::test::poison<T>(rows * C), dm = wu::test::poison<T>(groups * 3 * C);
  const View<const T, dyn, C> vx(x.data(), rows), vh(h.data(), rows), vdy(dy.data(), rows);
  const View<const T, dyn, 3 * C> vm(m.data(), groups);
  const View<T, dyn, C> vy(y.data(), rows);
  const View<T, dyn, 3 * C> vdm(dm.data(), groups);
  const auto shift = wu::columns<0, C>(vm), scale = wu::columns<C, C>(vm), gate = wu::columns<2 * C, C>(vm);
  modulate_forward(ctx, vy, vx, shift, scale);
  gated_add_forward(ctx, vy, vh, gate);
  gated_add_backward(ctx, View<T, dyn, C>(dh.data(), rows), wu::columns<2 * C, C>(vdm), vdy, vh, gate);
  modulate_backward(ctx, View<T, dyn, C>(dx.data(), rows), wu::columns<0, C>(vdm), wu::columns<C, C>(vdm), vdy, vx, scale);
  return {{"y", wu::test::widen(y)}, {"dx", wu::test::widen(dx)}, {"dh", wu::test::widen(dh)}, {"dm", wu::test::widen(dm)}};
}

template <Index C>
Values sizes(Index groups, Index k) { return wu::test::inputs({{"x", groups * k * C}, {"h", groups * k * C}, {"m", groups * 3 * C}, {"dy", groups * k * C}}); }

}  // namespace

BOOST_AUTO_TEST_CASE(modulate_and_gated_add) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<7>(zero, ctx, in); }, sizes<7>(3, 5), sizes<7>(3, 901), {"x", "h", "m"});
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<67>(zero, ctx, in); }, sizes<67>(2, 3), sizes<67>(1, 301), {"x", "h", "m"});
}

BOOST_AUTO_TEST_CASE(modulate_with_a_group_for_each_row) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<5>(zero, ctx, in); }, sizes<5>(7, 1), sizes<5>(4001, 1), {"x", "h", "m"});
}

BOOST_AUTO_TEST_CASE(modulate_takes_views_as_well_as_columns) {
  wu::cpu::Context ctx({.threads = 2});
  const std::vector<double> x{1, 2, 3, 4}, shift{10, 20}, scale{1, -1};
  std::vector<double> y(4);
  modulate_forward(ctx, View<double, dyn, 2>(y.data(), 2), View<const double, dyn, 2>(x.data(), 2), View<const double, dyn, 2>(shift.data(), 1),
                   View<const double, dyn, 2>(scale.data(), 1));
  const std::vector<double> expected{12, 20, 16, 20};
  BOOST_CHECK_EQUAL_COLLECTIONS(y.begin(), y.end(), expected.begin(), expected.end());
}

BOOST_AUTO_TEST_CASE(modulate_refuses_rows_that_do_not_divide) {
  auto check = [](auto& ctx) {
    std::vector<double> memory(35), m(21);
    const View<double, dyn, 7> x(memory.data(), 5), two(m.data(), 2);
    BOOST_CHECK_EXCEPTION(modulate_forward(ctx, x, x, two, two), wu::ShapeError, wu::test::says("modulate: expected a multiple of 2 groups' rows, found 5"));
    BOOST_CHECK_EXCEPTION(gated_add_forward(ctx, x, x, two), wu::ShapeError, wu::test::says("gated add: expected a multiple of 2 groups' rows, found 5"));
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}
