// ops/modulate.hpp and cpu/modulate.hpp. Shift, scale and gate are columns of one wider matrix, as in a block.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::View, wu::dyn, wu::test::Values;

/// y = x (1 + scale) + shift, then y += gate h. Shift, scale and gate (G, C) are joined to one matrix (G, 3 C) and read as its columns.
template <Index C>
Values run(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  const Index rows = wu::test::length(in, "x") / C, groups = wu::test::length(in, "shift") / C;
  const auto x = wu::test::cast<T>(in.at("x")), h = wu::test::cast<T>(in.at("h")), dy = wu::test::cast<T>(in.at("dy"));
  auto y = wu::test::poison<T>(rows * C), dx = wu::test::poison<T>(rows * C), dh = wu::test::poison<T>(rows * C),
       m = wu::test::poison<T>(groups * 3 * C), dm = m;
  const View<T, dyn, 3 * C> vm(m.data(), groups), vdm(dm.data(), groups);
  const auto each_part = [&](auto f) {
    f("shift", wu::columns<0, C>(vm), wu::columns<0, C>(vdm)), f("scale", wu::columns<C, C>(vm), wu::columns<C, C>(vdm)),
        f("gate", wu::columns<2 * C, C>(vm), wu::columns<2 * C, C>(vdm));
  };
  each_part([&](const char* name, auto part, auto) {
    const auto values = wu::test::cast<T>(in.at(name));
    for (Index g = 0; g < groups; ++g) std::copy_n(values.data() + g * C, C, part.row(g));
  });
  const View<const T, dyn, C> vx(x.data(), rows), vh(h.data(), rows), vdy(dy.data(), rows);
  const View<T, dyn, C> vy(y.data(), rows);
  const auto shift = wu::columns<0, C>(as_const(vm)), scale = wu::columns<C, C>(as_const(vm)),
             gate = wu::columns<2 * C, C>(as_const(vm));
  modulate_forward(ctx, vy, vx, shift, scale);
  gated_add_forward(ctx, vy, vh, gate);
  gated_add_backward(ctx, View<T, dyn, C>(dh.data(), rows), wu::columns<2 * C, C>(vdm), vdy, vh, gate);
  modulate_backward(ctx, View<T, dyn, C>(dx.data(), rows), wu::columns<0, C>(vdm), wu::columns<C, C>(vdm), vdy, vx, scale);
  Values out{{"y", wu::test::widen(y)}, {"dx", wu::test::widen(dx)}, {"dh", wu::test::widen(dh)}};
  each_part([&](const char* name, auto, auto dpart) {
    for (Index g = 0; g < groups; ++g)
      for (Index c = 0; c < C; ++c) out[std::string("d") + name].push_back(static_cast<double>(dpart.row(g)[c]));
  });
  return out;
}

template <Index C>
Values sizes(Index groups, Index k) {
  return wu::test::inputs({{"x", groups * k * C},
                           {"h", groups * k * C},
                           {"shift", groups * C},
                           {"scale", groups * C},
                           {"gate", groups * C},
                           {"dy", groups * k * C}});
}
const std::vector<std::string> arguments{"x", "h", "shift", "scale", "gate"};

}  // namespace

BOOST_AUTO_TEST_CASE(modulate_and_gated_add) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<7>(zero, ctx, in); }, sizes<7>(3, 5),
                            sizes<7>(3, 901), arguments);
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<67>(zero, ctx, in); }, sizes<67>(2, 3),
                            sizes<67>(1, 301), arguments);
}

BOOST_AUTO_TEST_CASE(modulate_and_gated_add_on_any_number_of_threads) {
  wu::test::check_threads([](auto zero, auto& ctx, const Values& in) { return run<67>(zero, ctx, in); }, sizes<67>(1, 301));
}

BOOST_AUTO_TEST_CASE(modulate_with_a_group_for_each_row) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run<5>(zero, ctx, in); }, sizes<5>(7, 1),
                            sizes<5>(4001, 1), arguments);
}

// What reads its rows one after the other takes Views; as Columns it would not compile.
static_assert(wu::detail::is_contiguous<View<const float, dyn, 3>> && !wu::detail::is_contiguous<wu::Columns<float, 3>>);

BOOST_AUTO_TEST_CASE(modulate_takes_views_as_well_as_columns) {
  wu::cpu::Context ctx({.threads = 2});
  const std::vector<double> x{1, 2, 3, 4}, shift{10, 20}, scale{1, -1};
  std::vector<double> y(4);
  modulate_forward(ctx, View<double, dyn, 2>(y.data(), 2), View<const double, dyn, 2>(x.data(), 2),
                   View<const double, dyn, 2>(shift.data(), 1), View<const double, dyn, 2>(scale.data(), 1));
  const std::vector<double> expected{12, 20, 16, 20};
  BOOST_CHECK_EQUAL_COLLECTIONS(y.begin(), y.end(), expected.begin(), expected.end());
}

BOOST_AUTO_TEST_CASE(modulate_refuses_rows_that_do_not_divide) {
  auto check = [](auto& ctx) {
    std::vector<double> memory(35), m(21);
    const View<double, dyn, 7> x(memory.data(), 5), two(m.data(), 2);
    BOOST_CHECK_EXCEPTION(modulate_forward(ctx, x, x, two, two), wu::ShapeError,
                          wu::test::says("modulate: expected a multiple of 2 groups' rows, found 5"));
    BOOST_CHECK_EXCEPTION(gated_add_forward(ctx, x, x, two), wu::ShapeError,
                          wu::test::says("gated add: expected a multiple of 2 groups' rows, found 5"));
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}
