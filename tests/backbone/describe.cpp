// What the edit transformer and its blocks say about themselves.
#include <boost/test/unit_test.hpp>

#include "wu/backbone/backbone.hpp"
#include "wu/core/describe.hpp"

BOOST_AUTO_TEST_CASE(the_edit_transformer_describes_itself) {
  using namespace wu;
  using Net = backbone::EditTransformer</*layers*/ 2, /*token width*/ 8, /*pixel width*/ 6, /*head width*/ 4,
                                        /*instruction width*/ 5, /*rank*/ 2, /*adapter token width*/ 3>;
  constexpr Index in_a_layer = parameter_count<Net::LayerParameters<float>>();
  static_assert(Net::parameter_count == 64 * 8 + 8 + 5 * 8 + 8 + 2 * in_a_layer);
  BOOST_CHECK_EQUAL(describe<Net>(3, 16, 24),
                    "EditTransformer: x_t and source (·, ·, ·, 3), instruction (·, 5) → edit (·, ·, ·, 3)\n"
                    "  layers    2\n"
                    "  tokens    of 8 × 8 pixels: width 8, 2 heads × 4, hidden 16\n"
                    "  pixels    at half resolution: width 6, hidden 12\n"
                    "  adapters  10 modules in a layer, rank 2: " +
                        text::grouped(Net::Tokens::adapter_values) + " values for a request\n" + text::weights<Net>() +
                        "\n"
                        "  time          520\n"
                        "  instruction    48\n"
                        "  layers       " +
                        text::grouped(2 * in_a_layer) + "  2 × " + text::grouped(in_a_layer) +
                        "\nbatch 3, 16 × 24 pixels, with adapters: forward keeps " +
                        text::bytes(Net::saved_bytes<float>(3, 16, 24)) + " in float and takes " +
                        text::operations(Net::operations(3, 16, 24)));
  BOOST_CHECK(
      describe<Net::TokenStream>().starts_with("TokenBlock of width 8, 2 heads × 4, hidden 16, adapters of rank 2: "));
  BOOST_CHECK(describe<Net::PixelStream>().starts_with(
      "PixelBlock of width 6, hidden 12, steered by tokens of width 8, adapters of rank 2: "));
}
