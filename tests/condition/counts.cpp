// The bytes and the floating-point operations that encoders say a forward pass takes, against what it took.
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <vector>

#include "support/counting.hpp"
#include "wu/condition/condition.hpp"
#include "wu/core/parameters.hpp"

namespace {

using namespace wu;

template <Index ImageBlocks, Index TextBlocks>
void check(Index batch) {
  using Image = condition::ImageEncoder</*size*/ 9, /*patch*/ 3, 6, 2, ImageBlocks>;
  using Text = condition::TextEncoder</*vocabulary*/ 7, /*length*/ 5, 6, 2, TextBlocks>;
  using Both = condition::Hybrid<Image, Text>;
  const Weights<Both, double> weights;
  const Tensor<double, dyn, dyn, dyn, 3> pictures(batch, Image::size, Image::size);
  const std::vector<std::int32_t> pieces(static_cast<std::size_t>(batch * Text::length), 1);
  Tensor<double, dyn, dyn, 6> u(batch, Both::length);
  test::Counting both, image, text;
  Workspace both_ws, image_ws, text_ws;
  Both::template forward<double>(both, both_ws, u, pictures, pieces, weights.frozen());
  BOOST_CHECK_EQUAL(both.operations, Both::operations(batch));
  BOOST_CHECK_EQUAL(both_ws.taken_bytes(), Both::template saved_bytes<double>(batch));
  Tensor<double, dyn, 6> features(batch * Image::length);
  Image::template forward<double>(image, image_ws, features, pictures, weights.frozen().image);
  BOOST_CHECK_EQUAL(image.operations, Image::operations(batch));
  BOOST_CHECK_EQUAL(image_ws.taken_bytes(), Image::template saved_bytes<double>(batch));
  Tensor<double, dyn, 6> words(batch * Text::length);
  Text::template forward<double>(text, text_ws, words, pieces, weights.frozen().text);
  BOOST_CHECK_EQUAL(text.operations, Text::operations(batch));
  BOOST_CHECK_EQUAL(text_ws.taken_bytes(), Text::template saved_bytes<double>(batch));
}

}  // namespace

BOOST_AUTO_TEST_CASE(encoders_take_what_they_say) {
  check<1, 2>(1);
  check<2, 1>(3);
  check<0, 0>(2);
}
