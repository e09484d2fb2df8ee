// generator/tokenizer.hpp, generator/adapted.hpp and generator/grid.hpp.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "support/gradient_check.hpp"
#include "wu/core/buffer.hpp"
#include "wu/generator/grid.hpp"
#include "wu/generator/shapes.hpp"
#include "wu/generator/tokenizer.hpp"

namespace {

using wu::Adapted, wu::AdaptedExperts, wu::AdaptedLayers, wu::Index, wu::Layout, wu::Tokenizer, wu::View, wu::dyn;
using wu::test::dot, wu::test::poisoned, wu::test::random_values;

// ---- the released shape (specification, "Adapted modules and token counts") ----------------------------------------------
using Released = wu::shapes::HyWu::Layers;
static_assert(Released::module_count == 7);
static_assert(wu::gcd_width<Released> == 1024);

using ReleasedTokens = Tokenizer<16, 1024>::of<Released>;
using ReleasedAnchored = Tokenizer<16, 1024, Layout::rank_anchored>::of<Released>;
static_assert(ReleasedTokens::tokens_A == 719);
static_assert(ReleasedTokens::tokens_B == 660);
static_assert(ReleasedTokens::tokens_per_layer == 1379);
static_assert(ReleasedTokens::values == 722'993'152);
static_assert(ReleasedTokens::adapter_values == ReleasedTokens::values);  // no padding
static_assert(ReleasedAnchored::tokens_A == 719);
static_assert(ReleasedAnchored::tokens_B == 660);
static_assert(ReleasedTokens::first_A == std::array<Index, 8>{0, 4, 8, 12, 15, 271, 463, 719});
static_assert(ReleasedTokens::first_B == std::array<Index, 8>{719, 725, 729, 735, 739, 931, 1187, 1379});
static_assert(ReleasedTokens::find("self_attn.qkv_proj") == 0);
static_assert(ReleasedTokens::find("mlp.experts.w2") == 5);
static_assert(ReleasedTokens::find("mlp.experts") == 7);
static_assert(ReleasedTokens::find("mlp.experts_w2") == 7);
static_assert(ReleasedTokens::find("mlp.experts.w") == 7);
static_assert(ReleasedTokens::find("o_proj") == 7);
static_assert(ReleasedTokens::find("") == 7);

// ---- small shapes --------------------------------------------------------------------------------------------------------
/// Rank 3 and width 5: 15 values in a token. up's A (33) and down's B (33) leave padding; a token of the experts' matrices
/// holds the end of one expert and the start of the next; out's A (15) fills a token to the last value.
using Padded = AdaptedLayers<3, Adapted<"up", 11, 7>, AdaptedExperts<"moe", 3, Adapted<"w1", 4, 9>, Adapted<"w2", 9, 4>>,
                             Adapted<"out", 5, 10>, Adapted<"down", 2, 11>>;
using Flat = Tokenizer<3, 5>::of<Padded>;
static_assert(Flat::tokens_A == 3 + 3 + 6 + 1 + 1);
static_assert(Flat::tokens_B == 2 + 6 + 3 + 2 + 3);
static_assert(Flat::adapter_values < Flat::values);

/// Every width is a multiple of 2.
using Even = AdaptedLayers<2, Adapted<"up", 10, 6>, AdaptedExperts<"moe", 3, Adapted<"w1", 4, 2>, Adapted<"w2", 2, 14>>>;
static_assert(wu::gcd_width<Even> == 2);
using Anchored = Tokenizer<3, 2, Layout::rank_anchored>::of<Even>;
static_assert(Anchored::tokens_A == 5 + 3 * 2 + 3 * 1);
static_assert(Anchored::tokens_B == 3 + 3 * 1 + 3 * 7);
static_assert(Anchored::adapter_values == Anchored::values);

/// The matrices of one layer, one vector each.
template <class Tokens>
struct Matrices {
  std::array<std::vector<double>, Tokens::module_count> A, B;

  /// Random, or NaN.
  explicit Matrices(const char* purpose) {
    for (std::size_t m = 0; m < Tokens::module_count; ++m) {
      const auto& module = Tokens::modules[m];
      const Index a = module.experts * Tokens::rank * module.in, b = module.experts * Tokens::rank * module.out;
      A[m] = purpose ? random_values(a, purpose + module.name() + "A") : poisoned(a);
      B[m] = purpose ? random_values(b, purpose + module.name() + "B") : poisoned(b);
    }
  }
  static auto pointers(auto& vectors) {
    std::array<decltype(vectors[0].data()), Tokens::module_count> all;
    for (std::size_t m = 0; m < all.size(); ++m) all[m] = vectors[m].data();
    return all;
  }
  auto a() { return pointers(A); }
  auto b() { return pointers(B); }
  auto a() const { return pointers(A); }
  auto b() const { return pointers(B); }
  bool operator==(const Matrices&) const = default;
};
template <class Tokens>
double inner(const Matrices<Tokens>& x, const Matrices<Tokens>& y) {
  double sum = 0;
  for (std::size_t m = 0; m < Tokens::module_count; ++m) sum += dot(x.A[m], y.A[m]) + dot(x.B[m], y.B[m]);
  return sum;
}

/// The layer's tokens by the specification's words, written differently from the code: matrix after matrix, row-major, each
/// filled up with NaN to whole tokens.
std::vector<double> by_the_book_flat(const Matrices<Flat>& matrices) {
  std::vector<double> tokens;
  for (const auto* side : {&matrices.A, &matrices.B})
    for (const auto& matrix : *side) {
      tokens.insert(tokens.end(), matrix.begin(), matrix.end());
      while (tokens.size() % 15 != 0) tokens.push_back(std::nan(""));
    }
  return tokens;
}
/// Expert by expert, token k = A[:, k d : (k+1) d], then of B transposed.
std::vector<double> by_the_book_anchored(const Matrices<Anchored>& matrices) {
  constexpr std::size_t d = 2, r = 3;
  std::vector<double> tokens;
  for (std::size_t m = 0; m < Anchored::module_count; ++m)
    for (std::size_t e = 0; e < static_cast<std::size_t>(Anchored::modules[m].experts); ++e) {
      const auto in = static_cast<std::size_t>(Anchored::modules[m].in);
      for (std::size_t k = 0; k < in / d; ++k)
        for (std::size_t i = 0; i < r; ++i)
          for (std::size_t j = k * d; j < (k + 1) * d; ++j) tokens.push_back(matrices.A[m][(e * r + i) * in + j]);
    }
  for (std::size_t m = 0; m < Anchored::module_count; ++m)
    for (std::size_t e = 0; e < static_cast<std::size_t>(Anchored::modules[m].experts); ++e) {
      const auto out = static_cast<std::size_t>(Anchored::modules[m].out);
      for (std::size_t k = 0; k < out / d; ++k)
        for (std::size_t i = 0; i < r; ++i)
          for (std::size_t o = k * d; o < (k + 1) * d; ++o) tokens.push_back(matrices.B[m][(e * out + o) * r + i]);
    }
  return tokens;
}

bool same_but_for_nan(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

template <class Tokens>
void check_round_trips() {
  const Matrices<Tokens> matrices("w");
  std::vector<double> tokens(static_cast<std::size_t>(Tokens::values_per_layer), 7.0);
  Tokens::template tokenize<double>(tokens.data(), matrices.a(), matrices.b());
  Matrices<Tokens> back(nullptr);
  Tokens::template detokenize<double>(back.a(), back.b(), tokens.data());
  BOOST_CHECK(back == matrices);

  // The other way round: tokens survive, but for what lies in padding.
  const auto any = random_values(Tokens::values_per_layer, "tokens");
  auto again = poisoned(Tokens::values_per_layer);
  Tokens::template detokenize<double>(back.a(), back.b(), any.data());
  Tokens::template tokenize<double>(again.data(), std::as_const(back).a(), std::as_const(back).b());
  Index padding = 0;
  for (std::size_t k = 0; k < any.size(); ++k) {
    BOOST_REQUIRE_EQUAL(std::isnan(tokens[k]), std::isnan(again[k]));
    if (std::isnan(again[k])) ++padding;
    else BOOST_REQUIRE_EQUAL(again[k], any[k]);
  }
  BOOST_CHECK_EQUAL(padding, Tokens::values_per_layer - Tokens::adapter_values / Tokens::layers);
}

/// <detokenize(t), m> == <t, detokenize_transpose(m)> and <tokenize(m), t> == <m, tokenize_transpose(t)>, padding left out.
template <class Tokens>
void check_transposes() {
  const Matrices<Tokens> matrices("w");
  const auto tokens = random_values(Tokens::values_per_layer, "tokens");
  Matrices<Tokens> from_tokens(nullptr), gradient(nullptr);
  auto dtokens = poisoned(Tokens::values_per_layer), made = dtokens;
  Tokens::template detokenize<double>(from_tokens.a(), from_tokens.b(), tokens.data());
  Tokens::template detokenize_transpose<double>(dtokens.data(), matrices.a(), matrices.b());
  BOOST_CHECK_CLOSE(inner(from_tokens, matrices), dot(tokens, dtokens), 1e-9);

  Tokens::template tokenize<double>(made.data(), matrices.a(), matrices.b());
  Tokens::template tokenize_transpose<double>(gradient.a(), gradient.b(), tokens.data());
  double product = 0;
  for (std::size_t k = 0; k < made.size(); ++k) {
    if (!std::isnan(made[k])) product += made[k] * tokens[k];
    BOOST_REQUIRE_EQUAL(dtokens[k], std::isnan(made[k]) ? 0.0 : made[k]);  // no gradient comes from padding
  }
  BOOST_CHECK_CLOSE(product, inner(matrices, gradient), 1e-9);
}

/// One module's view into the tokens of every request against the matrices that detokenize gives.
template <wu::Name Module>
void check_adapter() {
  constexpr std::size_t m = Flat::find(Module.view());
  constexpr Index batch = 2, in = Flat::modules[m].in, out = Flat::modules[m].out;
  auto values = random_values(batch * Flat::values, "tokens");
  const Flat::Tokens<double> tokens(values.data(), batch);
  for (Index layer = 0; layer < Flat::layers; ++layer) {
    const auto view = Flat::adapter<Module>(tokens, layer);
    const wu::AdapterView<const double, in, out, 3> frozen = Flat::adapter<Module>(as_const(tokens), layer);
    static_assert(view.in == in && view.out == out && view.rank == 3);
    BOOST_CHECK_EQUAL(view.count, batch);
    BOOST_CHECK(frozen.A == view.A && frozen.B == view.B && frozen.stride == view.stride && frozen.count == view.count);
    for (Index b = 0; b < batch; ++b) {
      Matrices<Flat> matrices(nullptr);
      Flat::detokenize<double>(matrices.a(), matrices.b(),
                               values.data() + b * Flat::values + layer * Flat::values_per_layer);
      BOOST_CHECK(std::equal(matrices.A[m].begin(), matrices.A[m].end(), view.A + b * view.stride));
      BOOST_CHECK(std::equal(matrices.B[m].begin(), matrices.B[m].end(), view.B + b * view.stride));
    }
  }
  const auto none = Flat::adapter<Module>(Flat::Tokens<double>(), 1);
  BOOST_CHECK(none.A == nullptr && none.B == nullptr && none.count == 0);
}

// ---- the grid ------------------------------------------------------------------------------------------------------------
using Grid = wu::Grid<wu::Axis<"layer", 2>, wu::Axis<"token", 3>, wu::Axis<"rank", 5>>;

/// Groups cover every row once; rows of a group differ only along the attended axes and take all their values; the rotary
/// positions of a row are its coordinates.
template <wu::Name... Attended>
void check_attend(std::vector<std::size_t> axes) {
  constexpr Index batch = 3;
  const wu::AttentionRows rows = Grid::attend<Attended...>(batch);
  std::vector<int> seen(batch * Grid::size);
  const auto coordinate = [](Index row, std::size_t axis) { return row / Grid::stride(axis) % Grid::sizes[axis]; };
  Index inside = 1;
  for (const std::size_t a : axes) inside *= Grid::sizes[a];
  BOOST_CHECK_EQUAL(rows.query.size(), inside);
  BOOST_CHECK_EQUAL(rows.groups() * inside, batch * Grid::size);
  for (Index g = 0; g < rows.groups(); ++g) {
    BOOST_CHECK_EQUAL(rows.key_group(g), rows.query_group(g));
    const Index first = rows.query_group(g) + rows.query(0);
    for (Index i = 0; i < rows.query.size(); ++i) {
      BOOST_CHECK_EQUAL(rows.key(i), rows.query(i));
      const Index row = rows.query_group(g) + rows.query(i);
      BOOST_REQUIRE(row >= 0 && row < batch * Grid::size);
      ++seen[static_cast<std::size_t>(row)];
      BOOST_CHECK_EQUAL(row / Grid::size, first / Grid::size);
      for (std::size_t a = 0; a < Grid::rank; ++a)
        if (std::find(axes.begin(), axes.end(), a) == axes.end())
          BOOST_CHECK_EQUAL(coordinate(row, a), coordinate(first, a));
    }
  }
  BOOST_CHECK(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));

  constexpr auto rotary = Grid::rotary<12, Attended...>();
  for (std::size_t k = 0; k < axes.size(); ++k) {
    BOOST_CHECK_EQUAL(rotary[k].width, 12 / static_cast<Index>(axes.size()));
    for (Index row = 0; row < batch * Grid::size; ++row)
      BOOST_CHECK_EQUAL(row / rotary[k].divisor % rotary[k].positions + rotary[k].first, coordinate(row, axes[k]));
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(modules_have_the_names_of_the_mapping) {
  const std::vector<std::string> names{"self_attn.qkv_proj",
                                       "self_attn.o_proj",
                                       "mlp.shared_mlp.gate_and_up_proj",
                                       "mlp.shared_mlp.down_proj",
                                       "mlp.experts.w1",
                                       "mlp.experts.w2",
                                       "mlp.experts.w3"};
  for (std::size_t m = 0; m < Released::module_count; ++m) {
    BOOST_CHECK_EQUAL(Released::modules[m].name(), names[m]);
    BOOST_CHECK_EQUAL(ReleasedTokens::find(names[m]), m);
    BOOST_CHECK_EQUAL(Released::modules[m].experts, m < 4 ? 1 : 64);
  }
}

BOOST_AUTO_TEST_CASE(tokens_are_the_matrices_in_the_order_of_the_layout) {
  const Matrices<Flat> flat("w");
  auto tokens = poisoned(Flat::values_per_layer);
  Flat::tokenize<double>(tokens.data(), flat.a(), flat.b());
  BOOST_CHECK(same_but_for_nan(tokens, by_the_book_flat(flat)));

  const Matrices<Anchored> anchored("w");
  tokens = poisoned(Anchored::values_per_layer);
  Anchored::tokenize<double>(tokens.data(), anchored.a(), anchored.b());
  BOOST_CHECK(tokens == by_the_book_anchored(anchored));
}

BOOST_AUTO_TEST_CASE(tokenize_and_detokenize_are_inverse) {
  check_round_trips<Flat>();
  check_round_trips<Anchored>();
}

BOOST_AUTO_TEST_CASE(tokenizer_transposes) {
  check_transposes<Flat>();
  check_transposes<Anchored>();
}

BOOST_AUTO_TEST_CASE(adapters_are_views_of_the_tokens) {
  check_adapter<"up">();
  check_adapter<"out">();
  check_adapter<"down">();
  for (const Index layer : {Index{-1}, Flat::layers})
    BOOST_CHECK_EXCEPTION(Flat::adapter<"up">(Flat::Tokens<double>(), layer), wu::ShapeError, [layer](const auto& e) {
      return e.what() == "Tokenizer::adapter: expected a layer from 0 to " + std::to_string(Flat::layers - 1) + ", found " +
                             std::to_string(layer);
    });
}

// What is written through the view of a gradient arrives where detokenize_transpose would put it.
BOOST_AUTO_TEST_CASE(adapter_gradients_land_in_the_tokens) {
  const Matrices<Flat> gradient("dw");
  constexpr std::size_t m = Flat::find("out");
  std::vector<double> tokens(static_cast<std::size_t>(2 * Flat::values)), expected = tokens;
  const auto view = Flat::adapter<"out">(Flat::Tokens<double>(tokens.data(), 2), 1);
  std::copy(gradient.A[m].begin(), gradient.A[m].end(), view.A + view.stride);
  std::copy(gradient.B[m].begin(), gradient.B[m].end(), view.B + view.stride);
  Matrices<Flat> only_out(nullptr);
  for (std::size_t k = 0; k < Flat::module_count; ++k) {
    std::fill(only_out.A[k].begin(), only_out.A[k].end(), 0);
    std::fill(only_out.B[k].begin(), only_out.B[k].end(), 0);
  }
  only_out.A[m] = gradient.A[m], only_out.B[m] = gradient.B[m];
  Flat::detokenize_transpose<double>(expected.data() + Flat::values + Flat::values_per_layer, std::as_const(only_out).a(),
                                     std::as_const(only_out).b());
  BOOST_CHECK(tokens == expected);
}

BOOST_AUTO_TEST_CASE(grid_groups_cover_every_row_once_for_every_choice_of_axes) {
  check_attend<"layer">({0});
  check_attend<"token">({1});
  check_attend<"rank">({2});
  check_attend<"layer", "token">({0, 1});
  check_attend<"layer", "rank">({0, 2});
  check_attend<"token", "rank">({1, 2});
  check_attend<"layer", "token", "rank">({0, 1, 2});
  check_attend<"rank", "layer">({2, 0});  // the order of the names is the order of the rotary slices
}

BOOST_AUTO_TEST_CASE(grid_neighbouring_axes_join_and_separate_ones_do_not) {
  BOOST_CHECK((Grid::attend<"token", "rank">(2).query.regular()));
  BOOST_CHECK((Grid::attend<"layer">(2).query.regular()));
  BOOST_CHECK(!(Grid::attend<"layer", "rank">(2).query.regular()));
}

// ---- one request's adapters as parameters, batches with memory of their own ------------------------------------------------
namespace {
using Small = Tokenizer<2, 3>::of<AdaptedLayers<2, Adapted<"a", 5, 4>, Adapted<"b", 4, 7>>>;
}

BOOST_AUTO_TEST_CASE(tokens_own_their_memory_or_take_it_from_a_workspace) {
  Small::Owned<float> owned(3);
  BOOST_CHECK_EQUAL(owned.extent(0), 3);
  BOOST_CHECK_EQUAL(owned.size(), 3 * Small::values);
  wu::Workspace ws;
  const auto taken = Small::take<float>(ws, 3);
  BOOST_CHECK_EQUAL(taken.size(), 3 * Small::values);
  std::fill_n(taken.data, taken.size(), 1.f);
  BOOST_CHECK_EQUAL(Small::adapter<"b">(owned.view(), 1).count, 3);
}

BOOST_AUTO_TEST_CASE(one_requests_adapters_are_parameters_whose_A_is_drawn_and_whose_B_is_zero) {
  wu::Weights<Small, double> adapters;
  BOOST_CHECK_EQUAL(adapters.count, Small::values);
  Small::initialise<double>(adapters.view(), 1);
  const auto tokens = adapters.frozen().batch();
  BOOST_CHECK_EQUAL(tokens.extent(0), 1);
  Index drawn = 0, all_A = 0;
  for (Index layer = 0; layer < Small::layers; ++layer) {
    const auto check = [&](auto a) {
      for (Index k = 0; k < a.in * a.rank; ++k) drawn += a.A[k] != 0, ++all_A;
      for (Index k = 0; k < a.out * a.rank; ++k) BOOST_CHECK_EQUAL(a.B[k], 0);
    };
    check(Small::adapter<"a">(tokens, layer)), check(Small::adapter<"b">(tokens, layer));
  }
  BOOST_CHECK_EQUAL(drawn, all_A);
  BOOST_CHECK_EQUAL(all_A, 2 * 2 * (5 + 4));
  Index others = 0;
  for (const double v : adapters.flat()) others += v != 0;
  BOOST_CHECK_EQUAL(others, all_A);  // padding too is zero
  BOOST_CHECK_NE(Small::adapter<"a">(tokens, 0).A[0], Small::adapter<"a">(tokens, 1).A[0]);
}

BOOST_AUTO_TEST_CASE(starting_values_of_A_have_variance_1_over_in) {
  using Wide = Tokenizer<8, 64>::of<AdaptedLayers<4, Adapted<"a", 256, 64>>>;
  wu::Weights<Wide, double> adapters;
  Wide::initialise<double>(adapters.view(), 1);
  double squares = 0;
  for (const double v : adapters.flat()) squares += v * v;
  BOOST_CHECK_CLOSE(squares, 4 * 8, 5);  // 4 layers of 8 rows, each of norm about 1
}
