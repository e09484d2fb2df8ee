// Generated tokens as named adapters and back, in both layouts.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>
#include <string>

#include "adapters_support.hpp"
#include "wu/generator/tokenizer.hpp"
#include "wu/io/compose.hpp"
#include "wu/io/generated.hpp"
#include "wu/nn/linear.hpp"

using namespace wu::io;
using wu::Index;
using wu::test::error_of;
using wu::test::named;
using wu::test::some_adapter;
using wu::test::some_values;
using wu::test::update_of;

namespace {

using Shape =
    wu::AdaptedLayers<2, wu::Adapted<"attn.out", 6, 9>, wu::AdaptedExperts<"mlp.experts", 4, wu::Adapted<"w1", 3, 6>>,
                      wu::AdaptedExperts<"one", 1, wu::Adapted<"w", 3, 3>>, wu::Adapted<"up", 3, 12>>;
using Flat = wu::Tokenizer<5, 4>::of<Shape>;  // a token of 20 values: every matrix ends in padding
using Anchored = wu::Tokenizer<5, 3, wu::Layout::rank_anchored>::of<Shape>;

template <class Tokens>
auto some_tokens(Index batch) {
  typename Tokens::template Owned<double> tokens(batch);
  const auto values = some_values<double>(batch * Tokens::values, 5);
  std::copy(values.begin(), values.end(), tokens.data());
  return tokens;
}

template <class Tokens>
std::vector<double> values_of(const typename Tokens::template Owned<double>& tokens) {
  return {tokens.data(), tokens.data() + tokens.size()};
}

template <class Tokens>
void check_there_and_back() {
  const auto tokens = some_tokens<Tokens>(3);
  const auto adapters = adapters_of<Tokens, double>(tokens, 1, "model.layers.", 10);
  check_adapters(adapters);
  BOOST_REQUIRE_EQUAL(adapters.size(), 8U);
  BOOST_CHECK_EQUAL(adapters[1].module, "model.layers.0.mlp.experts.w1");
  BOOST_CHECK_EQUAL(adapters[1].experts, 4);
  BOOST_CHECK_EQUAL(adapters[6].module, "model.layers.1.one.w");
  BOOST_CHECK_EQUAL(adapters[6].experts, 1);
  BOOST_CHECK_EQUAL(adapters[7].experts, 0);
  BOOST_CHECK_EQUAL(adapters[7].scale, 2);
  // Every entry is where the tokenizer says.
  const double* const layer = tokens.data() + Tokens::values + Tokens::values_per_layer;
  for (Index e = 0; e < 4; ++e)
    for (Index i = 0; i < 5; ++i) {
      for (Index j = 0; j < 3; ++j)
        BOOST_CHECK_EQUAL(adapters[5].A[static_cast<std::size_t>((e * 5 + i) * 3 + j)], layer[Tokens::at_A(1, e, i, j)]);
      for (Index o = 0; o < 6; ++o)
        BOOST_CHECK_EQUAL(adapters[5].B[static_cast<std::size_t>((e * 6 + o) * 5 + i)], layer[Tokens::at_B(1, e, o, i)]);
    }

  auto again = some_tokens<Tokens>(2);
  const auto before = values_of<Tokens>(again);
  write_tokens<Tokens, double>(again.view(), 1, adapters, "model.layers.", 2);
  for (Index k = 0; k < Tokens::values; ++k) BOOST_REQUIRE_EQUAL(again.data()[k], before[static_cast<std::size_t>(k)]);
  const auto back = adapters_of<Tokens, double>(again, 1, "model.layers.", 10);
  for (std::size_t k = 0; k < adapters.size(); ++k) {
    BOOST_TEST(back[k].A == adapters[k].A, boost::test_tools::per_element());
    BOOST_TEST(back[k].B == adapters[k].B, boost::test_tools::per_element());
  }
}

/// What differs in rank and scale does the same from tokens.
template <class Tokens>
void check_lower_ranks() {
  Adapters<double> adapters;
  for (const auto& full : adapters_of<Tokens, double>(some_tokens<Tokens>(1), 0, "l.", 10)) {
    const auto k = static_cast<Index>(adapters.size());
    adapters.push_back(some_adapter(full.module, full.in, full.out, 1 + k % 5, 0.3 * static_cast<double>(k),
                                    static_cast<std::uint64_t>(k), full.experts));
  }
  const auto tokens = tokens_of<Tokens>(adapters, "l.", 0.7);
  wu::test::check_same_updates(adapters_of<Tokens, double>(tokens, 0, "l.", 0.7 * 5), adapters);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(adapters_generated)

BOOST_AUTO_TEST_CASE(there_and_back) {
  check_there_and_back<Flat>();
  check_there_and_back<Anchored>();
}

BOOST_AUTO_TEST_CASE(lower_ranks_and_other_scales) {
  check_lower_ranks<Flat>();
  check_lower_ranks<Anchored>();
}

BOOST_AUTO_TEST_CASE(padding_is_zero) {
  const auto adapters = adapters_of<Flat, double>(some_tokens<Flat>(1), 0, "", 5);
  double sum = 0, of_adapters = 0;
  for (const double value : values_of<Flat>(tokens_of<Flat>(adapters, "", 1))) sum += std::abs(value);
  for (const auto& adapter : adapters) {
    for (const double value : adapter.A) of_adapters += std::abs(value);
    for (const double value : adapter.B) of_adapters += std::abs(value);
  }
  BOOST_CHECK_EQUAL(sum, of_adapters);  // multiples of 1/128: the sums are exact
}

BOOST_AUTO_TEST_CASE(a_layer_applies_what_was_read) {
  using Small = wu::Tokenizer<3, 2>::of<wu::AdaptedLayers<2, wu::Adapted<"a", 5, 4>, wu::Adapted<"b", 4, 7>>>;
  const Adapters<double> adapters{some_adapter("x.1.b", 4, 7, 2, 1.3, 1), some_adapter("x.0.b", 4, 7, 3, -2, 2),
                                  some_adapter("x.0.a", 5, 4, 1, 1, 3)};
  const auto tokens = tokens_of<Small>(adapters, "x.", 0.9, Missing::zero);
  wu::reference device;
  wu::Workspace workspace;
  wu::Weights<wu::Linear<4, 7>, double> weights;
  const auto values = some_values<double>(static_cast<Index>(weights.flat().size()), 4);
  std::copy(values.begin(), values.end(), weights.flat().begin());
  const auto x = some_values<double>(4, 9);
  wu::Tensor<double, wu::dyn, 4> in(1);
  wu::Tensor<double, wu::dyn, 7> y(1), frozen(1);
  std::copy(x.begin(), x.end(), in.data());
  wu::Linear<4, 7>::forward(device, frozen.view(), wu::as_const(in.view()), weights.frozen());
  const std::vector<Index> which{0};
  for (const Index layer : {0, 1}) {
    const auto adapter = Small::adapter<"b">(wu::as_const(tokens.view()), layer);
    wu::LoRALinear<4, 7, 3>::forward<double>(device, workspace, y, in, weights.frozen(), adapter, which, 0.9);
    std::vector<double> update;
    for (Index k = 0; k < 7; ++k) update.push_back(y.data()[k] - frozen.data()[k]);
    const auto expected = update_of(named(adapters, "x." + std::to_string(layer) + ".b"), x);
    BOOST_CHECK_LT(wu::test::distance(update, expected), 1e-12);
    BOOST_CHECK_GT(wu::test::distance(update, std::vector<double>(7)), 1e-3);
  }
  // The module that was missing does nothing.
  const auto nothing = adapters_of<Small, double>(tokens, 0, "x.", 1);
  BOOST_TEST(named(nothing, "x.1.a").B == std::vector<double>(12), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_changes_nothing) {
  auto target = some_tokens<Flat>(1);
  const auto before = values_of<Flat>(target);
  const auto says = [&](const std::string& phrase, auto spoil, double scale = 2, Index sample = 0) {
    auto adapters = adapters_of<Flat, double>(some_tokens<Flat>(1), 0, "l.", 10);
    spoil(adapters);
    const std::string what =
        error_of<wu::Error>([&] { write_tokens<Flat, double>(target.view(), sample, adapters, "l.", scale); });
    BOOST_CHECK_MESSAGE(wu::test::contains(what, phrase), "expected '" << phrase << "', found '" << what << "'");
    BOOST_TEST(values_of<Flat>(target) == before, boost::test_tools::per_element());
  };
  const auto nothing = [](auto&) {};
  says("expected an adapter of \"l.0.up\", 3 to 12, found none of that name among 8",
       [](auto& a) { a[3].module = "l.0.down"; });
  says("found 2 others, the first: \"l.0.extra\", 1 to 2, rank 1", [](auto& a) {
    a.push_back(some_adapter("l.2.up", 3, 12, 1, 1, 1));
    a.push_back(some_adapter("l.0.extra", 1, 2, 1, 1, 1));
  });
  says("expected adapters of rank 5 or less, the rank of the tokens, found \"l.1.up\", 3 to 12, rank 6",
       [](auto& a) { a[7] = some_adapter("l.1.up", 3, 12, 6, 1, 1); });
  says("from 3 to 12 with 0 experts (0: a plain layer), found \"l.1.up\" (2 experts), 3 to 12",
       [](auto& a) { a[7] = some_adapter("l.1.up", 3, 12, 5, 1, 1, 2); });
  says("found \"l.1.up\", 12 to 3", [](auto& a) { a[7] = some_adapter("l.1.up", 12, 3, 5, 1, 1); });
  says("expected B of shape [12, 5], found 59 values", [](auto& a) { a[7].B.pop_back(); });
  says("twice", [](auto& a) { a.push_back(a[7]); });
  says("expected a finite scale other than 0, found 0", nothing, 0);
  says("are within the range of F64", [](auto& a) { a[7].B[3] = 1e300; }, 1e-300);
  says("expected a sample below 1, the requests in the tokens, found 1", nothing, 2, 1);
  says("expected a sample below 1, the requests in the tokens, found -1", nothing, 2, -1);
  const std::string what = error_of<wu::ShapeError>([&] { adapters_of<Flat, double>(target, 1, "", 1); });
  BOOST_CHECK_MESSAGE(wu::test::contains(what, "adapters_of: expected a sample below 1"), what);
}

BOOST_AUTO_TEST_CASE(other_scalars) {
  Flat::Owned<wu::bfloat16> tokens(1);
  const auto values = some_values<wu::bfloat16>(Flat::values, 5);
  std::copy(values.begin(), values.end(), tokens.data());
  const auto adapters = adapters_of<Flat, wu::bfloat16>(tokens, 0, "l.", 20);
  const auto back = tokens_of<Flat>(adapters, "l.", 4);
  wu::test::check_same_updates(adapters_of<Flat, wu::bfloat16>(back, 0, "l.", 20), adapters, 1e-300);
}

BOOST_AUTO_TEST_SUITE_END()
