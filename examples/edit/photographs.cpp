#include "edit/photographs.hpp"

#include <algorithm>
#include <cmath>

#include "edit/filters.hpp"
#include "edit/folder.hpp"
#include "edit/synthetic.hpp"
#include "wu/core/error.hpp"

namespace edit {

namespace {

constexpr int smallest = 192, largest = 384, drawn_training = 96, drawn_held_out = 9, drawn_size = 256;
constexpr int longest = 4;                                      // times the short side; more is cut off evenly on both ends
constexpr std::size_t most_training = 512, most_held_out = 24;  // all are kept in memory

/// Within the sizes that training cuts its squares from.
Image fitted(const Image& whole) {
  const int low = std::min(whole.width, whole.height), width = std::min(whole.width, longest * low),
            height = std::min(whole.height, longest * low);
  Image image = crop(whole, (whole.width - width) / 2, (whole.height - height) / 2, width, height);
  const double scale = low < smallest  ? static_cast<double>(smallest) / low
                       : low > largest ? static_cast<double>(largest) / low
                                       : 1;
  if (scale == 1) return image;
  const auto size = [&](int n) { return std::max(smallest, static_cast<int>(std::lround(n * scale))); };
  return resize(image, size(image.width), size(image.height));
}

/// At most `most` of the files, evenly spread over the list.
std::vector<std::filesystem::path> some_of(const std::vector<std::filesystem::path>& files, std::size_t most) {
  if (files.size() <= most) return files;
  std::vector<std::filesystem::path> some;
  for (std::size_t k = 0; k < most; ++k) some.push_back(files[k * files.size() / most]);
  return some;
}

}  // namespace

Photographs load_photographs(const std::optional<std::filesystem::path>& photos,
                             const std::optional<std::filesystem::path>& held_out, std::uint64_t seed) {
  Photographs all;
  if (!photos && !held_out) {
    for (int k = 0; k < drawn_training + drawn_held_out; ++k) {
      const bool training = k < drawn_training;
      (training ? all.training : all.held_out).push_back(draw_dead_leaves(seed, static_cast<std::uint64_t>(k), drawn_size));
      if (!training) all.held_out_names.push_back("drawn-" + std::to_string(k - drawn_training));
    }
    all.description =
        wu::message(drawn_training, " pictures drawn by the built-in generator, ", drawn_held_out, " others held out");
    return all;
  }
  std::vector<std::filesystem::path> training, others;
  if (held_out) others = list_images(*held_out);
  if (photos) {
    const auto files = list_images(*photos);
    for (std::size_t k = 0; k < files.size(); ++k) (!held_out && k % 10 == 9 ? others : training).push_back(files[k]);
    // A folder of fewer than ten: its last picture is measured on, unless it is the only one.
    if (others.empty() && training.size() > 1) {
      others.push_back(training.back());
      training.pop_back();
    }
    if (others.empty())
      throw wu::FileError(wu::message(
          photos->string(), ": expected at least two pictures, to train on one and measure on the other, found one"));
  }
  const std::size_t found = training.size(), found_others = others.size();
  for (const auto& file : some_of(training, most_training)) all.training.push_back(fitted(load_image(file)));
  for (const auto& file : some_of(others, most_held_out)) {
    all.held_out.push_back(fitted(load_image(file)));
    all.held_out_names.push_back(file.stem().string());
  }
  auto of = [](std::size_t used, std::size_t there) {
    return used == there ? wu::message(used) : wu::message(used, " (of ", there, ")");
  };
  all.description = wu::message(of(all.training.size(), found), " photographs to train on, ",
                                of(all.held_out.size(), found_others), " others held out");
  return all;
}

Image random_square(const Image& picture, int side, wu::Random& random) {
  side = std::min({side, picture.width, picture.height});
  const auto at = [&](int length) { return static_cast<int>(random.below(static_cast<std::uint32_t>(length - side + 1))); };
  const int x = at(picture.width), y = at(picture.height);
  return turn(crop(picture, x, y, side, side), static_cast<int>(random.below(8)));
}

Image middle_square(const Image& picture, int side) {
  side = std::min({side, picture.width, picture.height});
  return crop(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side);
}

}  // namespace edit
