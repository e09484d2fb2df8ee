// ops/patches.hpp and cpu/patches.hpp.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::View, wu::dyn, wu::test::Values;
constexpr Index P = 3, Ch = 2, down = 2, across = 5, height = down * P, width = across * P;

Values run(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  const Index b = wu::test::length(in, "x") / (height * width * Ch);
  const auto x = wu::test::cast<T>(in.at("x")), dy = wu::test::cast<T>(in.at("dy"));
  auto y = wu::test::poison<T>(b * height * width * Ch), dx = wu::test::poison<T>(b * height * width * Ch);
  patches_forward(ctx, View<T, dyn, down * across, P * P * Ch>(y.data(), b),
                  View<const T, dyn, dyn, dyn, Ch>(x.data(), b, height, width));
  patches_backward(ctx, View<T, dyn, dyn, dyn, Ch>(dx.data(), b, height, width),
                   View<const T, dyn, P * P * Ch>(dy.data(), b * down * across));
  return {{"y", wu::test::widen(y)}, {"dx", wu::test::widen(dx)}};
}

Values sizes(Index b) { return wu::test::inputs({{"x", b * height * width * Ch}, {"dy", b * height * width * Ch}}); }

}  // namespace

BOOST_AUTO_TEST_CASE(patches) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run(zero, ctx, in); }, sizes(2), sizes(101),
                            {"x"});
}

BOOST_AUTO_TEST_CASE(patches_lie_where_the_formula_says) {
  wu::reference ctx;
  constexpr Index b = 2;
  const auto in = sizes(b);
  const auto out = run(double{}, ctx, in);
  for (Index s = 0; s < b; ++s)
    for (Index r = 0; r < down; ++r)
      for (Index c = 0; c < across; ++c)
        for (Index i = 0; i < P; ++i)
          for (Index j = 0; j < P; ++j)
            for (Index ch = 0; ch < Ch; ++ch) {
              const auto patch =
                  static_cast<std::size_t>(((s * down * across + r * across + c) * P * P + i * P + j) * Ch + ch);
              const auto pixel = static_cast<std::size_t>(((s * height + r * P + i) * width + c * P + j) * Ch + ch);
              BOOST_REQUIRE_EQUAL(out.at("y")[patch], in.at("x")[pixel]);
              BOOST_REQUIRE_EQUAL(out.at("dx")[pixel], in.at("dy")[patch]);
            }
}

// Two pictures' patches side by side in one matrix.
BOOST_AUTO_TEST_CASE(patches_may_be_columns_of_a_wider_matrix) {
  wu::cpu::Context ctx({.threads = 2});
  const auto in = sizes(2);
  constexpr Index half = 2 * down * across, wide = P * P * Ch;
  const auto expected = run(double{}, ctx, in).at("y");
  std::vector<double> joined(expected.size()), back(expected.size());
  const View<double, dyn, 2 * wide> both(joined.data(), half / 2);
  const View<const double, dyn, dyn, dyn, Ch> first(in.at("x").data(), 1, height, width),
      second(in.at("x").data() + height * width * Ch, 1, height, width);
  patches_forward(ctx, wu::columns<0, wide>(both), first);
  patches_forward(ctx, wu::columns<wide, wide>(both), second);
  for (Index r = 0; r < half / 2; ++r)
    for (Index k = 0; k < wide; ++k) {
      BOOST_CHECK_EQUAL(both.row(r)[k], expected[static_cast<std::size_t>(r * wide + k)]);
      BOOST_CHECK_EQUAL(both.row(r)[wide + k], expected[static_cast<std::size_t>((half / 2 + r) * wide + k)]);
    }
  patches_backward(ctx, View<double, dyn, dyn, dyn, Ch>(back.data() + height * width * Ch, 1, height, width),
                   wu::columns<wide, wide>(as_const(both)));
  BOOST_CHECK(std::equal(back.begin() + height * width * Ch, back.end(), in.at("x").begin() + height * width * Ch));
}

BOOST_AUTO_TEST_CASE(patches_refuse_a_picture_that_is_not_a_multiple) {
  wu::reference ctx;
  std::vector<double> x(7 * 15 * 2), y(10 * 18);
  auto call = [&](Index h, Index w, Index rows) {
    patches_forward(ctx, View<double, dyn, 18>(y.data(), rows), View<double, dyn, dyn, dyn, 2>(x.data(), 1, h, w));
  };
  const std::string start = "patches: expected pictures in multiples of 3 pixels and one row for each patch, found ";
  BOOST_CHECK_EXCEPTION(call(7, 15, 10), wu::ShapeError, wu::test::says(start + "7 x 15 and 10 rows"));
  BOOST_CHECK_EXCEPTION(call(6, 14, 10), wu::ShapeError, wu::test::says(start + "6 x 14 and 10 rows"));
  BOOST_CHECK_EXCEPTION(call(6, 15, 9), wu::ShapeError, wu::test::says(start + "6 x 15 and 9 rows"));
}
