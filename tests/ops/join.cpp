// ops/join.hpp.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::View, wu::dyn, wu::test::Values;
constexpr Index C = 3, of_a = 2, of_b = 5, group = (of_a + of_b) * C;

Values run(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  const Index G = wu::test::length(in, "dy") / group;
  const auto a = wu::test::cast<T>(in.at("a")), b = wu::test::cast<T>(in.at("b")), dy = wu::test::cast<T>(in.at("dy"));
  auto y = wu::test::poison<T>(G * group), da = wu::test::poison<T>(G * of_a * C), db = wu::test::poison<T>(G * of_b * C);
  join_rows_forward(ctx, View<T, dyn, C>(y.data(), G * (of_a + of_b)), View<const T, dyn, C>(a.data(), G * of_a),
                    View<const T, dyn, C>(b.data(), G * of_b), G);
  join_rows_backward(ctx, View<T, dyn, C>(da.data(), G * of_a), View<T, dyn, C>(db.data(), G * of_b),
                     View<const T, dyn, C>(dy.data(), G * (of_a + of_b)), G);
  return {{"y", wu::test::widen(y)}, {"da", wu::test::widen(da)}, {"db", wu::test::widen(db)}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(joined_rows) {
  const auto sizes = [](Index G) { return wu::test::inputs({{"a", G * of_a * C}, {"b", G * of_b * C}, {"dy", G * group}}); };
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run(zero, ctx, in); }, sizes(3), sizes(101),
                            {"a", "b"});
}

BOOST_AUTO_TEST_CASE(joined_rows_lie_group_by_group) {
  wu::reference ctx;
  const std::vector<double> a{1, 2}, b{10, 11, 12, 13, 14, 15};
  auto y = wu::test::poisoned(8);
  const View<const double, dyn, 1> first(a.data(), 2), second(b.data(), 6);
  join_rows_forward(ctx, View<double, dyn, 1>(y.data(), 8), first, second, 2);
  BOOST_CHECK((y == std::vector<double>{1, 10, 11, 12, 2, 13, 14, 15}));
  const auto refused = [&](Index rows, Index groups, const std::string& sentence) {
    BOOST_CHECK_EXCEPTION(join_rows_forward(ctx, View<double, dyn, 1>(y.data(), rows), first, second, groups),
                          wu::ShapeError, wu::test::says(sentence));
  };
  refused(7, 2, "join rows: expected the rows of two tables in 2 groups, found 7 rows of 2 and 6");
  refused(8, 3, "join rows: expected the rows of two tables in 3 groups, found 8 rows of 2 and 6");
  refused(8, 0, "join rows: expected the rows of two tables in 0 groups, found 8 rows of 2 and 6");
}
