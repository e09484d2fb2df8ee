// What the encoders and the hybrid condition say about themselves.
#include <boost/test/unit_test.hpp>

#include "wu/condition/condition.hpp"
#include "wu/core/describe.hpp"

BOOST_AUTO_TEST_CASE(encoders_describe_themselves) {
  using namespace wu;
  using Image = condition::ImageEncoder</*size*/ 9, /*patch*/ 3, 6, 2, /*blocks*/ 1>;
  using Text = condition::TextEncoder</*vocabulary*/ 7, /*length*/ 5, 6, 2, /*blocks*/ 2>;
  using Both = condition::Hybrid<Image, Text>;
  const auto pass = [](auto module, Index batch) {
    using M = decltype(module);
    return "batch " + std::to_string(batch) + ": forward keeps " + text::bytes(M::template saved_bytes<float>(batch)) +
           " in float and takes " + text::operations(M::operations(batch));
  };
  static_assert(parameter_count<Image::Parameters<float>>() == 720 && parameter_count<Text::Parameters<float>>() == 1068);
  const std::string image =
      "ImageEncoder: picture (·, 9, 9, 3) in patches of 3 × 3 → features (·, 9, 6)\n"
      "  1 block  width 6, 3 heads × 2, feed-forward 6 → 24 → 6\n" +
      text::weights<Image>() +
      "\n"
      "  patch            168\n"
      "  position.weight   54   (9, 6)\n"
      "  blocks           498  1 × 498\n";
  const std::string words =
      "TextEncoder: 5 pieces of a vocabulary of 7 → features (·, 5, 6)\n"
      "  2 blocks  width 6, 3 heads × 2, feed-forward 6 → 24 → 6\n" +
      text::weights<Text>() +
      "\n"
      "  table.weight      42   (7, 6)\n"
      "  position.weight   30   (5, 6)\n"
      "  blocks           996  2 × 498\n";
  BOOST_CHECK_EQUAL(describe<Image>(), image + pass(Image{}, 1));
  BOOST_CHECK_EQUAL(describe<Text>(4), words + pass(Text{}, 4));
  BOOST_CHECK_EQUAL(describe<Both>(3), "Hybrid: condition (·, 14, 6)\n  " + text::indented(image + pass(Image{}, 3)) +
                                           "\n  " + text::indented(words + pass(Text{}, 3)) + "\n" + text::weights<Both>() +
                                           "\n" + pass(Both{}, 3));
  BOOST_CHECK(text::weights<Both>().starts_with("1788 parameters: "));
}
