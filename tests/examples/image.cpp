#include "edit/image.hpp"

#include <boost/test/unit_test.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <ios>
#include <limits>
#include <vector>

#include <jpeglib.h>
#include <png.h>

#include "edit/folder.hpp"
#include "scratch.hpp"

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

namespace {

Bytes bytes_of(std::string_view text) {
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

// A PNG file of any kind; configure may set a palette and the like before the header is written.
Bytes png_file(int width, int height, int depth, int colour_type, std::vector<std::vector<unsigned char>> rows,
               bool interlaced = false, const std::function<void(png_structp, png_infop)>& configure = {}) {
  Bytes out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp p, png_bytep from, std::size_t n) {
        const auto* bytes = reinterpret_cast<const std::byte*>(from);
        auto& to = *static_cast<Bytes*>(png_get_io_ptr(p));
        to.insert(to.end(), bytes, bytes + n);
      },
      [](png_structp) {});
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), depth, colour_type,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (configure) configure(png, info);
  std::vector<png_bytep> pointers;
  for (auto& row : rows) pointers.push_back(row.data());
  png_set_rows(png, info, pointers.data());
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  png_destroy_write_struct(&png, &info);
  return out;
}

// A JPEG file of any kind, of 8-bit samples.
Bytes jpeg_file(int width, int height, J_COLOR_SPACE space, int channels, std::vector<unsigned char> samples,
                const std::function<void(jpeg_compress_struct&)>& configure = {}) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_width = static_cast<JDIMENSION>(width);
  jpeg.image_height = static_cast<JDIMENSION>(height);
  jpeg.input_components = channels;
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  if (configure) configure(jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < height; ++y) {
    JSAMPROW row = samples.data() + static_cast<std::ptrdiff_t>(y) * width * channels;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  const auto* first = reinterpret_cast<const std::byte*>(memory);
  Bytes out(first, first + size);
  std::free(memory);
  return out;
}

std::vector<unsigned char> samples_of(const edit::Image& image) {
  std::vector<unsigned char> samples;
  for (const float v : image.rgb) samples.push_back(static_cast<unsigned char>(std::lround(v * 255)));
  return samples;
}

// A TIFF header with one entry, the orientation, in either byte order.
std::string exif_tiff(int orientation, bool little) {
  const auto n = [&](unsigned value, int size) {
    std::string s;
    for (int i = 0; i < size; ++i) s += static_cast<char>(value >> 8 * (little ? i : size - 1 - i) & 255);
    return s;
  };
  return (little ? "II" : "MM") + n(42, 2) + n(8, 4) + n(1, 2) + n(0x0112, 2) + n(3, 2) + n(1, 4) +
         n(static_cast<unsigned>(orientation), 2) + n(0, 2) + n(0, 4);
}

Bytes with_exif(Bytes jpeg, const std::string& tiff) {
  const std::string payload = std::string("Exif\0\0", 6) + tiff;
  const std::size_t length = payload.size() + 2;
  const Bytes segment =
      bytes_of(std::string("\xff\xe1") + static_cast<char>(length >> 8) + static_cast<char>(length & 255) + payload);
  jpeg.insert(jpeg.begin() + 2, segment.begin(), segment.end());
  return jpeg;
}

void write(const fs::path& file, const Bytes& bytes) {
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

double largest_difference(const edit::Image& a, const edit::Image& b) {
  BOOST_REQUIRE(a.width == b.width && a.height == b.height && a.rgb.size() == b.rgb.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) largest = std::max(largest, std::abs(double{a.rgb[i]} - double{b.rgb[i]}));
  return largest;
}

float red(const edit::Image& image, int x, int y) { return image.rgb[image.at(x, y, 0)]; }

// Everything written to the standard error stream while it lives.
class CaughtStderr {
 public:
  CaughtStderr() : file_(std::tmpfile()), kept_(dup(2)) {
    std::fflush(stderr);
    dup2(fileno(file_), 2);
  }
  ~CaughtStderr() {
    restore();
    std::fclose(file_);
  }
  long size() {
    restore();
    std::fseek(file_, 0, SEEK_END);
    return std::ftell(file_);
  }

 private:
  void restore() {
    if (kept_ < 0) return;
    std::fflush(stderr);
    dup2(kept_, 2);
    close(kept_);
    kept_ = -1;
  }
  std::FILE* file_;
  int kept_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(image)

BOOST_AUTO_TEST_CASE(png_round_trip_is_exact) {
  const Scratch scratch;
  for (const auto& [width, height] : {std::pair{1, 1}, {7, 5}, {1, 40}, {33, 2}, {64, 64}}) {
    const edit::Image image = noisy_image(width, height);
    edit::save_image(scratch / "a.PNG", image);
    BOOST_TEST((edit::load_image(scratch / "a.PNG") == image));
    BOOST_TEST((edit::decode_image(edit::encode_png(image), "memory") == image));
  }
  BOOST_TEST(scratch.entries() == 1);
}

BOOST_AUTO_TEST_CASE(jpeg_round_trip_is_close) {
  const Scratch scratch;
  const edit::Image image = smooth_image(57, 43);
  for (const char* name : {"a.jpg", "a.jpeg", "a.JPG"}) {
    edit::save_image(scratch / name, image);
    BOOST_TEST(largest_difference(edit::load_image(scratch / name), image) < 5 / 255.0);
  }
  edit::save_image(scratch / "one.jpg", edit::blank(1, 1, .5f));
  BOOST_TEST(largest_difference(edit::load_image(scratch / "one.jpg"), edit::blank(1, 1, .5f)) < 3 / 255.0);
}

BOOST_AUTO_TEST_CASE(content_decides_not_the_name) {
  const Scratch scratch;
  const edit::Image image = smooth_image(8, 6);
  edit::save_image(scratch / "a.png", image);
  edit::save_image(scratch / "b.jpg", image);
  fs::rename(scratch / "a.png", scratch / "c.jpg");
  fs::rename(scratch / "b.jpg", scratch / "d.png");
  BOOST_TEST(largest_difference(edit::load_image(scratch / "c.jpg"), image) < 1 / 255.0);
  BOOST_TEST(largest_difference(edit::load_image(scratch / "d.png"), image) < 6 / 255.0);
}

BOOST_AUTO_TEST_CASE(values_outside_are_clamped) {
  edit::Image image{2, 1, {-3, .5f, 7, 0, 1, .25f}};
  const edit::Image loaded = edit::decode_image(edit::encode_png(image), "memory");
  edit::quantize8(image);
  BOOST_TEST((image == loaded));
  BOOST_TEST(image.rgb[0] == 0);
  BOOST_TEST(image.rgb[2] == 1);
  BOOST_TEST(image.rgb[1] == 128 / 255.0f);
}

BOOST_AUTO_TEST_CASE(png_grey_16_bits) {
  const Bytes file = png_file(2, 1, 16, PNG_COLOR_TYPE_GRAY, {{0x12, 0x34, 0xff, 0xff}});
  const edit::Image image = edit::decode_image(file, "memory");
  BOOST_TEST(image.width == 2);
  for (int c = 0; c < 3; ++c) {
    BOOST_TEST(image.rgb[image.at(0, 0, c)] == 0x1234 / 65535.0f);
    BOOST_TEST(image.rgb[image.at(1, 0, c)] == 1);
  }
}

BOOST_AUTO_TEST_CASE(png_grey_of_one_bit) {
  const edit::Image image = edit::decode_image(png_file(9, 1, 1, PNG_COLOR_TYPE_GRAY, {{0b10110000, 0b10000000}}), "memory");
  const std::vector<float> expected{1, 0, 1, 1, 0, 0, 0, 0, 1};
  for (int x = 0; x < 9; ++x) BOOST_TEST(red(image, x, 0) == expected[static_cast<std::size_t>(x)]);
}

BOOST_AUTO_TEST_CASE(png_palette_with_transparency) {
  const Bytes file = png_file(3, 1, 8, PNG_COLOR_TYPE_PALETTE, {{0, 1, 2}}, false, [](png_structp png, png_infop info) {
    const png_color colours[] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}};
    const png_byte alpha[] = {255, 0, 51};
    png_set_PLTE(png, info, colours, 3);
    png_set_tRNS(png, info, alpha, 3, nullptr);
  });
  const edit::Image image = edit::decode_image(file, "memory");
  const std::vector<float> expected{1, 0, 0, 1, 1, 1, .8f, .8f, 1};  // opaque red, white, blue at one fifth on white
  for (std::size_t i = 0; i < 9; ++i) BOOST_TEST(std::abs(image.rgb[i] - expected[i]) < 1e-6f);
}

BOOST_AUTO_TEST_CASE(png_alpha_lies_on_white) {
  const Bytes grey = png_file(2, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, {{0, 102, 100, 255}});
  const edit::Image image = edit::decode_image(grey, "memory");
  BOOST_TEST(std::abs(red(image, 0, 0) - .6f) < 1e-6f);
  BOOST_TEST(red(image, 1, 0) == 100 / 255.0f);
  const Bytes colour = png_file(1, 1, 16, PNG_COLOR_TYPE_RGB_ALPHA, {{0, 0, 0x80, 0, 0xff, 0xff, 0x40, 0}});
  const edit::Image pixel = edit::decode_image(colour, "memory");
  const float alpha = 0x4000 / 65535.0f;
  BOOST_TEST(std::abs(pixel.rgb[0] - (1 - alpha)) < 1e-6f);
  BOOST_TEST(std::abs(pixel.rgb[1] - (0x8000 / 65535.0f * alpha + 1 - alpha)) < 1e-6f);
  BOOST_TEST(std::abs(pixel.rgb[2] - 1) < 1e-6f);
}

BOOST_AUTO_TEST_CASE(png_interlaced_equals_plain) {
  const edit::Image image = noisy_image(13, 11);
  const std::vector<unsigned char> samples = samples_of(image);
  std::vector<std::vector<unsigned char>> rows;
  for (std::ptrdiff_t y = 0; y < 11; ++y) rows.emplace_back(samples.begin() + y * 39, samples.begin() + (y + 1) * 39);
  BOOST_TEST((edit::decode_image(png_file(13, 11, 8, PNG_COLOR_TYPE_RGB, rows, true), "memory") == image));
}

BOOST_AUTO_TEST_CASE(jpeg_grey_and_progressive) {
  const edit::Image grey =
      edit::decode_image(jpeg_file(16, 8, JCS_GRAYSCALE, 1, std::vector<unsigned char>(128, 200)), "memory");
  BOOST_TEST(largest_difference(grey, edit::blank(16, 8, 200 / 255.0f)) < 2 / 255.0);
  const edit::Image image = smooth_image(40, 24);
  const Bytes file = jpeg_file(40, 24, JCS_RGB, 3, samples_of(image), [](jpeg_compress_struct& jpeg) {
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg_simple_progression(&jpeg);
  });
  BOOST_TEST(largest_difference(edit::decode_image(file, "memory"), image) < 8 / 255.0);
  for (const std::size_t cut : {file.size() / 3, file.size() / 2, file.size() - 2})
    BOOST_CHECK_THROW(edit::decode_image(std::span(file).first(cut), "memory"), wu::FileError);
}

BOOST_AUTO_TEST_CASE(jpeg_cmyk_is_refused) {
  const Bytes file = jpeg_file(8, 8, JCS_CMYK, 4, std::vector<unsigned char>(256, 90));
  BOOST_CHECK_EXCEPTION(edit::decode_image(file, "print.jpg"), wu::FileError,
                        says("\"print.jpg\": it is a JPEG file in the printing colours CMYK"));
}

// Four blocks of 16 x 16, so that JPEG keeps them apart: 0 and 1 above, 2 and 3 below; the picture is 48 wide, so that
// swapping the sides shows.
BOOST_AUTO_TEST_CASE(exif_orientation) {
  std::vector<unsigned char> samples;
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 48; ++x) samples.push_back(static_cast<unsigned char>(40 + 60 * (2 * (y / 16) + (x >= 16 ? 1 : 0))));
  const Bytes plain =
      jpeg_file(48, 32, JCS_GRAYSCALE, 1, samples, [](jpeg_compress_struct& jpeg) { jpeg_set_quality(&jpeg, 100, TRUE); });
  // The corners of the upright picture, clockwise from the top left, for orientations 1 to 8 (EXIF 2.3, section 4.6.4.A).
  constexpr int corners[8][4] = {{0, 1, 3, 2}, {1, 0, 2, 3}, {3, 2, 0, 1}, {2, 3, 1, 0},
                                 {0, 2, 3, 1}, {2, 0, 1, 3}, {3, 1, 0, 2}, {1, 3, 2, 0}};
  for (const bool little : {true, false})
    for (int orientation = 1; orientation <= 8; ++orientation) {
      const edit::Image image = edit::decode_image(with_exif(plain, exif_tiff(orientation, little)), "memory");
      BOOST_TEST_CONTEXT("orientation " << orientation) {
        BOOST_TEST(image.width == (orientation <= 4 ? 48 : 32));
        BOOST_TEST(image.height == (orientation <= 4 ? 32 : 48));
        const int right = image.width - 1, bottom = image.height - 1;
        const float found[] = {red(image, 0, 0), red(image, right, 0), red(image, right, bottom), red(image, 0, bottom)};
        for (std::size_t c = 0; c < 4; ++c)
          BOOST_TEST(std::abs(found[c] - static_cast<float>(40 + 60 * corners[orientation - 1][c]) / 255) < .02f);
      }
    }
}

BOOST_AUTO_TEST_CASE(exif_nonsense_is_upright) {
  const edit::Image image = smooth_image(9, 5);
  const Bytes plain = jpeg_file(9, 5, JCS_RGB, 3, samples_of(image));
  const edit::Image expected = edit::decode_image(plain, "memory");
  const std::string good = exif_tiff(6, true);
  std::vector<std::string> nonsense{"", "I", "II*", exif_tiff(0, true), exif_tiff(9, false), "XX" + good.substr(2)};
  for (std::size_t cut = 0; cut < 22; ++cut) nonsense.push_back(good.substr(0, cut));
  std::string far = good;
  far[4] = far[5] = far[6] = far[7] = '\xff';
  nonsense.push_back(far);
  for (const std::string& tiff : nonsense) BOOST_TEST((edit::decode_image(with_exif(plain, tiff), "memory") == expected));
}

BOOST_AUTO_TEST_CASE(exif_in_png) {
  const Bytes file = png_file(2, 1, 8, PNG_COLOR_TYPE_GRAY, {{10, 20}}, false, [](png_structp png, png_infop info) {
    std::string tiff = exif_tiff(6, false);
    png_set_eXIf_1(png, info, static_cast<png_uint_32>(tiff.size()), reinterpret_cast<png_bytep>(tiff.data()));
  });
  const edit::Image image = edit::decode_image(file, "memory");
  BOOST_TEST(image.width == 1);
  BOOST_TEST(image.height == 2);
  BOOST_TEST(red(image, 0, 0) == 10 / 255.0f);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_says_why) {
  const Scratch scratch;
  const auto refused = [&](const std::string& name, const std::string& why) {
    BOOST_TEST_CONTEXT(name) {
      BOOST_CHECK_EXCEPTION(edit::load_image(scratch / name), wu::FileError, says(name));
      BOOST_CHECK_EXCEPTION(edit::load_image(scratch / name), wu::FileError, says(why));
    }
  };
  refused("missing.png", "there is no such file");
  fs::create_directory(scratch / "folder.png");
  refused("folder.png", "it is a folder, not a file");
  write(scratch / "empty.png", {});
  refused("empty.png", "it is empty");
  write(scratch / "text.png", bytes_of("Once upon a time"));
  refused("text.png", "it is neither a PNG nor a JPEG file");
  write(scratch / "a.gif", bytes_of("GIF89a and so on"));
  refused("a.gif", "it is a GIF file; only PNG and JPEG are read");
  write(scratch / "a.webp", bytes_of("RIFF\x10\x20\x30\x40WEBPVP8 "));
  refused("a.webp", "it is a WebP file");
  if (fs::exists("/dev/null")) {
    fs::create_symlink("/dev/null", scratch / "device.png");
    refused("device.png", "it is not a regular file");
  }

  Bytes png = edit::encode_png(noisy_image(20, 20));
  write(scratch / "short.png", Bytes(png.begin(), png.begin() + 300));
  refused("short.png", "it is a damaged or incomplete PNG file");
  Bytes damaged = png;
  damaged[damaged.size() / 2] ^= std::byte{0x10};
  write(scratch / "damaged.png", damaged);
  refused("damaged.png", "it is a damaged or incomplete PNG file");
  edit::save_image(scratch / "whole.jpg", noisy_image(20, 20));
  const Bytes jpeg = edit::read_file(scratch / "whole.jpg");
  write(scratch / "short.jpg", Bytes(jpeg.begin(), jpeg.end() - 200));
  refused("short.jpg", "it is a damaged or incomplete JPEG file");
}

namespace {

// The header of a PNG file that promises width x height pixels and then ends.
Bytes png_header(std::uint32_t width, std::uint32_t height) {
  std::string ihdr = "IHDR";
  for (const std::uint32_t n : {width, height})
    for (int shift = 24; shift >= 0; shift -= 8) ihdr += static_cast<char>(n >> shift & 255);
  ihdr += std::string("\x08\x02\0\0\0", 5);
  std::uint32_t crc = 0xffffffff;
  for (const char c : ihdr) {
    crc ^= static_cast<unsigned char>(c);
    for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  crc = ~crc;
  std::string file = std::string("\x89PNG\r\n\x1a\n\0\0\0\x0d", 12) + ihdr;
  for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(crc >> shift & 255);
  return bytes_of(file + std::string("\0\0\0\x20IDAT", 8) + std::string(36, 'x'));
}

}  // namespace

BOOST_AUTO_TEST_CASE(absurd_dimensions) {
  BOOST_CHECK_EXCEPTION(edit::decode_image(png_header(2000000000, 2000000000), "x"), wu::FileError,
                        says("it says it has 2000000000 x 2000000000 pixels; at most 134217728 are read"));
  BOOST_CHECK_EXCEPTION(edit::decode_image(png_header(10000, 10000), "x"), wu::FileError,
                        says("cannot hold 10000 x 10000 pixels"));
  BOOST_CHECK_THROW(edit::decode_image(png_header(0, 5), "x"), wu::FileError);
  Bytes jpeg = jpeg_file(8, 8, JCS_RGB, 3, std::vector<unsigned char>(192, 90));
  const Bytes marker = bytes_of("\xff\xc0");
  const auto frame = std::search(jpeg.begin(), jpeg.end(), marker.begin(), marker.end());
  BOOST_REQUIRE(frame != jpeg.end());
  std::fill(frame + 5, frame + 9, std::byte{0xf0});  // height and width
  BOOST_CHECK_EXCEPTION(edit::decode_image(jpeg, "x"), wu::FileError, says("it says it has 61680 x 61680 pixels"));
}

BOOST_AUTO_TEST_CASE(every_truncation_is_refused_in_silence) {
  const edit::Image image = noisy_image(9, 7);
  const Scratch scratch;
  edit::save_image(scratch / "a.jpg", image);
  CaughtStderr caught;
  for (const Bytes& file : {edit::encode_png(image), edit::read_file(scratch / "a.jpg")})
    for (std::size_t n = 0; n < file.size(); ++n) {
      const Bytes part(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(n));
      BOOST_CHECK_THROW(edit::decode_image(part, "memory"), wu::FileError);
    }
  BOOST_TEST(caught.size() == 0);
}

BOOST_AUTO_TEST_CASE(damage_is_refused_or_survived) {
  const edit::Image image = noisy_image(24, 18);
  const std::vector<unsigned char> samples = samples_of(image);
  const Bytes progressive =
      jpeg_file(24, 18, JCS_RGB, 3, samples, [](jpeg_compress_struct& jpeg) { jpeg_simple_progression(&jpeg); });
  const Bytes baseline = with_exif(jpeg_file(24, 18, JCS_RGB, 3, samples), exif_tiff(6, true));
  wu::Random random(3, "damage");
  CaughtStderr caught;
  int refused = 0;
  for (const Bytes& file : {edit::encode_png(image), baseline, progressive})
    for (int round = 0; round < 1500; ++round) {
      Bytes damaged = file;
      const std::uint32_t hits = 1 + random.below(3);
      for (std::uint32_t h = 0; h < hits; ++h)
        damaged[random.below(static_cast<std::uint32_t>(damaged.size()))] = static_cast<std::byte>(random.below(256));
      try {
        edit::check(edit::decode_image(damaged, "memory"));
      } catch (const wu::FileError&) { ++refused; }
    }
  BOOST_TEST(refused > 1500);  // at least every PNG that was hit, which has check sums
  BOOST_TEST(caught.size() == 0);
}

BOOST_AUTO_TEST_CASE(a_failed_save_leaves_the_old_file) {
  const Scratch scratch;
  const edit::Image old = noisy_image(6, 6);
  for (const char* name : {"a.png", "a.jpg"}) {
    edit::save_image(scratch / name, old);
    const Bytes before = edit::read_file(scratch / name);

    edit::Image broken = noisy_image(40, 40, 1);
    broken.rgb[100] = std::numeric_limits<float>::quiet_NaN();
    BOOST_CHECK_EXCEPTION(edit::save_image(scratch / name, broken), wu::NonFiniteError, says("column 33, row 0, channel 1"));
    broken.rgb.pop_back();
    BOOST_CHECK_THROW(edit::save_image(scratch / name, broken), wu::ShapeError);

    // A disk that is full after 512 bytes.
    struct rlimit kept{};
    BOOST_REQUIRE(getrlimit(RLIMIT_FSIZE, &kept) == 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    struct rlimit full = kept;
    full.rlim_cur = 512;
    BOOST_REQUIRE(setrlimit(RLIMIT_FSIZE, &full) == 0);
    std::string sentence;
    try {
      edit::save_image(scratch / name, noisy_image(40, 40, 2));
    } catch (const wu::FileError& error) { sentence = error.what(); }
    setrlimit(RLIMIT_FSIZE, &kept);
    std::signal(SIGXFSZ, handler);
    BOOST_TEST(sentence.find("could not save") != std::string::npos);
    BOOST_TEST(sentence.find(name) != std::string::npos);
    BOOST_TEST((edit::read_file(scratch / name) == before));
  }
  BOOST_TEST(scratch.entries() == 2);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_written_says_why) {
  const Scratch scratch;
  const edit::Image image = noisy_image(3, 3);
  BOOST_CHECK_EXCEPTION(edit::save_image(scratch / "a.gif", image), wu::FileError,
                        says("the name must end in .png, .jpg or .jpeg"));
  BOOST_CHECK_EXCEPTION(edit::save_image(scratch / "none" / "a.png", image), wu::FileError, says("could not save"));
  fs::create_directory(scratch / "b.png");
  BOOST_CHECK_EXCEPTION(edit::save_image(scratch / "b.png", image), wu::FileError, says("b.png"));
  BOOST_CHECK_EXCEPTION(edit::save_image(scratch / "wide.jpg", edit::blank(70000, 1)), wu::FileError,
                        says("cannot encode a picture as JPEG"));
  BOOST_CHECK_THROW(edit::save_image(scratch / "c.png", edit::Image{}), wu::ShapeError);
  BOOST_TEST(scratch.entries() == 1);
}

BOOST_AUTO_TEST_CASE(resizing_keeps_flat_pictures_and_sizes) {
  for (const auto& [from, to] : {std::pair{std::pair{1, 1}, std::pair{9, 4}},
                                 {{64, 48}, {1, 1}},
                                 {{50, 30}, {25, 60}},
                                 {{7, 7}, {7, 7}},
                                 {{300, 2}, {3, 200}}}) {
    const edit::Image image = edit::resize(edit::blank(from.first, from.second, .4f), to.first, to.second);
    BOOST_TEST(image.width == to.first);
    BOOST_TEST(image.height == to.second);
    BOOST_TEST(largest_difference(image, edit::blank(to.first, to.second, .4f)) < 1e-5);
  }
  const edit::Image noisy = edit::resize(noisy_image(31, 17), 77, 5);
  for (const float v : noisy.rgb) BOOST_TEST((v >= 0 && v <= 1));
  BOOST_CHECK_THROW(edit::resize(noisy, 0, 3), wu::ShapeError);
  BOOST_CHECK_THROW(edit::resize(edit::Image{}, 3, 3), wu::ShapeError);
}

// Black and white lines, side by side, seen from afar: half the light, which is sRGB 0.735.
BOOST_AUTO_TEST_CASE(shrinking_averages_light) {
  edit::Image lines = edit::blank(64, 64);
  for (int y = 0; y < 64; ++y)
    for (int x = 1; x < 64; x += 2)
      for (int c = 0; c < 3; ++c) lines.rgb[lines.at(x, y, c)] = 1;
  const edit::Image image = edit::resize(lines, 8, 8);
  BOOST_TEST(std::abs(red(image, 4, 4) - .7354f) < .01f);
}

BOOST_AUTO_TEST_CASE(cropping) {
  const edit::Image image = noisy_image(9, 7);
  const edit::Image part = edit::crop(image, 2, 3, 5, 4);
  BOOST_TEST(part.width == 5);
  BOOST_TEST(part.height == 4);
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 5; ++x)
      for (int c = 0; c < 3; ++c) BOOST_TEST(part.rgb[part.at(x, y, c)] == image.rgb[image.at(x + 2, y + 3, c)]);
  BOOST_TEST((edit::crop(image, 0, 0, 9, 7) == image));
  BOOST_CHECK_EXCEPTION(edit::crop(image, 5, 0, 5, 1), wu::ShapeError,
                        says("cannot crop 5 x 1 pixels at (5, 0) from a picture of 9 x 7"));
  BOOST_CHECK_THROW(edit::crop(image, -1, 0, 2, 2), wu::ShapeError);
  BOOST_CHECK_THROW(edit::crop(image, 0, 0, 0, 2), wu::ShapeError);
  BOOST_CHECK_THROW(edit::crop(image, 2, 2, std::numeric_limits<int>::max(), 1), wu::ShapeError);
}

BOOST_AUTO_TEST_CASE(listing_a_folder) {
  const Scratch scratch;
  BOOST_CHECK_EXCEPTION(edit::list_images(scratch / "none"), wu::FileError, says("there is no such folder"));
  BOOST_CHECK_EXCEPTION(edit::list_images(scratch.folder), wu::FileError, says("it holds no .png, .jpg or .jpeg file"));
  for (const char* name : {"b.JPG", "a.png", "c.jpeg", "d.txt", "png", ".hidden.png", "B.Png"})
    write(scratch / name, bytes_of("x"));
  fs::create_directory(scratch / "folder.png");
  std::vector<std::string> found;
  for (const fs::path& file : edit::list_images(scratch.folder)) found.push_back(file.filename().string());
  BOOST_TEST(found == (std::vector<std::string>{"B.Png", "a.png", "b.JPG", "c.jpeg"}), boost::test_tools::per_element());
  BOOST_CHECK_EXCEPTION(edit::list_images(scratch / "a.png"), wu::FileError, says("it is not a folder"));
}

BOOST_AUTO_TEST_SUITE_END()
