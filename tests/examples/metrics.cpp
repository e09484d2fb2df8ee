#include "edit/metrics.hpp"

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>

#include "scratch.hpp"

namespace {

edit::Image grey(int width, int height, std::vector<float> values) {
  edit::Image image = edit::blank(width, height);
  for (std::size_t i = 0; i < values.size(); ++i)
    for (std::size_t c = 0; c < 3; ++c) image.rgb[3 * i + c] = values[i];
  return image;
}

constexpr double c1 = 1e-4, c2 = 9e-4;

}  // namespace

BOOST_AUTO_TEST_SUITE(metrics)

BOOST_AUTO_TEST_CASE(psnr_by_hand) {
  BOOST_TEST(std::abs(edit::psnr(edit::blank(3, 2, .5f), edit::blank(3, 2, .6f)) - 20) < 1e-4);
  BOOST_TEST(std::abs(edit::psnr(edit::blank(3, 2, 0), edit::blank(3, 2, 1))) < 1e-9);
  edit::Image one = edit::blank(5, 4, .25f);
  one.rgb[17] += .5f;  // mean square error .25 / 60
  BOOST_TEST(std::abs(edit::psnr(one, edit::blank(5, 4, .25f)) - 10 * std::log10(240.0)) < 1e-9);
  BOOST_TEST(edit::psnr(one, one) == 99);
  BOOST_TEST(edit::psnr(edit::blank(2, 2, .5f), edit::blank(2, 2, .500001f)) == 99);
}

BOOST_AUTO_TEST_CASE(ssim_of_equal_pictures) {
  for (const auto& [width, height] : {std::pair{1, 1}, {3, 20}, {11, 11}, {24, 17}}) {
    const edit::Image image = noisy_image(width, height);
    BOOST_TEST(std::abs(edit::ssim(image, image) - 1) < 1e-12);
  }
}

// Without variance only the means are compared.
BOOST_AUTO_TEST_CASE(ssim_of_flat_pictures) {
  const double a = double{.2f}, b = double{.6f}, expected = (2 * a * b + c1) / (a * a + b * b + c1);
  for (const int size : {1, 5, 11, 30})
    BOOST_TEST(std::abs(edit::ssim(edit::blank(size, size, .2f), edit::blank(size, size, .6f)) - expected) < 1e-6);
}

// Two by two pixels: the window has four equal weights, means 1/2, variances 1/4, covariance 0 or -1/4.
BOOST_AUTO_TEST_CASE(ssim_of_four_pixels) {
  const edit::Image a = grey(2, 2, {0, 1, 0, 1}), b = grey(2, 2, {0, 1, 1, 0}), c = grey(2, 2, {1, 0, 1, 0});
  BOOST_TEST(std::abs(edit::ssim(a, b) - c2 / (.5 + c2)) < 1e-9);
  BOOST_TEST(std::abs(edit::ssim(a, c) - (c2 - .5) / (.5 + c2)) < 1e-9);
}

// One white pixel in the middle of 11 x 11 has the window's central weight w: mean w, variance w - w^2.
BOOST_AUTO_TEST_CASE(ssim_has_a_gaussian_window) {
  double sum = 0;
  for (int i = -5; i <= 5; ++i) sum += std::exp(-i * i / (2 * 1.5 * 1.5));
  const double w = 1 / (sum * sum);
  std::vector<float> values(121, 0);
  values[60] = 1;
  const double expected = c1 * c2 / ((w * w + c1) * (w - w * w + c2));
  BOOST_TEST(std::abs(edit::ssim(grey(11, 11, values), edit::blank(11, 11)) - expected) < 1e-9);
}

// 12 x 11 pixels have two window positions; the white column stands at distance 5 from one centre and 6 from the other.
BOOST_AUTO_TEST_CASE(ssim_is_the_mean_over_positions) {
  std::vector<float> values(132, 0);
  for (std::size_t y = 0; y < 11; ++y) values[12 * y] = 1;
  double sum = 0;
  for (int i = -5; i <= 5; ++i) sum += std::exp(-i * i / 4.5);
  const double w = std::exp(-25 / 4.5) / sum;
  const double first = c1 * c2 / ((w * w + c1) * (w - w * w + c2));
  BOOST_TEST(std::abs(edit::ssim(grey(12, 11, values), edit::blank(12, 11)) - (first + 1) / 2) < 1e-9);
}

BOOST_AUTO_TEST_CASE(ssim_weighs_colours_as_luma) {
  edit::Image green = edit::blank(1, 1);
  green.rgb[1] = 1;
  const double m = .587;
  BOOST_TEST(std::abs(edit::ssim(green, edit::blank(1, 1)) - c1 / (m * m + c1)) < 1e-9);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_compared) {
  for (const auto metric : {edit::psnr, edit::ssim}) {
    BOOST_CHECK_EXCEPTION(metric(edit::blank(3, 2), edit::blank(2, 3)), wu::ShapeError, says("found 3 x 2 and 2 x 3"));
    BOOST_CHECK_THROW(metric(edit::Image{}, edit::Image{}), wu::ShapeError);
    const edit::Image broken = edit::blank(12, 12, std::numeric_limits<float>::quiet_NaN());
    BOOST_CHECK_THROW(metric(broken, edit::blank(12, 12)), wu::NonFiniteError);
  }
}

BOOST_AUTO_TEST_SUITE_END()
