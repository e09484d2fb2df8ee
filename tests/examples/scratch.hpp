// What the tests of the example program share: a folder of their own, a picture worth saving, and the text of an error.
#pragma once

#include <boost/test/unit_test.hpp>

#include <exception>
#include <string>
#include <string_view>

#include "edit/image.hpp"
#include "support/scratch.hpp"
#include "wu/core/random.hpp"

/// Multiples of 1/255 without any regularity.
inline edit::Image noisy_image(int width, int height, std::uint64_t index = 0) {
  wu::Random random(7, "noisy image", index);
  edit::Image image = edit::blank(width, height);
  for (float& value : image.rgb) value = static_cast<float>(random.below(256)) / 255.0f;
  return image;
}

/// A slow change of colour, which JPEG keeps nearly as it is.
inline edit::Image smooth_image(int width, int height) {
  edit::Image image = edit::blank(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const float u = static_cast<float>(x) / static_cast<float>(width),
                  v = static_cast<float>(y) / static_cast<float>(height);
      const float colour[] = {.2f + .6f * u, .8f - .5f * v, .3f + .3f * u * v};
      for (int c = 0; c < 3; ++c) image.rgb[image.at(x, y, c)] = colour[c];
    }
  return image;
}

/// A matcher for BOOST_CHECK_EXCEPTION: the sentence holds `part`.
inline auto says(std::string part) {
  return [part](const std::exception& error) {
    const bool found = std::string_view(error.what()).find(part) != std::string_view::npos;
    if (!found) BOOST_TEST_MESSAGE("expected \"" << part << "\" in: " << error.what());
    return found;
  };
}
