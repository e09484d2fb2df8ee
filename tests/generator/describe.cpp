// What shapes, tokenizers and generators say about themselves, and that they say what their members are.
#include <boost/test/unit_test.hpp>

#include "wu/core/describe.hpp"
#include "wu/generator/generator.hpp"

namespace {

using namespace wu;
using Shape = AdaptedLayers<3, Adapted<"q", 6, 9>, AdaptedExperts<"moe", 2, Adapted<"up", 3, 12>>>;
using Tokens = Tokenizer<4, 3>::of<Shape>;
using Small = Generator<Tokens, Width<12>, HeadWidth<4>, Blocks<2>, JoinedRanks<2>, ConditionWidth<7>>;

bool holds(const std::string& text, const std::string& phrase) { return text.find(phrase) != text.npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(descriptions)

BOOST_AUTO_TEST_CASE(adapted_layers_and_tokens) {
  BOOST_CHECK_EQUAL(describe<Shape>(),
                    "3 layers with 2 adapted modules; every width is a multiple of 3\n"
                    "  module             in  out\n"
                    "  q                   6    9\n"
                    "  moe.up, 2 experts   3   12");
  static_assert(Tokens::tokens_A == 4 && Tokens::tokens_B == 11 && Tokens::tokens_A_of(1) == 2 &&
                Tokens::tokens_B_of(1) == 8);
  static_assert(Tokens::values == 540 && Tokens::adapter_values == 540);
  BOOST_CHECK_EQUAL(describe<Tokens>(),
                    "Tokenizer, flat: tokens (·, 3, 15, 4, 3)\n"
                    "  module             A       B        tokens A  tokens B\n"
                    "  q                  (4, 6)  (9, 4)          2         3\n"
                    "  moe.up, 2 experts  (4, 3)  (12, 4)         2         8\n"
                    "  a layer                                    4        11\n"
                    "540 values for a request: 540 of adapters, 0 of padding");
  using Padded = Tokenizer<4, 5>::of<Shape>;
  BOOST_CHECK(holds(describe<Padded>(), text::grouped(Padded::values) + " values for a request: 540 of adapters, " +
                                            text::grouped(Padded::values - 540) + " of padding"));
  static_assert(Padded::values > 540);
  using Anchored = Tokenizer<4, 3, Layout::rank_anchored>::of<Shape>;
  BOOST_CHECK(describe<Anchored>().starts_with("Tokenizer, rank-anchored: "));
}

BOOST_AUTO_TEST_CASE(grid_and_block) {
  BOOST_CHECK_EQUAL(describe<Small::Grid>(), "layer 3 × token 15 × rank 2 = 90 positions");
  BOOST_CHECK_EQUAL(describe<Small::Block>(),
                    "self_attn_n over layer, self_attn_hw over token × rank, cross attention, feed-forward 12 → 48 → 12");
  using Paper = GeneratorBlock<PaperOrder, Small::Grid, 12, 4>;
  BOOST_CHECK(describe<Paper>().starts_with("self_attn_hw over token × rank, self_attn_n over layer, "));
}

BOOST_AUTO_TEST_CASE(a_small_generator) {
  const auto o = Small::operations(2, 5);
  static_assert(Small::positions == 90 && Small::parameter_count == 6816 &&
                parameter_extent<Small::Parameters<float>>() * 4 == 32'512);
  BOOST_CHECK_EQUAL(
      describe<Small>(2, 5),
      "Generator: condition (·, ·, 7) → tokens (·, 3, 15, 4, 3)\n"
      "  grid      layer 3 × token 15 × rank 2 = 90 positions\n"
      "  tokens    4 for A + 11 for B in a layer, rank 4, width 3\n"
      "  width     12, 3 heads × 4; 2 joined ranks × 6; condition 7\n"
      "  2 blocks  self_attn_n over layer, self_attn_hw over token × rank, cross attention, feed-forward 12 → 48 → 12\n"
      "6816 parameters: 32.5 kB in float, 16.3 kB in bfloat16\n"
      "  hidden_in                 96\n"
      "  model.norm_input          12\n"
      "  model.norm_tokens         12\n"
      "  model.hw_pos.weight      360   (60, 6)\n"
      "  model.layer_pos.weight    18    (3, 6)\n"
      "  model.blocks            6264  2 × 3132\n"
      "  model.norm_final          12\n"
      "  model.proj_out_A          21\n"
      "  model.proj_out_B          21\n"
      "batch 2, condition length 5: forward keeps " +
          text::bytes(Small::saved_bytes<float>(2, 5)) + " in float and takes " + text::operations(o.total()) +
          "\n  linear layers    " + text::operations(o.linear) + "\n  self attention    " +
          text::operations(o.self_attention) + "\n  cross attention  " + text::operations(o.cross_attention));
  BOOST_CHECK(describe<Small>() != describe<Small>(2, 5));
}

BOOST_AUTO_TEST_SUITE_END()
