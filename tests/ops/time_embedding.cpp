// ops/time_embedding.hpp.
#include "support.hpp"

#include <numbers>

#include "wu/ops/time_embedding.hpp"

namespace {
using wu::Index, wu::View, wu::dyn;
}

BOOST_AUTO_TEST_CASE(times_are_waves_of_lengths_in_a_geometric_row) {
  constexpr Index C = 8;  // wave lengths 1, 10, 100 and 1000 times 2 pi / 1000
  const std::vector<double> t{0, std::numbers::pi / 1000, 0.37};
  auto y = wu::test::poisoned(3 * C);
  wu::reference ctx;
  time_embedding_forward(ctx, View<double, dyn, C>(y.data(), 3), t);
  for (std::size_t i = 0; i < 4; ++i) {
    BOOST_CHECK_EQUAL(y[2 * i], 1);
    BOOST_CHECK_EQUAL(y[2 * i + 1], 0);
    const double length = std::array<double, 4>{1, 10, 100, 1000}[i];
    BOOST_CHECK_SMALL(y[C + 2 * i] - std::cos(std::numbers::pi / length), 1e-12);
    BOOST_CHECK_SMALL(y[C + 2 * i + 1] - std::sin(std::numbers::pi / length), 1e-12);
    BOOST_CHECK_SMALL(std::hypot(y[2 * C + 2 * i], y[2 * C + 2 * i + 1]) - 1, 1e-12);
  }
}

BOOST_AUTO_TEST_CASE(there_is_a_row_for_each_time) {
  const std::vector<double> t{0.5};
  auto y = wu::test::poisoned(16);
  wu::reference ctx;
  BOOST_CHECK_EXCEPTION(time_embedding_forward(ctx, View<double, dyn, 8>(y.data(), 2), t), wu::ShapeError,
                        wu::test::says("time embedding: expected 8 values, found 16"));
}
