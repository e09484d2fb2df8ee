// The released generator's shape, checked by the compiler: nothing of it is ever allocated here.        specs/generator.md
#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

#include "wu/core/describe.hpp"
#include "wu/core/parameters.hpp"
#include "wu/generator/shapes.hpp"

namespace {

using namespace wu;

using Shape = shapes::HyWu::Layers;
using Tokens = shapes::HyWu::Tokens;
using Released = shapes::HyWu::Generator;

static_assert(Shape::gcd_width == 1024 && gcd_width<Shape> == Tokens::token_width);
static_assert(Tokens::tokens_A == 719 && Tokens::tokens_B == 660 && Tokens::tokens_per_layer == 1379);
static_assert(Tokens::values == 722'993'152 && Tokens::values == Released::n * Released::h * Released::r * Released::d);
static_assert(Released::w == 4 && Released::c == 1024 && Released::positions == 176'512);
static_assert(Released::Block::Cross::heads == 32);
static_assert(Released::parameter_count == 8'096'647'168);
static_assert(parameter_extent<Released::Parameters<float>>() == Released::parameter_count,
              "every width is a multiple of 32: no padding between parameters");

// Every adapted width is a multiple of the token width, so both layouts have the same tokens and no padding.
static_assert(Tokens::adapter_values == Tokens::values);
static_assert(Tokenizer<16, 1024, Layout::rank_anchored>::of<Shape>::first_B == Tokens::first_B);

// Token counts of the modules: 16 rows of A or B fill one token for every 1024 channels, for all experts of a group.
static_assert(Tokens::first_A == std::array<Index, 8>{0, 4, 8, 12, 15, 271, 463, 719});
static_assert(Tokens::first_B == std::array<Index, 8>{719, 725, 729, 735, 739, 931, 1187, 1379});

}  // namespace

BOOST_AUTO_TEST_CASE(the_released_shape_in_words) {
  const std::string words = describe<Released>();
  for (const char* phrase : {"\n8 096 647 168 parameters: 32.4 GB in float, 16.2 GB in bfloat16\n",
                             "layer 32 × token 1379 × rank 4 = 176 512 positions",
                             "719 for A + 660 for B in a layer, rank 16, width 1024", "24 × 335 630 336"})
    BOOST_CHECK_MESSAGE(words.find(phrase) != words.npos, phrase << " is not in " << words);
}

BOOST_AUTO_TEST_CASE(the_released_names) {
  std::vector<std::string> names;
  Index count = 0;
  Released::Parameters<float> p;
  for_each_parameter(p, [&](std::string_view name, auto& view) {
    names.emplace_back(name);
    count += view.size();
  });
  BOOST_CHECK_EQUAL(count, Released::parameter_count);
  BOOST_REQUIRE_EQUAL(names.size(), 11 + 24 * 32);
  BOOST_CHECK_EQUAL(names.front(), "hidden_in.weight");
  BOOST_CHECK_EQUAL(names.back(), "model.proj_out_B.bias");
  const std::vector<std::string> block(names.begin() + 6, names.begin() + 6 + 32), expected{"norm1.weight",
                                                                                            "self_attn_n.W_q.weight",
                                                                                            "self_attn_n.W_q.bias",
                                                                                            "self_attn_n.W_k.weight",
                                                                                            "self_attn_n.W_k.bias",
                                                                                            "self_attn_n.W_v.weight",
                                                                                            "self_attn_n.W_v.bias",
                                                                                            "self_attn_n.W_o.weight",
                                                                                            "self_attn_n.W_o.bias",
                                                                                            "norm2.weight",
                                                                                            "self_attn_hw.W_q.weight",
                                                                                            "self_attn_hw.W_q.bias",
                                                                                            "self_attn_hw.W_k.weight",
                                                                                            "self_attn_hw.W_k.bias",
                                                                                            "self_attn_hw.W_v.weight",
                                                                                            "self_attn_hw.W_v.bias",
                                                                                            "self_attn_hw.W_o.weight",
                                                                                            "self_attn_hw.W_o.bias",
                                                                                            "norm3.weight",
                                                                                            "self_attn_cross.W_q.weight",
                                                                                            "self_attn_cross.W_q.bias",
                                                                                            "self_attn_cross.W_k.weight",
                                                                                            "self_attn_cross.W_k.bias",
                                                                                            "self_attn_cross.W_v.weight",
                                                                                            "self_attn_cross.W_v.bias",
                                                                                            "self_attn_cross.W_o.weight",
                                                                                            "self_attn_cross.W_o.bias",
                                                                                            "norm4.weight",
                                                                                            "feed_forward.fc1.weight",
                                                                                            "feed_forward.fc1.bias",
                                                                                            "feed_forward.fc2.weight",
                                                                                            "feed_forward.fc2.bias"};
  for (std::size_t k = 0; k < expected.size(); ++k) BOOST_CHECK_EQUAL(block[k], "model.blocks.0." + expected[k]);
}
