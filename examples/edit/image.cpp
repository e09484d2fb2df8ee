#include "edit/image.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include <jpeglib.h>

#include <jerror.h>  // after jpeglib.h: the codes of the warnings that mean damage
#include <png.h>

#define STB_IMAGE_RESIZE_IMPLEMENTATION
#define STB_IMAGE_RESIZE_STATIC
#include <stb/stb_image_resize.h>

#include "edit/folder.hpp"
#include "wu/core/error.hpp"
#include "wu/io/printable.hpp"

namespace edit {
namespace {

// 128 megapixels: more than a camera makes, 1.6 GB as float. Beyond it a header is more likely damaged than true.
constexpr std::uint64_t most_pixels = std::uint64_t{1} << 27;
constexpr int most_jpeg_scans = 200;  // a few suffice; thousands of empty ones would keep a decoder busy for hours

using Bytes = std::span<const std::byte>;

[[noreturn]] void refuse(std::string_view name, const std::string& why) {
  throw wu::FileError(wu::message("cannot read \"", name, "\": ", why));
}

void check_dimensions(std::string_view name, std::uint64_t width, std::uint64_t height) {
  if (width == 0 || height == 0) refuse(name, wu::message("its size is ", width, " x ", height, " pixels"));
  if (width * height > most_pixels)  // both below 2^32, so the product fits
    refuse(name, wu::message("it says it has ", width, " x ", height, " pixels; at most ", most_pixels, " are read"));
}

// Both libraries report errors by a call that must not return and must not throw through their C code, so it jumps.
// A jump runs no destructors. Hence every call into a library is a `step`, a lambda that holds nothing but references,
// and each owner below offers `attempt(step)`, the only function with setjmp: false means that the library gave up and
// left the reason in `reason`. All vectors and strings live in frames outside, which no jump crosses.

// ---- EXIF -------------------------------------------------------------------------------------------------------------

// The orientation (1 to 8) in a TIFF header as EXIF embeds it; 1, upright, where there is none or it makes no sense.
int exif_orientation(Bytes tiff) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(tiff[i]); };
  if (tiff.size() < 8) return 1;
  const bool little = byte(0) == 'I' && byte(1) == 'I';
  if (!little && !(byte(0) == 'M' && byte(1) == 'M')) return 1;
  const auto u16 = [&](std::size_t i) { return little ? byte(i) | byte(i + 1) << 8 : byte(i) << 8 | byte(i + 1); };
  const auto u32 = [&](std::size_t i) { return little ? u16(i) | u16(i + 2) << 16 : u16(i) << 16 | u16(i + 2); };
  if (u16(2) != 42) return 1;
  const std::size_t directory = u32(4);
  if (directory > tiff.size() - 2) return 1;
  const std::size_t entries = u16(directory);
  for (std::size_t e = 0; e < entries; ++e) {
    const std::size_t entry = directory + 2 + 12 * e;
    if (entry + 12 > tiff.size()) return 1;
    if (u16(entry) != 0x0112) continue;
    const std::uint32_t value = u16(entry + 8);
    const bool one_short = u16(entry + 2) == 3 && u32(entry + 4) == 1;
    return one_short && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

// Turns the stored picture upright. Orientation 2 to 4 mirror or turn by 180 degrees, 5 to 8 also swap rows and columns.
Image upright(Image stored, int orientation) {
  if (orientation == 1) return stored;
  const bool swapped = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image turned = swapped ? blank(stored.height, stored.width) : blank(stored.width, stored.height);
  for (int y = 0; y < turned.height; ++y)
    for (int x = 0; x < turned.width; ++x) {
      int from_x = swapped ? y : x, from_y = swapped ? x : y;
      if (from_right) from_x = stored.width - 1 - from_x;
      if (from_bottom) from_y = stored.height - 1 - from_y;
      std::copy_n(&stored.rgb[stored.at(from_x, from_y)], 3, &turned.rgb[turned.at(x, y)]);
    }
  return turned;
}

// ---- PNG --------------------------------------------------------------------------------------------------------------

class Png {
 public:
  enum class For { reading, writing };

  explicit Png(For use) : reads_(use == For::reading) {
    png = reads_ ? png_create_read_struct(PNG_LIBPNG_VER_STRING, this, fail, ignore)
                 : png_create_write_struct(PNG_LIBPNG_VER_STRING, this, fail, ignore);
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) {
      release();
      throw std::bad_alloc();
    }
  }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;
  ~Png() { release(); }

  template <class Step>
  bool attempt(Step step) {
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    step();
    return true;
  }

  png_structp png = nullptr;
  png_infop info = nullptr;
  std::array<char, 200> reason{};
  Bytes input;                    // what is still to be read
  std::vector<std::byte> output;  // what was written

  static void read(png_structp png, png_bytep to, std::size_t n) {
    Png& self = *static_cast<Png*>(png_get_io_ptr(png));
    if (n > self.input.size()) png_error(png, "it ends too early");
    std::memcpy(to, self.input.data(), n);
    self.input = self.input.subspan(n);
  }
  static void write(png_structp png, png_bytep from, std::size_t n) {
    if (!static_cast<Png*>(png_get_io_ptr(png))->append(from, n)) png_error(png, "out of memory");
  }
  static void flush(png_structp) {}

 private:
  void release() {
    if (reads_) png_destroy_read_struct(&png, &info, nullptr);
    else png_destroy_write_struct(&png, &info);
  }
  bool append(const unsigned char* from, std::size_t n) noexcept try {
    const auto* bytes = reinterpret_cast<const std::byte*>(from);
    output.insert(output.end(), bytes, bytes + n);
    return true;
  } catch (const std::bad_alloc&) { return false; }
  [[noreturn]] static void fail(png_structp png, png_const_charp why) {
    std::snprintf(static_cast<Png*>(png_get_error_ptr(png))->reason.data(), 200, "%s", why);
    png_longjmp(png, 1);
  }
  static void ignore(png_structp, png_const_charp) {}  // libpng would print its warnings to stderr

  bool reads_;
};

Image decode_png(Bytes bytes, std::string_view name) {
  Png file(Png::For::reading);
  file.input = bytes;
  const auto attempt = [&](auto step) {
    if (!file.attempt(step)) refuse(name, wu::message("it is a damaged or incomplete PNG file (", file.reason.data(), ")"));
  };
  png_structp png = file.png;
  png_infop info = file.info;

  png_uint_32 width = 0, height = 0;
  int passes = 1;
  attempt([&] {
    png_set_read_fn(png, &file, Png::read);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);  // check_dimensions refuses with a better sentence
    png_read_info(png, info);
    width = png_get_image_width(png, info);
    height = png_get_image_height(png, info);
  });
  check_dimensions(name, width, height);
  // Deflate packs at most 1032 to one, so a header that promises more than the file can hold costs no memory.
  if (std::uint64_t{png_get_rowbytes(png, info)} * height > 1032 * std::uint64_t{bytes.size()})
    refuse(name, wu::message("it is a damaged or incomplete PNG file (", bytes.size(), " bytes cannot hold ", width, " x ",
                             height, " pixels)"));
  attempt([&] {
    png_set_expand_16(png);  // palette, 1, 2, 4 and 8 bits, transparent colours: all become 16 bits per channel
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 0xffff, PNG_FILLER_AFTER);
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
  });
  const std::size_t row_bytes = std::size_t{width} * 8;
  if (png_get_rowbytes(png, info) != row_bytes) refuse(name, "it is a PNG file of a kind that is not supported");

  // An interlaced picture is complete only after its last pass; any other is converted row by row, so that memory grows
  // with what the file really holds.
  Image image{static_cast<int>(width), static_cast<int>(height), {}};
  std::vector<unsigned char> rows(passes == 1 ? row_bytes : row_bytes * height);
  image.rgb.reserve(std::size_t{width} * height * 3);
  const auto convert = [&](const unsigned char* row) {
    const auto value = [](const unsigned char* p) { return static_cast<float>(p[0] << 8 | p[1]) / 65535.0f; };
    for (const unsigned char* pixel = row; pixel != row + row_bytes; pixel += 8) {
      const float alpha = value(pixel + 6);
      for (int c = 0; c < 3; ++c) image.rgb.push_back(value(pixel + 2 * c) * alpha + (1 - alpha));
    }
  };
  for (int pass = 0; pass < passes; ++pass)
    for (std::size_t y = 0; y < height; ++y) {
      unsigned char* row = rows.data() + (passes == 1 ? 0 : y * row_bytes);
      attempt([&] { png_read_row(png, row, nullptr); });
      if (pass == passes - 1) convert(row);
    }
  attempt([&] { png_read_end(png, info); });

  int orientation = 1;
#ifdef PNG_eXIf_SUPPORTED
  attempt([&] {
    png_uint_32 size = 0;
    png_bytep exif = nullptr;
    if (png_get_eXIf_1(png, info, &size, &exif) != 0)
      orientation = exif_orientation({reinterpret_cast<const std::byte*>(exif), size});
  });
#endif
  return upright(std::move(image), orientation);
}

// ---- JPEG -------------------------------------------------------------------------------------------------------------

// libjpeg's structures, their error manager and the way back out of an error. J is jpeg_(de)compress_struct.
template <class J>
class Jpeg {
 public:
  Jpeg() {
    jpeg.err = jpeg_std_error(&errors_);
    errors_.error_exit = fail;
    errors_.emit_message = warn;
    errors_.output_message = [](j_common_ptr) {};  // libjpeg would print to stderr
    jpeg.client_data = this;
  }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;
  ~Jpeg() { jpeg_destroy(reinterpret_cast<j_common_ptr>(&jpeg)); }  // harmless before jpeg_create_...: mem is null

  template <class Step>
  bool attempt(Step step) {
    if (setjmp(jump_) != 0) return false;
    step();
    return true;
  }

  J jpeg{};
  std::array<char, JMSG_LENGTH_MAX> reason{};

  static Jpeg& of(j_common_ptr jpeg) { return *static_cast<Jpeg*>(jpeg->client_data); }
  [[noreturn]] static void fail(j_common_ptr jpeg) {
    Jpeg& self = of(jpeg);
    jpeg->err->format_message(jpeg, self.reason.data());
    std::longjmp(self.jump_, 1);
  }
  [[noreturn]] void fail(const char* why) {
    std::snprintf(reason.data(), reason.size(), "%s", why);
    std::longjmp(jump_, 1);
  }

 private:
  // libjpeg only warns of damage and fills the gap with grey. What does not touch the pixels (stray bytes between
  // markers, an unknown version) is passed over; the rest is an error.
  static void warn(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
      case JWRN_JPEG_EOF:
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
      case JWRN_ARITH_BAD_CODE:
      case JWRN_MUST_RESYNC:
      case JWRN_BOGUS_PROGRESSION: fail(jpeg);
      default: break;
    }
  }

  jpeg_error_mgr errors_{};
  std::jmp_buf jump_{};
};

Image decode_jpeg(Bytes bytes, std::string_view name) {
  using Reader = Jpeg<jpeg_decompress_struct>;
  Reader file;
  const auto attempt = [&](auto step) {
    if (!file.attempt(step)) refuse(name, wu::message("it is a damaged or incomplete JPEG file (", file.reason.data(), ")"));
  };
  jpeg_decompress_struct& jpeg = file.jpeg;
  jpeg_progress_mgr progress{};
  progress.progress_monitor = [](j_common_ptr common) {
    if (reinterpret_cast<j_decompress_ptr>(common)->input_scan_number > most_jpeg_scans)
      Reader::of(common).fail("it has too many scans");
  };

  attempt([&] {
    jpeg_create_decompress(&jpeg);
    jpeg.progress = &progress;
    jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<unsigned long>(bytes.size()));
    jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&jpeg, TRUE);
  });
  check_dimensions(name, jpeg.image_width, jpeg.image_height);
  if (jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK)
    refuse(name, "it is a JPEG file in the printing colours CMYK; save it as RGB first");
  if (jpeg.jpeg_color_space == JCS_UNKNOWN)
    refuse(name, wu::message("it is a JPEG file with ", jpeg.num_components, " channels of unknown meaning"));

  int orientation = 1;
  constexpr std::array exif_name{'E', 'x', 'i', 'f', '\0', '\0'};
  for (auto* marker = jpeg.marker_list; marker != nullptr; marker = marker->next)
    if (marker->data_length > exif_name.size() && std::memcmp(marker->data, exif_name.data(), exif_name.size()) == 0) {
      const Bytes payload(reinterpret_cast<const std::byte*>(marker->data), marker->data_length);
      orientation = exif_orientation(payload.subspan(exif_name.size()));
      break;
    }

  attempt([&] {
    jpeg.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg);
  });
  Image image{static_cast<int>(jpeg.output_width), static_cast<int>(jpeg.output_height), {}};
  std::vector<unsigned char> row(std::size_t{jpeg.output_width} * 3);
  image.rgb.reserve(row.size() * jpeg.output_height);
  while (jpeg.output_scanline < jpeg.output_height) {
    attempt([&] {
      JSAMPROW to = row.data();
      jpeg_read_scanlines(&jpeg, &to, 1);
    });
    for (const unsigned char value : row) image.rgb.push_back(static_cast<float>(value) / 255.0f);
  }
  attempt([&] { jpeg_finish_decompress(&jpeg); });
  return upright(std::move(image), orientation);
}

// ---- writing ----------------------------------------------------------------------------------------------------------

std::vector<unsigned char> to_bytes(const Image& image) {
  check(image);
  std::vector<unsigned char> bytes(image.rgb.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (!std::isfinite(image.rgb[i])) {
      const std::size_t pixel = i / 3, width = static_cast<std::size_t>(image.width);
      throw wu::NonFiniteError(wu::message("a picture to be written holds ", image.rgb[i], " in column ", pixel % width,
                                           ", row ", pixel / width, ", channel ", i % 3));
    }
    bytes[i] = static_cast<unsigned char>(std::lround(std::clamp(image.rgb[i], 0.0f, 1.0f) * 255.0f));
  }
  return bytes;
}

// The destination that libjpeg writes to: a vector, through a small buffer.
struct JpegOutput : jpeg_destination_mgr {
  std::vector<std::byte> bytes;
  std::array<JOCTET, 16384> buffer;

  JpegOutput() : jpeg_destination_mgr{} {
    init_destination = [](j_compress_ptr jpeg) { of(jpeg).refill(); };
    empty_output_buffer = [](j_compress_ptr jpeg) -> boolean {
      JpegOutput& self = of(jpeg);
      self.take(jpeg, self.buffer.size());
      self.refill();
      return TRUE;
    };
    term_destination = [](j_compress_ptr jpeg) {
      JpegOutput& self = of(jpeg);
      self.take(jpeg, self.buffer.size() - self.free_in_buffer);
    };
  }

 private:
  static JpegOutput& of(j_compress_ptr jpeg) { return *static_cast<JpegOutput*>(jpeg->dest); }
  void refill() {
    next_output_byte = buffer.data();
    free_in_buffer = buffer.size();
  }
  bool append(std::size_t n) noexcept try {
    const auto* from = reinterpret_cast<const std::byte*>(buffer.data());
    bytes.insert(bytes.end(), from, from + n);
    return true;
  } catch (const std::bad_alloc&) { return false; }
  void take(j_compress_ptr jpeg, std::size_t n) {
    if (!append(n)) Jpeg<jpeg_compress_struct>::of(reinterpret_cast<j_common_ptr>(jpeg)).fail("out of memory");
  }
};

std::vector<std::byte> encode_jpeg(const Image& image) {
  const std::vector<unsigned char> rows = to_bytes(image);
  JpegOutput output;
  Jpeg<jpeg_compress_struct> file;
  jpeg_compress_struct& jpeg = file.jpeg;
  const bool written = file.attempt([&] {
    jpeg_create_compress(&jpeg);
    jpeg.dest = &output;
    jpeg.image_width = static_cast<JDIMENSION>(image.width);
    jpeg.image_height = static_cast<JDIMENSION>(image.height);
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;  // as many colour as brightness samples
    jpeg.optimize_coding = TRUE;
    jpeg_start_compress(&jpeg, TRUE);
    const std::size_t row_bytes = std::size_t{jpeg.image_width} * 3;
    while (jpeg.next_scanline < jpeg.image_height) {
      JSAMPROW row = const_cast<JSAMPROW>(rows.data() + jpeg.next_scanline * row_bytes);  // only read
      jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
  });
  if (!written) throw wu::FileError(wu::message("cannot encode a picture as JPEG: ", file.reason.data()));
  return std::move(output.bytes);
}

bool begins(Bytes bytes, std::string_view text, std::size_t at = 0) {
  return bytes.size() >= at + text.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

}  // namespace

Image blank(int width, int height, float value) {
  if (width <= 0 || height <= 0)
    throw wu::ShapeError(wu::message("a picture needs a positive width and height, found ", width, " x ", height));
  return {width, height, std::vector<float>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3, value)};
}

void check(const Image& image) {
  if (image.width <= 0 || image.height <= 0)
    throw wu::ShapeError(
        wu::message("a picture needs a positive width and height, found ", image.width, " x ", image.height));
  const std::size_t expected = image.at(0, image.height);
  if (image.rgb.size() != expected)
    throw wu::ShapeError(wu::message("a picture of ", image.width, " x ", image.height, " pixels needs ", expected,
                                     " values, found ", image.rgb.size()));
}

Image decode_image(std::span<const std::byte> bytes, std::string_view name) {
  try {
    if (bytes.empty()) refuse(name, "it is empty");
    if (begins(bytes, "\x89PNG\r\n\x1a\n")) return decode_png(bytes, name);
    if (begins(bytes, "\xff\xd8\xff")) return decode_jpeg(bytes, name);
  } catch (const std::bad_alloc&) {
    refuse(name, "there is not enough memory for its pixels");
  } catch (const std::length_error&) { refuse(name, "there is not enough memory for its pixels"); }
  const std::pair<std::string_view, bool> others[] = {
      {"GIF", begins(bytes, "GIF8")},
      {"WebP", begins(bytes, "RIFF") && begins(bytes, "WEBP", 8)},
      {"TIFF", begins(bytes, std::string_view("II*\0", 4)) || begins(bytes, std::string_view("MM\0*", 4))},
      {"HEIF or AVIF", begins(bytes, "ftyphei", 4) || begins(bytes, "ftypmif", 4) || begins(bytes, "ftypavif", 4)},
      {"BMP", begins(bytes, "BM") && bytes.size() > 26}};
  for (const auto& [kind, found] : others)
    if (found) refuse(name, wu::message("it is a ", kind, " file; only PNG and JPEG are read"));
  refuse(name, "it is neither a PNG nor a JPEG file");
}

Image load_image(const std::filesystem::path& file) { return decode_image(read_file(file), file.string()); }

std::vector<std::byte> encode_png(const Image& image) {
  const std::vector<unsigned char> rows = to_bytes(image);
  Png file(Png::For::writing);
  const bool written = file.attempt([&] {
    png_set_write_fn(file.png, &file, Png::write, Png::flush);
    png_set_user_limits(file.png, 0x7fffffff, 0x7fffffff);
    png_set_IHDR(file.png, file.info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(file.png, file.info);
    for (int y = 0; y < image.height; ++y) png_write_row(file.png, rows.data() + image.at(0, y));
    png_write_end(file.png, file.info);
  });
  if (!written) throw wu::FileError(wu::message("cannot encode a picture as PNG: ", file.reason.data()));
  return std::move(file.output);
}

void save_image(const std::filesystem::path& file, const Image& image) {
  const std::string extension = lower_extension(file);
  if (extension == ".png") write_file(file, encode_png(image));
  else if (extension == ".jpg" || extension == ".jpeg") write_file(file, encode_jpeg(image));
  else
    throw wu::FileError(wu::message("cannot write ", wu::io::printable_path(file.string()),
                                    ": the name must end in .png, .jpg or .jpeg to say in which "
                                    "format"));
}

Image resize(const Image& image, int width, int height) {
  check(image);
  Image resized = blank(width, height);  // refuses sizes below 1
  if (width == image.width && height == image.height) return image;
  // Light adds up linearly, so averaging sRGB values would darken fine contrast. Interpolation overshoots at edges, which
  // in linear light shows as black halos on dark grounds.
  const bool shrinks = image.rgb.size() > resized.rgb.size();
  const int done = stbir_resize_float_generic(
      image.rgb.data(), image.width, image.height, 0, resized.rgb.data(), width, height, 0, 3, STBIR_ALPHA_CHANNEL_NONE, 0,
      STBIR_EDGE_CLAMP, STBIR_FILTER_DEFAULT, shrinks ? STBIR_COLORSPACE_SRGB : STBIR_COLORSPACE_LINEAR, nullptr);
  if (done == 0) throw std::bad_alloc();
  for (float& value : resized.rgb) value = std::clamp(value, 0.0f, 1.0f);
  return resized;
}

Image crop(const Image& image, int x, int y, int width, int height) {
  check(image);
  if (x < 0 || y < 0 || width <= 0 || height <= 0 || width > image.width - x || height > image.height - y)
    throw wu::ShapeError(wu::message("cannot crop ", width, " x ", height, " pixels at (", x, ", ", y,
                                     ") from a picture of ", image.width, " x ", image.height));
  Image part = blank(width, height);
  for (int row = 0; row < height; ++row)
    std::copy_n(&image.rgb[image.at(x, y + row)], static_cast<std::size_t>(width) * 3, &part.rgb[part.at(0, row)]);
  return part;
}

void quantize8(Image& image) {
  for (float& value : image.rgb) value = std::round(std::clamp(value, 0.0f, 1.0f) * 255.0f) / 255.0f;
}

}  // namespace edit
