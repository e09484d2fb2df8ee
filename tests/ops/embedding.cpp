// ops/embedding.hpp and cpu/embedding.hpp.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::View, wu::dyn, wu::test::Values;
constexpr Index C = 3, V = 5;

/// Entry 1 is never asked for, entry 4 three times.
std::vector<std::int32_t> ids(Index rows) {
  std::vector<std::int32_t> result;
  for (Index r = 0; r < rows; ++r) result.push_back(std::array{4, 0, 4, 3, 2, 0, 4}[static_cast<std::size_t>(r % 7)]);
  return result;
}

Values run(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  const Index rows = wu::test::length(in, "dy") / C;
  const auto table = wu::test::cast<T>(in.at("table")), dy = wu::test::cast<T>(in.at("dy"));
  using Sum = wu::accumulator_t<T>;
  auto y = wu::test::poison<T>(rows * C);
  auto dtable = wu::test::begun<Sum>(V * C);
  embedding_forward(ctx, View<T, dyn, C>(y.data(), rows), ids(rows), View<const T, V, C>(table.data()));
  embedding_backward(ctx, View<Sum, V, C>(dtable.data()), View<const T, dyn, C>(dy.data(), rows), ids(rows));
  return {{"y", wu::test::widen(y)}, {"dtable", wu::test::added(dtable)}};
}

Values sizes(Index rows) { return wu::test::inputs({{"table", V * C}, {"dy", rows * C}}); }

}  // namespace

BOOST_AUTO_TEST_CASE(embedding) {
  wu::test::check_operation([](auto zero, auto& ctx, const Values& in) { return run(zero, ctx, in); }, sizes(7), sizes(7001),
                            {"table"});
  wu::test::check_threads([](auto zero, auto& ctx, const Values& in) { return run(zero, ctx, in); }, sizes(7001));
}

BOOST_AUTO_TEST_CASE(embedding_refuses_an_id_outside_the_table_before_it_writes) {
  wu::cpu::Context ctx({.threads = 2});
  const std::vector<double> table(V * C, 1);
  for (const std::int32_t wrong : {-1, 5}) {
    const std::vector<std::int32_t> which{0, 3, wrong};
    std::vector<double> y(3 * C, 7), dtable(V * C, 7);
    const auto sentence = wu::message("embedding: expected an id from 0 to 4 at position 2, found ", wrong);
    BOOST_CHECK_EXCEPTION(
        embedding_forward(ctx, View<double, dyn, C>(y.data(), 3), which, View<const double, V, C>(table.data())),
        wu::ShapeError, wu::test::says(sentence));
    BOOST_CHECK_EXCEPTION(
        embedding_backward(ctx, View<double, V, C>(dtable.data()), View<const double, dyn, C>(y.data(), 3), which),
        wu::ShapeError, wu::test::says(sentence));
    BOOST_CHECK(y == std::vector<double>(3 * C, 7));
    BOOST_CHECK(dtable == std::vector<double>(V * C, 7));
  }
  std::vector<double> y(4 * C);
  BOOST_CHECK_EXCEPTION(
      embedding_forward(ctx, View<double, dyn, C>(y.data(), 4), ids(3), View<const double, V, C>(table.data())),
      wu::ShapeError, wu::test::says("embedding: expected 4 ids, found 3"));
}

BOOST_AUTO_TEST_CASE(embedding_skips_a_frozen_table) {
  wu::reference ctx;
  const auto dy = wu::test::random_values(7 * C, "dy");
  embedding_backward(ctx, View<double, V, C>(), View<const double, dyn, C>(dy.data(), 7), ids(7));
}
