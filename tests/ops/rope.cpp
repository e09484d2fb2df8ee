// ops/rope.hpp and cpu/rope.hpp.
#include <boost/test/unit_test.hpp>

#include "support/gradient_check.hpp"
#include "wu/cpu/rope.hpp"

namespace {

using wu::Columns, wu::Index, wu::RotaryAxis, wu::View, wu::dyn;

/// Head widths 14 = 4 + 10 and 6 = 2 + 2 + 2, positions that repeat and that do not begin at 0.
const std::array<RotaryAxis, 2> two_axes{RotaryAxis{4, 3, 5, 0}, RotaryAxis{10, 1, 3, 7}};
const std::array<RotaryAxis, 3> three_axes{RotaryAxis{2, 6, 2, 0}, RotaryAxis{2, 2, 3, 11}, RotaryAxis{2, 1, 2, 0}};
/// Wide enough for whole vector registers and what remains of them.
const std::array<RotaryAxis, 2> wide_axes{RotaryAxis{32, 2, 9, 0}, RotaryAxis{22, 1, 17, 1000}};

/// The formula of the specification, entry by entry.
template <Index C, Index D, std::size_t N>
std::vector<double> expected(const std::vector<double>& x, const std::array<RotaryAxis, N>& axes) {
  std::vector<double> y(x);
  for (Index r = 0; r < static_cast<Index>(x.size()) / C; ++r)
    for (Index head = 0; head < C; head += D) {
      Index from = r * C + head;
      for (const RotaryAxis& axis : axes) {
        const Index position = r / axis.divisor % axis.positions + axis.first;
        for (Index i = 0; i < axis.width / 2; ++i) {
          const double angle = static_cast<double>(position) *
                               std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(axis.width));
          const auto at = static_cast<std::size_t>(from + 2 * i);
          y[at] = x[at] * std::cos(angle) - x[at + 1] * std::sin(angle);
          y[at + 1] = x[at] * std::sin(angle) + x[at + 1] * std::cos(angle);
        }
        from += axis.width;
      }
    }
  return y;
}

template <Index C, Index D, class T = double, std::size_t N>
void check(auto& ctx, Index rows, const std::array<RotaryAxis, N>& axes, double tolerance = 1e-12) {
  wu::Workspace ws;
  const auto rotary = wu::Rotary<T, N>::make(ctx, ws, axes);
  const auto x = wu::test::random_values(rows * C, "x");
  const auto y = expected<C, D>(x, axes);
  std::vector<T> turned(x.begin(), x.end());
  const View<T, dyn, C> view(turned.data(), rows);
  rope_forward<D>(ctx, view, rotary);
  BOOST_CHECK_SMALL(wu::test::relative_error(turned, y), tolerance);
  rope_backward<D>(ctx, view, rotary);
  BOOST_CHECK_SMALL(wu::test::relative_error(turned, x), tolerance);

  // The middle C columns of a wider matrix; what lies beside them stays.
  std::vector<T> wide(static_cast<std::size_t>(rows * (C + 5)), T(3));
  const auto middle = wu::columns<2, C>(View<T, dyn, C + 5>(wide.data(), rows));
  for (Index r = 0; r < rows; ++r) std::copy_n(x.data() + r * C, C, middle.row(r));
  rope_forward<D>(ctx, middle, rotary);
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < C + 5; ++c) {
      const double wanted = c < 2 || c >= C + 2 ? 3.0 : y[static_cast<std::size_t>(r * C + c - 2)];
      BOOST_REQUIRE_SMALL(static_cast<double>(wide[static_cast<std::size_t>(r * (C + 5) + c)]) - wanted, tolerance * 2);
    }
}

template <class T>
void check_sizes(auto& ctx, double tolerance) {
  check<14, 14, T>(ctx, 15, two_axes, tolerance);
  check<42, 14, T>(ctx, 37, two_axes, tolerance);
  check<12, 6, T>(ctx, 24, three_axes, tolerance);
  check<108, 54, T>(ctx, 331, wide_axes, tolerance);  // enough work for two threads
}

}  // namespace

BOOST_AUTO_TEST_CASE(rope_turns_every_pair_by_the_formula_and_back) {
  wu::reference reference;
  check_sizes<double>(reference, 1e-12);
  check_sizes<float>(reference, 1e-6);
  wu::cpu::Context cpu({.threads = 2});
  check_sizes<double>(cpu, 1e-12);
  check_sizes<float>(cpu, 1e-6);
}

BOOST_AUTO_TEST_CASE(rope_on_two_threads_equals_the_reference_in_bfloat16_too) {
  wu::Workspace ws;
  wu::reference reference;
  wu::cpu::Context cpu({.threads = 2});
  constexpr Index rows = 331, C = 108, D = 54;
  const auto rotary = wu::Rotary<float, 2>::make(cpu, ws, wide_axes);
  const auto x = wu::test::random_values(rows * C, "x");
  std::vector<wu::bfloat16> a(rows * C);
  for (std::size_t k = 0; k < a.size(); ++k) a[k] = wu::bfloat16(x[k]);
  auto b = a;
  rope_forward<D>(reference, View<wu::bfloat16, dyn, C>(a.data(), rows), rotary);
  rope_forward<D>(cpu, View<wu::bfloat16, dyn, C>(b.data(), rows), rotary);
  for (std::size_t k = 0; k < a.size(); ++k) BOOST_REQUIRE_EQUAL(a[k].bits, b[k].bits);
}

// backward is the transpose: <rope(x), g> == <x, rope_backward(g)>.
BOOST_AUTO_TEST_CASE(rope_backward_is_the_transpose) {
  wu::Workspace ws;
  wu::cpu::Context cpu({.threads = 2});
  constexpr Index rows = 24, C = 12, D = 6;
  const auto rotary = wu::Rotary<double, 3>::make(cpu, ws, three_axes);
  auto x = wu::test::random_values(rows * C, "x"), g = wu::test::random_values(rows * C, "g");
  const auto keep = x, cotangent = g;
  rope_forward<D>(cpu, View<double, dyn, C>(x.data(), rows), rotary);
  rope_backward<D>(cpu, View<double, dyn, C>(g.data(), rows), rotary);
  BOOST_CHECK_CLOSE(wu::test::dot(x, cotangent), wu::test::dot(keep, g), 1e-9);
}

// Angles are taken in double and rounded once, so a float table is exact to half a unit in the last place even at positions
// where a float angle would be off by 5e-4.
BOOST_AUTO_TEST_CASE(rope_tables_are_rounded_once) {
  wu::Workspace ws;
  wu::reference reference;
  const auto rotary = wu::Rotary<float, 1>::make(reference, ws, {RotaryAxis{8, 1, 3, 5515}});
  for (Index p = 0; p < 3; ++p)
    for (Index i = 0; i < 8; ++i) {
      const double angle = static_cast<double>(5515 + p) * std::pow(10000.0, -static_cast<double>(i - i % 2) / 8.0);
      const float sign = i % 2 == 0 ? -1.0f : 1.0f;
      BOOST_CHECK_EQUAL(rotary.cos[0][p * 8 + i], static_cast<float>(std::cos(angle)));
      BOOST_CHECK_EQUAL(rotary.sin[0][p * 8 + i], sign * static_cast<float>(std::sin(angle)));
    }
}

BOOST_AUTO_TEST_CASE(rope_refuses_axes_that_do_not_share_the_head) {
  wu::Workspace ws;
  std::vector<double> x(3 * 12, 1.0);
  const View<double, dyn, 12> view(x.data(), 3);
  wu::reference reference;
  const auto rotary = wu::Rotary<double, 2>::make(reference, ws, {RotaryAxis{2, 1, 3, 0}, RotaryAxis{2, 1, 3, 0}});
  const auto refused = [](const wu::ShapeError& e) {
    return std::string(e.what()) == "rope: expected axes that share a head of 6 channels, found 4";
  };
  wu::cpu::Context cpu({.threads = 2});
  BOOST_CHECK_EXCEPTION(rope_forward<6>(reference, view, rotary), wu::ShapeError, refused);
  BOOST_CHECK_EXCEPTION(rope_backward<6>(cpu, view, rotary), wu::ShapeError, refused);
  for (const double v : x) BOOST_CHECK_EQUAL(v, 1.0);
  const auto odd = [](const wu::ShapeError& e) {
    return std::string(e.what()) == "rope: expected an even number of channels for every axis, found 3";
  };
  BOOST_CHECK_EXCEPTION((wu::Rotary<double, 2>::make(reference, ws, {RotaryAxis{3, 1, 3, 0}, RotaryAxis{3, 1, 3, 0}})),
                        wu::ShapeError, odd);
}

BOOST_AUTO_TEST_CASE(rope_gradients) {
  const auto check_one = [](auto& ctx) {
    wu::Workspace ws;
    constexpr Index rows = 24, C = 12, D = 6;
    const auto rotary = wu::Rotary<double, 3>::make(ctx, ws, three_axes);
    auto x = wu::test::random_values(rows * C, "x"), dx = wu::test::random_values(rows * C, "dy");
    const auto dy = dx;
    rope_backward<D>(ctx, View<double, dyn, C>(dx.data(), rows), rotary);
    wu::test::check_gradient("x", x, dx, [&] {
      auto y = x;
      rope_forward<D>(ctx, View<double, dyn, C>(y.data(), rows), rotary);
      return wu::test::dot(y, dy);
    });
  };
  wu::reference reference;
  check_one(reference);
  wu::cpu::Context cpu({.threads = 2});
  check_one(cpu);
}
