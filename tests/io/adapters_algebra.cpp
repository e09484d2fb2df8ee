// Adapters in memory: what is refused, sums of several, and groups of experts as single layers.
#include <boost/test/unit_test.hpp>

#include <limits>
#include <string>

#include "adapters_support.hpp"
#include "wu/io/compose.hpp"
#include "wu/io/experts.hpp"

using namespace wu::io;
using wu::Index;
using wu::test::named;
using wu::test::some_adapter;
using wu::test::some_values;
using wu::test::update_of;

BOOST_AUTO_TEST_SUITE(adapters_algebra)

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const auto says = [](const std::string& phrase, auto spoil) {
    Adapters<double> adapters{some_adapter("a.b", 3, 5, 2, 1, 1), some_adapter("g.w1", 3, 5, 2, 1, 1, 7)};
    check_adapters(adapters);
    spoil(adapters);
    WU_CHECK_ERROR(wu::ShapeError, check_adapters(adapters), phrase);
  };
  says("adapter of \"\": expected the name of a module", [](auto& a) { a[0].module = ""; });
  says("\"a.b\": expected A of shape [2, 3], found 5 values", [](auto& a) { a[0].A.pop_back(); });
  says("\"g.w1\": expected B of shape [7, 5, 2], found 71 values", [](auto& a) { a[1].B.push_back(0); });
  says("expected widths and a rank of at least 1", [](auto& a) { a[0].rank = 0; });
  says("expected A of shape [2, 9223372036854775807]", [](auto& a) { a[0].in = std::numeric_limits<Index>::max(); });
  says("expected a finite scale, found inf", [](auto& a) { a[0].scale = std::numeric_limits<double>::infinity(); });
  says("found \"a.b\" twice", [](auto& a) { a.push_back(a[0]); });
}

BOOST_AUTO_TEST_CASE(another_scale_is_the_same_update) {
  auto adapter = some_adapter("a", 5, 3, 2, 1.5, 1);
  const auto before = adapter;
  rescale(adapter, 1.5);
  BOOST_TEST(adapter.B == before.B, boost::test_tools::per_element());
  rescale(adapter, -0.7);
  BOOST_TEST(adapter.scale == -0.7);
  wu::test::check_same_updates<double, double>({adapter}, {before});
  WU_CHECK_ERROR(wu::Error, rescale(adapter, 0), "expected a finite scale other than 0, found 0");
  auto single = some_adapter<float>("a", 1, 1, 1, 1e30, 1);
  single.B = {1e20f};
  WU_CHECK_ERROR(wu::Error, rescale(single, 1), "\"a\": expected values of B that times 1e+30 are within the range of F32");
  BOOST_TEST(single.B[0] == 1e20f);
  BOOST_TEST(single.scale == 1e30);
}

BOOST_AUTO_TEST_CASE(a_sum_joins_ranks) {
  const Adapters<double> a{some_adapter("m", 5, 7, 2, 0.5, 1), some_adapter("g.w1", 3, 5, 1, 4, 2, 3)};
  const Adapters<double> b{some_adapter("only_b", 2, 3, 1, 0.3, 5), some_adapter("m", 5, 7, 3, 0.7, 3),
                           some_adapter("g.w1", 3, 5, 4, 3, 4, 3)};
  const Adapters<double> c{some_adapter("m", 5, 7, 1, 0, 6)};
  const double wa = 0.3, wb = -1.7, wc = 2;
  const auto sum = compose<double>({{c, wc}, {a, wa}, {b, wb}});
  check_adapters(sum);
  BOOST_REQUIRE_EQUAL(sum.size(), 3U);
  BOOST_CHECK_EQUAL(sum[0].module, "m");
  BOOST_CHECK_EQUAL(sum[0].rank, 6);
  BOOST_CHECK_EQUAL(named(sum, "g.w1").rank, 5);
  for (const std::string module : {"m", "g.w1"})
    for (Index e = 0; e < named(sum, module).pairs(); ++e) {
      const auto x = some_values<double>(named(sum, module).in, 9);
      const auto ya = update_of(named(a, module), x, e), yb = update_of(named(b, module), x, e);
      auto y = ya;
      for (std::size_t k = 0; k < y.size(); ++k) y[k] = wa * ya[k] + wb * yb[k];
      BOOST_CHECK_LT(wu::test::distance(update_of(named(sum, module), x, e), y), 1e-12);
    }
  // Nothing is rounded where there is one term only, whatever its weight.
  BOOST_TEST(named(sum, "only_b").B == b[0].B, boost::test_tools::per_element());
  BOOST_CHECK_EQUAL(named(sum, "only_b").scale, wb * 0.3);
  // A sum of nothing but zeros.
  const auto zero = compose<double>({{c, 1}, {a, 0}});
  BOOST_CHECK_LT(wu::test::distance(update_of(named(zero, "m"), some_values<double>(5, 9)), std::vector<double>(7)), 1e-300);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_added_is_refused) {
  const Adapters<double> a{some_adapter("m", 5, 7, 2, 0.5, 1)}, wide{some_adapter("m", 5, 8, 2, 0.5, 1)},
      group{some_adapter("m", 5, 7, 2, 0.5, 1, 2)}, twice{a[0], a[0]};
  WU_CHECK_ERROR(wu::ShapeError, compose<double>({{a}, {wide}}), "found \"m\", 5 to 7, rank 2 and \"m\", 5 to 8, rank 2");
  WU_CHECK_ERROR(wu::ShapeError, compose<double>({{a}, {group}}), "\"m\" (2 experts)");
  WU_CHECK_ERROR(wu::ShapeError, compose<double>({{twice}}), "found \"m\" twice");
  WU_CHECK_ERROR(wu::Error, compose<double>({{a, std::numeric_limits<double>::quiet_NaN()}}), "found nan times 0.5");
}

BOOST_AUTO_TEST_CASE(experts_become_layers_of_their_own) {
  const Adapters<double> groups{
      some_adapter("l.0.mlp.experts.w1", 5, 7, 2, 4, 1, 3), some_adapter("l.0.mlp.experts.w2", 7, 5, 2, 4, 2, 3),
      some_adapter("l.0.mlp.experts.w3", 5, 7, 3, 0.7, 3, 3), some_adapter("l.0.attn", 5, 6, 2, 4, 4),
      some_adapter("l.0.mlp.experts.gate", 5, 2, 1, 1, 5, 3)};
  const auto split = split_experts(groups);
  BOOST_CHECK_EQUAL(split.size(), 3U + 3U + 1U + 3U);
  for (Index e = 0; e < 3; ++e) {
    const std::string name = "l.0.mlp.experts." + std::to_string(e) + ".";
    const auto x = some_values<double>(5, 9), z = some_values<double>(7, 10);
    const auto& both = named(split, name + "gate_and_up_proj");
    BOOST_CHECK_EQUAL(both.rank, 5);
    BOOST_CHECK_EQUAL(both.out, 14);
    auto expected = update_of(groups[2], x, e);  // w3 first
    for (const double y : update_of(groups[0], x, e)) expected.push_back(y);
    BOOST_CHECK_LT(wu::test::distance(update_of(both, x), expected), 1e-12);
    BOOST_CHECK_LT(wu::test::distance(update_of(named(split, name + "down_proj"), z), update_of(groups[1], z, e)), 1e-300);
    BOOST_CHECK_LT(wu::test::distance(update_of(named(split, name + "gate"), x), update_of(groups[4], x, e)), 1e-300);
  }
  const auto plain = split_experts(groups, ExpertNames::as_generated);
  BOOST_CHECK_EQUAL(plain.size(), 4U * 3U + 1U);
  const auto x = some_values<double>(5, 9);
  BOOST_CHECK_LT(wu::test::distance(update_of(named(plain, "l.0.mlp.experts.2.w1"), x), update_of(groups[0], x, 2)), 1e-300);
}

BOOST_AUTO_TEST_CASE(one_half_of_a_layer_may_be_zero) {
  Adapters<double> groups{some_adapter("g.w1", 3, 4, 2, 0.7, 1, 2), some_adapter("g.w3", 3, 4, 2, 0, 2, 2)};
  const auto x = some_values<double>(3, 9);
  auto expected = std::vector<double>(4);
  for (const double y : update_of(groups[0], x, 1)) expected.push_back(y);
  BOOST_CHECK_LT(wu::test::distance(update_of(named(split_experts(groups), "g.1.gate_and_up_proj"), x), expected), 1e-12);
}

BOOST_AUTO_TEST_CASE(experts_that_do_not_belong_together_are_refused) {
  const Adapters<double> one{some_adapter("g.w1", 3, 4, 2, 1, 1, 2)}, third{some_adapter("g.w3", 3, 4, 2, 1, 1, 2)},
      nameless{some_adapter("w1", 3, 4, 2, 1, 1, 2)};
  WU_CHECK_ERROR(wu::ShapeError, split_experts(one), "expected one of \"g.w3\" too");
  WU_CHECK_ERROR(wu::ShapeError, split_experts(third), "expected one of \"g.w1\" too");
  WU_CHECK_ERROR(wu::Error, split_experts(nameless), "\"w1\": expected a group of experts to be named \"group.layer\"");
  const Adapters<double> unlike{one[0], some_adapter("g.w3", 3, 5, 2, 1, 1, 2)};
  WU_CHECK_ERROR(wu::ShapeError, split_experts(unlike), "expected equal widths of w3 and w1, found");
  const Adapters<double> taken{some_adapter("g.w2", 3, 4, 2, 1, 1, 2), some_adapter("g.1.down_proj", 3, 4, 2, 1, 1)};
  WU_CHECK_ERROR(wu::ShapeError, split_experts(taken), "found \"g.1.down_proj\" twice");
}

BOOST_AUTO_TEST_SUITE_END()
