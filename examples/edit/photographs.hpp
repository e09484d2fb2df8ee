// Where training pictures come from: a folder of photographs, or the built-in generator of dead leaves.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "edit/image.hpp"
#include "wu/core/random.hpp"

namespace edit {

/// Pictures to train on and pictures to measure on.
struct Photographs {
  std::vector<Image> training, held_out;
  std::vector<std::string> held_out_names;
  std::string description;  ///< for the report: "70 photographs from DIR"
};

/// Training pictures from `photos`, others from `held_out`; without held_out every tenth of photos is set aside; without
/// photos pictures are drawn. The short side is brought to 192 .. 384 pixels, of a very long picture the middle is kept, and of
/// very many pictures at most 512 to train on and 24 to measure on, evenly spread over the sorted names.
/// Throws wu::FileError when a folder is missing or holds no picture.
Photographs load_photographs(const std::optional<std::filesystem::path>& photos,
                             const std::optional<std::filesystem::path>& held_out, std::uint64_t seed);

/// A square of `side` pixels from anywhere in a picture, turned and mirrored at random.
Image random_square(const Image& picture, int side, wu::Random& random);
/// The square in the middle.
Image middle_square(const Image& picture, int side);

}  // namespace edit
