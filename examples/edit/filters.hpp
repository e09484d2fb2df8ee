// Small picture filters that tasks and pre-training edits are made of. Borders continue by their outermost pixel.
#pragma once

#include <functional>

#include "edit/image.hpp"
#include "wu/core/random.hpp"

namespace edit {

/// Gaussian blur; sigma in pixels, window of 3 sigma to each side.
Image gaussian_blur(const Image& image, double sigma);

/// Mirrored left-right and turned by quarter turns: one of the 8 symmetries of the square, 0 .. 7.
Image turn(const Image& image, int which);

/// f(r, g, b) changes one pixel in place.
template <class F>
Image each_pixel(Image image, F&& f) {
  for (std::size_t k = 0; k + 2 < image.rgb.size(); k += 3) f(image.rgb[k], image.rgb[k + 1], image.rgb[k + 2]);
  return image;
}

/// Rec. 709 weights on sRGB values.
inline float luma(float r, float g, float b) { return 0.2126f * r + 0.7152f * g + 0.0722f * b; }

}  // namespace edit
