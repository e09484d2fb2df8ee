#include "edit/synthetic.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>

#include "scratch.hpp"

namespace {

struct Statistics {
  double mean = 0, deviation = 0, colour = 0;
};

Statistics statistics_of(const edit::Image& image) {
  double sum = 0, squares = 0, colour = 0;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    const auto [low, high] = std::minmax({image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]});
    const double grey = (double{image.rgb[i]} + double{image.rgb[i + 1]} + double{image.rgb[i + 2]}) / 3;
    sum += grey;
    squares += grey * grey;
    colour += double{high} - double{low};
  }
  const double n = static_cast<double>(image.rgb.size()) / 3, mean = sum / n;
  return {mean, std::sqrt(std::max(0.0, squares / n - mean * mean)), colour / n};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dead_leaves)

BOOST_AUTO_TEST_CASE(the_same_again) {
  const edit::Image first = edit::draw_dead_leaves(5, 3, 96);
  BOOST_TEST((edit::draw_dead_leaves(5, 3, 96) == first));
  BOOST_TEST((edit::draw_dead_leaves(5, 4, 96) != first));
  BOOST_TEST((edit::draw_dead_leaves(6, 3, 96) != first));
}

BOOST_AUTO_TEST_CASE(any_size) {
  for (const int size : {1, 2, 3, 17, 64, 301}) {
    const edit::Image image = edit::draw_dead_leaves(1, 2, size);
    BOOST_TEST(image.width == size);
    BOOST_TEST(image.height == size);
    edit::check(image);
    BOOST_TEST(std::all_of(image.rgb.begin(), image.rgb.end(), [](float v) { return v >= 0 && v <= 1; }));
  }
  BOOST_CHECK_THROW(edit::draw_dead_leaves(1, 2, 0), wu::ShapeError);
  BOOST_CHECK_THROW(edit::draw_dead_leaves(1, 2, -5), wu::ShapeError);
}

// Dark and bright ones, pale and colourful ones, none of them flat.
BOOST_AUTO_TEST_CASE(variety) {
  double darkest = 1, brightest = 0, palest = 1, strongest = 0, contrast = 0;
  constexpr int pictures = 60;
  for (std::uint64_t index = 0; index < pictures; ++index) {
    const Statistics s = statistics_of(edit::draw_dead_leaves(11, index, 64));
    darkest = std::min(darkest, s.mean);
    brightest = std::max(brightest, s.mean);
    palest = std::min(palest, s.colour);
    strongest = std::max(strongest, s.colour);
    contrast += s.deviation / pictures;
    BOOST_TEST(s.deviation > .01);
  }
  BOOST_TEST(darkest < .28);
  BOOST_TEST(brightest > .6);
  BOOST_TEST(palest < .05);
  BOOST_TEST(strongest > .28);
  BOOST_TEST(contrast > .12);
  BOOST_TEST(contrast < .25);
}

BOOST_AUTO_TEST_SUITE_END()
