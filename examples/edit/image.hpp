// Pictures in memory and on disk: PNG and JPEG in, PNG and JPEG out, resizing and cropping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace edit {

/// A colour picture: row-major, interleaved red, green, blue; sRGB values in [0, 1].   rgb: (height, width, 3)
struct Image {
  int width = 0, height = 0;
  std::vector<float> rgb;

  /// Position in rgb of channel c of the pixel in column x of row y.
  std::size_t at(int x, int y, int c = 0) const {
    return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) * 3 +
           static_cast<std::size_t>(c);
  }
  bool empty() const { return rgb.empty(); }
  bool operator==(const Image&) const = default;
};

/// A picture of one grey.
Image blank(int width, int height, float value = 0);

/// Throws wu::ShapeError unless width and height are positive and rgb has width * height * 3 values.
void check(const Image& image);

/// The picture in a PNG or JPEG file; which of the two it is the content says, not the name. PNG: grey, palette, 16 bits
/// and interlaced too; what is transparent lies on white. JPEG: grey or colour. An EXIF orientation is carried out. The
/// values are taken as sRGB: embedded colour profiles are not applied.
/// Throws wu::FileError, with the file's name and the reason, for anything that is not one whole, undamaged picture.
Image load_image(const std::filesystem::path& file);

/// The same for bytes in memory; `name` is what the error calls them.
Image decode_image(std::span<const std::byte> bytes, std::string_view name);

/// Writes PNG (.png) or JPEG of quality 95 with full colour resolution (.jpg, .jpeg), 8 bits per channel; values outside
/// [0, 1] are clamped. The file is replaced as a whole or not at all. Throws wu::FileError when it cannot be written,
/// wu::NonFiniteError when the picture holds NaN or infinity.
void save_image(const std::filesystem::path& file, const Image& image);

/// The bytes of the PNG file that save_image would write.
std::vector<std::byte> encode_png(const Image& image);

/// Resampled to width x height: Mitchell's filter in linear light where pixels are averaged, Catmull-Rom on the sRGB
/// values where they are interpolated; the result is clamped to [0, 1].
Image resize(const Image& image, int width, int height);

/// The rectangle of width x height whose top left corner is (x, y); wu::ShapeError unless it lies inside the picture.
Image crop(const Image& image, int x, int y, int width, int height);

/// Clamps to [0, 1] and rounds to multiples of 1/255: what a save and a load as PNG would leave.
void quantize8(Image& image);

}  // namespace edit
