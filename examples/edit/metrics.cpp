#include "edit/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

#include "wu/core/error.hpp"

namespace edit {
namespace {

void check_pair(const Image& a, const Image& b) {
  check(a);
  check(b);
  if (a.width != b.width || a.height != b.height)
    throw wu::ShapeError(wu::message("two pictures to be compared must have one size, found ", a.width, " x ", a.height,
                                     " and ", b.width, " x ", b.height));
}

double finite(double value) {
  if (!std::isfinite(value)) throw wu::NonFiniteError("two pictures cannot be compared: one of them holds NaN or infinity");
  return value;
}

// One plane of doubles: the luma of a picture, or a product of two.
struct Plane {
  int width, height;
  std::vector<double> values;

  Plane(int w, int h) : width(w), height(h), values(static_cast<std::size_t>(w) * static_cast<std::size_t>(h)) {}
  double* row(int y) { return values.data() + static_cast<std::ptrdiff_t>(y) * width; }
  const double* row(int y) const { return values.data() + static_cast<std::ptrdiff_t>(y) * width; }
};

Plane luma(const Image& image) {
  Plane plane(image.width, image.height);
  const float* rgb = image.rgb.data();
  for (double& y : plane.values) {
    y = 0.299 * double{rgb[0]} + 0.587 * double{rgb[1]} + 0.114 * double{rgb[2]};
    rgb += 3;
  }
  return plane;
}

Plane product(const Plane& a, const Plane& b) {
  Plane p(a.width, a.height);
  std::transform(a.values.begin(), a.values.end(), b.values.begin(), p.values.begin(), std::multiplies<>());
  return p;
}

std::vector<double> gaussian(int side) {
  const int size = std::min(11, side);
  const double sigma = 1.5 * size / 11;
  std::vector<double> weights;
  double sum = 0;
  for (int i = 0; i < size; ++i) {
    const double t = (i - 0.5 * (size - 1)) / sigma;
    weights.push_back(std::exp(-0.5 * t * t));
    sum += weights.back();
  }
  for (double& w : weights) w /= sum;
  return weights;
}

// The weighted mean around every position where the window fits.
Plane windowed(const Plane& plane) {
  const std::vector<double> across = gaussian(plane.width), down = gaussian(plane.height);
  Plane rows(plane.width - static_cast<int>(across.size()) + 1, plane.height);
  for (int y = 0; y < rows.height; ++y)
    for (int x = 0; x < rows.width; ++x)
      for (std::size_t i = 0; i < across.size(); ++i)
        rows.row(y)[x] += across[i] * plane.row(y)[x + static_cast<std::ptrdiff_t>(i)];
  Plane mean(rows.width, plane.height - static_cast<int>(down.size()) + 1);
  for (int y = 0; y < mean.height; ++y)
    for (std::size_t i = 0; i < down.size(); ++i)
      for (int x = 0; x < mean.width; ++x) mean.row(y)[x] += down[i] * rows.row(y + static_cast<int>(i))[x];
  return mean;
}

}  // namespace

double psnr(const Image& a, const Image& b) {
  check_pair(a, b);
  double sum = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) {
    const double d = double{a.rgb[i]} - double{b.rgb[i]};
    sum += d * d;
  }
  const double mse = finite(sum) / static_cast<double>(a.rgb.size());
  return mse > 0 ? std::min(99.0, -10 * std::log10(mse)) : 99.0;
}

double ssim(const Image& a, const Image& b) {
  check_pair(a, b);
  const Plane x = luma(a), y = luma(b);
  const Plane mean_x = windowed(x), mean_y = windowed(y);
  const Plane xx = windowed(product(x, x)), yy = windowed(product(y, y)), xy = windowed(product(x, y));
  constexpr double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
  double sum = 0;
  for (std::size_t i = 0; i < mean_x.values.size(); ++i) {
    const double mx = mean_x.values[i], my = mean_y.values[i];
    const double var_x = xx.values[i] - mx * mx, var_y = yy.values[i] - my * my, cov = xy.values[i] - mx * my;
    sum += (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (var_x + var_y + c2));
  }
  return finite(sum) / static_cast<double>(mean_x.values.size());
}

}  // namespace edit
