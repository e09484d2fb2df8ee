// ops/all_finite.hpp.
#include "support.hpp"

#include <array>
#include <limits>

#include "wu/ops/all_finite.hpp"

namespace {
using wu::Index, wu::RowPart, wu::View, wu::dyn;
constexpr Index rows = 3, C = 40;
constexpr std::array<RowPart, 3> parts{{{1, 20}, {21, 3}, {30, 10}}};

/// Whether rows that are finite but for one value are found to be.
template <class T>
bool finite_with(Index row, Index column, double value) {
  auto x = wu::test::cast<T>(wu::test::random_values(rows * C, "x"));
  x[static_cast<std::size_t>(row * C + column)] = static_cast<T>(value);
  wu::reference ctx;
  return all_finite(ctx, View<const T, dyn, C>(x.data(), rows), std::span<const RowPart>(parts));
}

template <class T>
void every_value() {
  for (const double value :
       {std::nan(""), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()})
    for (Index row = 0; row < rows; ++row)
      for (Index c = 0; c < C; ++c) {
        const bool read = (c >= 1 && c < 24) || c >= 30;
        BOOST_CHECK_MESSAGE(finite_with<T>(row, c, value) == !read, value << " in row " << row << ", column " << c);
      }
  BOOST_CHECK(finite_with<T>(0, 1, 3e38));
}
}  // namespace

BOOST_AUTO_TEST_CASE(every_value_within_the_parts_is_looked_at_and_none_between_them) {
  every_value<double>();
  every_value<float>();
  every_value<wu::bfloat16>();
}

BOOST_AUTO_TEST_CASE(parts_lie_within_the_rows) {
  const std::vector<double> x(C);
  wu::reference ctx;
  for (const RowPart& part : {RowPart{-1, 2}, RowPart{0, -1}, RowPart{30, 11}, RowPart{41, 0}})
    BOOST_CHECK_EXCEPTION(all_finite(ctx, View<const double, dyn, C>(x.data(), 1), std::span<const RowPart>(&part, 1)),
                          wu::ShapeError,
                          wu::test::says(wu::message("all finite: expected parts of rows of 40 values, found one of ",
                                                     part.count, " from ", part.first, " on")));
}
