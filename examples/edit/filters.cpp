#include "edit/filters.hpp"

#include <algorithm>
#include <cmath>

namespace edit {

namespace {

/// One direction of a separable filter: out(p) = sum of weights[i] * in(clamp(p + i - reach)).
Image filter_along(const Image& in, const std::vector<float>& weights, bool horizontal) {
  Image out = in;
  const int reach = static_cast<int>(weights.size()) / 2, length = horizontal ? in.width : in.height;
  for (int y = 0; y < in.height; ++y)
    for (int x = 0; x < in.width; ++x) {
      float sum[3] = {};
      for (int i = -reach; i <= reach; ++i) {
        const int p = std::clamp((horizontal ? x : y) + i, 0, length - 1);
        const float* const from = &in.rgb[horizontal ? in.at(p, y) : in.at(x, p)];
        for (int c = 0; c < 3; ++c) sum[c] += weights[static_cast<std::size_t>(i + reach)] * from[c];
      }
      for (int c = 0; c < 3; ++c) out.rgb[out.at(x, y, c)] = sum[c];
    }
  return out;
}

}  // namespace

Image gaussian_blur(const Image& image, double sigma) {
  const int reach = std::max(1, static_cast<int>(std::ceil(3 * sigma)));
  std::vector<float> weights;
  double total = 0;
  for (int i = -reach; i <= reach; ++i) total += std::exp(-i * i / (2 * sigma * sigma));
  for (int i = -reach; i <= reach; ++i)
    weights.push_back(static_cast<float>(std::exp(-i * i / (2 * sigma * sigma)) / total));
  return filter_along(filter_along(image, weights, true), weights, false);
}

Image turn(const Image& image, int which) {
  const bool quarter = which & 1, flip = which & 2, mirror = which & 4;
  Image out = blank(quarter ? image.height : image.width, quarter ? image.width : image.height);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      int sx = quarter ? y : x, sy = quarter ? x : y;
      if (mirror) sx = image.width - 1 - sx;
      if (flip) sy = image.height - 1 - sy;
      for (int c = 0; c < 3; ++c) out.rgb[out.at(x, y, c)] = image.rgb[image.at(sx, sy, c)];
    }
  return out;
}

}  // namespace edit
