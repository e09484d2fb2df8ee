// Tensors through files: every element type there and back, bytes that do not depend on the order of the input, and failures
// that change nothing.
#include <boost/test/unit_test.hpp>

#include <sys/resource.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <limits>
#include <locale>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"
#include "wu/core/random.hpp"
#include "wu/io/safetensors.hpp"

using namespace wu::io;
using wu::bfloat16;
using wu::test::as_bytes;
using wu::test::file_bytes;
using wu::test::Folder;
using wu::test::read_text;

namespace {

using Shape = std::vector<std::int64_t>;
constexpr float infinity = std::numeric_limits<float>::infinity();

/// One tensor "a" of that type with those bytes, behind a header that leaves it `offset` bytes off an 8-byte boundary.
std::string one_tensor(DType dtype, const Shape& shape, const void* data, std::size_t size, std::size_t offset = 0) {
  std::string header = format_header({{"a", dtype, shape, 0, size}}, {});
  header.append(offset, ' ');
  std::string bytes = file_bytes(header, size);
  if (size > 0) std::memcpy(bytes.data() + bytes.size() - size, data, size);
  return bytes;
}

template <class T, class S>
std::vector<T> read_as(DType dtype, const std::vector<S>& stored, std::size_t offset = 0) {
  const std::string bytes =
      one_tensor(dtype, {static_cast<std::int64_t>(stored.size())}, stored.data(), stored.size() * sizeof(S), offset);
  const SafeTensors file = SafeTensors::from_bytes(as_bytes(bytes), "x.safetensors");
  std::vector<T> values(stored.size());
  read_into(file.at("a"), values);
  return values;
}

template <class S>
void check_integers(const std::vector<S>& stored) {
  for (std::size_t offset = 0; offset < 8; ++offset) {
    const auto f = read_as<float>(dtype_of<S>(), stored, offset);
    const auto d = read_as<double>(dtype_of<S>(), stored, offset);
    const auto b = read_as<bfloat16>(dtype_of<S>(), stored, offset);
    const auto same = read_as<S>(dtype_of<S>(), stored, offset);
    for (std::size_t k = 0; k < stored.size(); ++k) {
      BOOST_TEST(f[k] == static_cast<float>(stored[k]));
      BOOST_TEST(d[k] == static_cast<double>(stored[k]));
      BOOST_TEST(b[k].bits == bfloat16(static_cast<float>(stored[k])).bits);
      BOOST_TEST(same[k] == stored[k]);
    }
  }
}

template <class S>
std::vector<S> extremes() {
  using Limits = std::numeric_limits<S>;
  return {S{0}, S{1}, S{7}, static_cast<S>(Limits::max() / 3), Limits::max(), Limits::min()};
}

/// The value of an IEEE binary16, by definition.
double half_value(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction == 0 ? sign * infinity : std::nan("");
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(safetensors)

BOOST_AUTO_TEST_CASE(integers_of_every_size) {
  check_integers(extremes<std::int8_t>());
  check_integers(extremes<std::uint8_t>());
  check_integers(extremes<std::int16_t>());
  check_integers(extremes<std::uint16_t>());
  check_integers(extremes<std::int32_t>());
  check_integers(extremes<std::uint32_t>());
  check_integers(extremes<std::int64_t>());
  check_integers(extremes<std::uint64_t>());
}

BOOST_AUTO_TEST_CASE(floats_misaligned) {
  const std::vector<float> f{0.f, -0.f, 1.f / 3, -1e-42f, 3e38f, infinity, -infinity};
  const std::vector<double> d{0., 1. / 3, -1e-310, 1e30, 16777217., HUGE_VAL};
  for (std::size_t offset = 0; offset < 8; ++offset) {
    BOOST_TEST(read_as<float>(DType::F32, f, offset) == f, boost::test_tools::per_element());
    BOOST_TEST(read_as<double>(DType::F64, d, offset) == d, boost::test_tools::per_element());
    const auto wide = read_as<double>(DType::F32, f, offset);
    const auto narrow = read_as<float>(DType::F64, d, offset);
    for (std::size_t k = 0; k < f.size(); ++k) BOOST_TEST(wide[k] == static_cast<double>(f[k]));
    for (std::size_t k = 0; k < d.size(); ++k) BOOST_TEST(narrow[k] == static_cast<float>(d[k]));
    BOOST_TEST(std::signbit(wide[1]));
  }
}

BOOST_AUTO_TEST_CASE(bfloat16_rounds_to_the_nearest_even) {
  const std::vector<float> f{1.f, 1.00390625f, 1.01171875f, 1.003906369f, -1.00390625f, 1e-40f, infinity};
  const std::vector<std::uint16_t> expected{0x3F80, 0x3F80, 0x3F82, 0x3F81, 0xBF80, 0x0001, 0x7F80};
  const auto b = read_as<bfloat16>(DType::F32, f);
  for (std::size_t k = 0; k < f.size(); ++k) BOOST_TEST(b[k].bits == expected[k]);
  BOOST_TEST(std::isnan(static_cast<float>(read_as<bfloat16>(DType::F32, std::vector<float>{std::nanf("")})[0])));

  std::vector<std::uint16_t> all(65536);
  for (std::size_t k = 0; k < all.size(); ++k) all[k] = static_cast<std::uint16_t>(k);
  const auto same = read_as<bfloat16>(DType::BF16, all, 1);
  const auto wide = read_as<float>(DType::BF16, all, 1);
  for (std::size_t k = 0; k < all.size(); ++k) {
    BOOST_REQUIRE_EQUAL(same[k].bits, all[k]);
    BOOST_REQUIRE_EQUAL(std::bit_cast<std::uint32_t>(wide[k]), std::uint32_t{all[k]} << 16);
  }
}

BOOST_AUTO_TEST_CASE(every_half_there_and_back) {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t k = 0; k < all.size(); ++k) all[k] = static_cast<std::uint16_t>(k);
  const auto f = read_as<float>(DType::F16, all, 3);
  const auto d = read_as<double>(DType::F16, all, 3);
  const TensorToSave back = tensor_to_save_as(DType::F16, "a", {65536}, f);
  for (std::size_t k = 0; k < all.size(); ++k) {
    const double expected = half_value(all[k]);
    std::uint16_t again;
    std::memcpy(&again, back.bytes.data() + 2 * k, 2);
    if (std::isnan(expected)) {
      BOOST_REQUIRE(std::isnan(f[k]) && std::isnan(d[k]) && std::isnan(half_value(again)));
    } else {
      BOOST_REQUIRE_EQUAL(f[k], expected);
      BOOST_REQUIRE_EQUAL(d[k], expected);
      BOOST_REQUIRE_EQUAL(std::signbit(f[k]), (all[k] & 0x8000) != 0);
      BOOST_REQUIRE_EQUAL(again, all[k]);
    }
  }
}

BOOST_AUTO_TEST_CASE(halves_round_to_the_nearest_even) {
  // Between two neighbours, subnormal ones too: below the middle down, above it up, in the middle to the even one.
  for (std::uint16_t k = 0; k < 0x7BFF; ++k) {
    const auto low = static_cast<float>(half_value(k)),
               high = static_cast<float>(half_value(static_cast<std::uint16_t>(k + 1)));
    const float middle = low + (high - low) / 2;
    const std::uint16_t up = static_cast<std::uint16_t>(k + 1);
    BOOST_REQUIRE_EQUAL(detail::to_half(middle).bits, k % 2 == 0 ? k : up);
    BOOST_REQUIRE_EQUAL(detail::to_half(std::nextafter(middle, 0.f)).bits, k);
    BOOST_REQUIRE_EQUAL(detail::to_half(std::nextafter(middle, infinity)).bits, up);
    BOOST_REQUIRE_EQUAL(detail::to_half(-middle).bits, 0x8000 | (k % 2 == 0 ? k : up));
  }
  BOOST_TEST(detail::to_half(65519.9f).bits == 0x7BFF);
  BOOST_TEST(detail::to_half(65520.f).bits == 0x7C00);
  BOOST_TEST(detail::to_half(-infinity).bits == 0xFC00);
  BOOST_TEST(detail::to_half(1e-30f).bits == 0);
}

BOOST_AUTO_TEST_CASE(eight_bit_floats) {
  std::vector<std::uint8_t> all(256);
  for (std::size_t k = 0; k < all.size(); ++k) all[k] = static_cast<std::uint8_t>(k);
  const auto f = read_as<float>(DType::F8_E4M3, all);
  for (std::size_t k = 0; k < 256; ++k) {
    const int exponent = static_cast<int>(k) >> 3 & 15, fraction = static_cast<int>(k) & 7;
    const double magnitude = exponent == 0 ? std::ldexp(fraction, -9) : std::ldexp(8 + fraction, exponent - 10);
    if ((k & 0x7F) == 0x7F) BOOST_CHECK(std::isnan(f[k]));
    else BOOST_TEST(f[k] == (k & 0x80 ? -magnitude : magnitude));
  }
  BOOST_TEST(f[0x7E] == 448.f);
  BOOST_TEST(f[0x01] == 0x1p-9f);
  BOOST_TEST(std::signbit(f[0x80]));
}

BOOST_AUTO_TEST_CASE(what_has_no_conversion_is_refused_but_readable) {
  for (const DType dtype : {DType::BOOL, DType::F8_E5M2, DType::F8_E8M0, DType::F8_E4M3FNUZ, DType::F8_E5M2FNUZ, DType::C64,
                            DType::F4, DType::F6_E2M3, DType::F6_E3M2}) {
    const std::string data(static_cast<std::size_t>(bits_of(dtype)), 'x');
    const std::string bytes = one_tensor(dtype, {8}, data.data(), data.size());
    const SafeTensors file = SafeTensors::from_bytes(as_bytes(bytes), "x.safetensors");
    BOOST_TEST(file.at("a").bytes.size() == data.size());
    BOOST_TEST(file.at("a").count() == 8);
    std::vector<float> out(8, 5.f);
    WU_CHECK_FILE_ERROR(read_into(file.at("a"), out),
                        "tensor \"a\": expected a type that can become F32, found " + std::string(name_of(dtype)));
    BOOST_TEST(out == std::vector<float>(8, 5.f));
  }
  WU_CHECK_FILE_ERROR(read_as<std::int32_t>(DType::F32, std::vector<float>{1}),
                      "expected a type that can become I32, found F32");
  WU_CHECK_FILE_ERROR(read_as<std::int64_t>(DType::I32, std::vector<std::int32_t>{1}),
                      "expected a type that can become I64, found I32");
}

BOOST_AUTO_TEST_CASE(counts_and_ranges_are_checked) {
  const std::vector<float> data{1, 2, 3, 4, 5, 6};
  const std::string bytes = one_tensor(DType::F32, {2, 3}, data.data(), 24);
  const SafeTensors file = SafeTensors::from_bytes(as_bytes(bytes), "x.safetensors");
  std::vector<float> five(5), seven(7);
  WU_CHECK_FILE_ERROR(read_into(file.at("a"), five),
                      "\"x.safetensors\": tensor \"a\": expected 5 values, found 6 in shape [2, 3]");
  WU_CHECK_FILE_ERROR(read_into(file.at("a"), seven), "expected 7 values, found 6");
  WU_CHECK_FILE_ERROR(file.at("b"), "\"x.safetensors\": expected the tensor \"b\", found none of that name among 1");
  BOOST_TEST(file.find("b") == nullptr);

  WU_CHECK_FILE_ERROR(read_as<float>(DType::F64, (std::vector<double>{0, 1e39})),
                      "expected values that F32 can hold, found one beyond its range at [1]");
  WU_CHECK_FILE_ERROR(read_as<bfloat16>(DType::F64, (std::vector<double>{-1e39})), "expected values that BF16 can hold");
  WU_CHECK_FILE_ERROR(read_as<bfloat16>(DType::F32, (std::vector<float>{std::numeric_limits<float>::max()})),
                      "expected values that BF16 can hold");
  const double largest = std::numeric_limits<float>::max(), over = 0x1.ffffffp127;
  BOOST_TEST(read_as<float>(DType::F64, std::vector<double>{std::nextafter(over, 0)})[0] == largest);
  WU_CHECK_FILE_ERROR(read_as<float>(DType::F64, std::vector<double>{over}), "beyond its range");
  BOOST_TEST(read_as<float>(DType::F64, std::vector<double>{-HUGE_VAL})[0] == -infinity);
  BOOST_TEST(std::isnan(read_as<float>(DType::F64, std::vector<double>{std::nan("")})[0]));
}

BOOST_AUTO_TEST_CASE(a_scalar_has_one_value) {
  const float alpha = 8;
  const std::string bytes = one_tensor(DType::F32, {}, &alpha, 4);
  const SafeTensors file = SafeTensors::from_bytes(as_bytes(bytes), "x.safetensors");
  BOOST_TEST(file.at("a").count() == 1);
  double value = 0;
  read_into(file.at("a"), std::span(&value, 1));
  BOOST_TEST(value == 8);
}

BOOST_AUTO_TEST_CASE(saved_and_loaded) {
  const Folder folder;
  const std::string path = folder / "f.safetensors";
  const std::vector<float> f{1, 2, 3, 4, 5, 6};
  const std::vector<double> d{1. / 3};
  const std::vector<bfloat16> b{bfloat16(1.5f), bfloat16(-2.f), bfloat16(3.f)};
  const std::vector<std::int64_t> i{-1, std::int64_t{1} << 40};
  const std::vector<std::uint8_t> u{1, 2, 3};
  const bool flags[] = {true, false};
  const std::vector<float> none;
  const std::string strange = "../\"\\\n\x01\xE5\xB1\x82", packed = "\x12\x34\x56";
  save_safetensors(
      path,
      {tensor_to_save("f", {2, 3}, f), tensor_to_save("d", {}, d), tensor_to_save("b", {3, 1}, b),
       tensor_to_save("i", {2}, i), tensor_to_save(strange, {3}, u), tensor_to_save("flags", {2}, std::span(flags)),
       tensor_to_save("none", {4, 0}, none), TensorToSave{"packed", DType::F4, {2, 3}, as_bytes(packed)},
       tensor_to_save_as(DType::BF16, "half f", {6}, f)},
      {{"note", "quotes \" and \\ and \x02"}});
  for (const Access access : {Access::map, Access::copy}) {
    SafeTensors opened = SafeTensors::open(path, {.access = access});
    const SafeTensors file = std::move(opened);
    BOOST_TEST(file.file() == path);
    // Widest type first as the reference does: I64, F64, F32 by name, BF16, U8, F4, BOOL.
    BOOST_TEST((file.names() == std::vector<std::string>{"i", "d", "f", "none", "b", "half f", strange, "packed", "flags"}));
    BOOST_TEST((file.metadata() == Metadata{{"format", "pt"}, {"note", "quotes \" and \\ and \x02"}}));
    BOOST_TEST((file.at("f").shape == Shape{2, 3}));
    BOOST_TEST((file.at("none").shape == Shape{4, 0}));
    BOOST_TEST((file.at("d").shape == Shape{}));
    std::vector<float> f2(6), half(6);
    std::vector<double> d2(1);
    std::vector<bfloat16> b2(3);
    std::vector<std::int64_t> i2(2);
    std::vector<std::uint8_t> u2(3);
    read_into(file.at("f"), f2);
    read_into(file.at("half f"), half);
    read_into(file.at("d"), d2);
    read_into(file.at("b"), b2);
    read_into(file.at("i"), i2);
    read_into(file.at(strange), u2);
    BOOST_TEST(f2 == f);
    BOOST_TEST(half == f);
    BOOST_TEST(d2 == d);
    BOOST_TEST(i2 == i);
    BOOST_TEST(u2 == u);
    for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(b2[k].bits == b[k].bits);
    BOOST_TEST(std::memcmp(file.at("packed").bytes.data(), packed.data(), 3) == 0);
    BOOST_TEST((file.at("flags").bytes[0] == std::byte{1} && file.at("flags").bytes[1] == std::byte{0}));
    const std::string whole = read_text(path);
    BOOST_TEST(static_cast<unsigned char>(whole[0]) % 8 == 0);
  }
  BOOST_TEST(folder.list() == std::vector<std::string>{"f.safetensors"});
}

BOOST_AUTO_TEST_CASE(the_bytes_are_the_reference_writers) {
  const Folder folder;
  const std::vector<float> one{1.f};
  const std::vector<std::int64_t> two{2};
  save_safetensors(folder / "f", {tensor_to_save("b", {1}, one), tensor_to_save("a\xC3\xBC\"", {1, 1}, one),
                                  tensor_to_save("z", {}, two)});
  const std::string header =
      "{\"__metadata__\":{\"format\":\"pt\"},\"z\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
      "\"a\xC3\xBC\\\"\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[8,12]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
      "\"data_offsets\":[12,16]}}";
  std::string expected = file_bytes(header + std::string((8 - header.size() % 8) % 8, ' '), 0);
  expected += std::string("\2\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\x80\x3f", 16);
  BOOST_TEST(read_text(folder / "f") == expected);
}

BOOST_AUTO_TEST_CASE(equal_input_gives_equal_bytes) {
  const Folder folder;
  const std::vector<float> f{1, 2, 3, 4};
  const std::vector<bfloat16> b(4);
  std::vector<TensorToSave> tensors{tensor_to_save("f", {4}, f), tensor_to_save("a.10", {2, 2}, f),
                                    tensor_to_save("a.9", {4}, f), tensor_to_save("b", {4}, b)};
  save_safetensors(folder / "first", tensors, {{"b", "2"}, {"a", "1"}});
  std::swap(tensors[0], tensors[3]);
  std::swap(tensors[1], tensors[2]);
  save_safetensors(folder / "second", tensors, {{"a", "1"}, {"format", "pt"}, {"b", "2"}});
  BOOST_TEST(read_text(folder / "first") == read_text(folder / "second"));
  // And what is read and saved again is the same file.
  const SafeTensors file = SafeTensors::open(folder / "first");
  std::vector<TensorToSave> again;
  for (const auto& tensor : file.tensors()) again.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
  save_safetensors(folder / "third", again, file.metadata());
  BOOST_TEST(read_text(folder / "third") == read_text(folder / "first"));
  save_safetensors(folder / "first", again, file.metadata());  // over the file that is mapped
  BOOST_TEST(read_text(folder / "third") == read_text(folder / "first"));
}

BOOST_AUTO_TEST_CASE(nothing_but_metadata) {
  const Folder folder;
  save_safetensors(folder / "f", {});
  const SafeTensors file = SafeTensors::open(folder / "f");
  BOOST_TEST(file.tensors().empty());
  BOOST_TEST((file.metadata() == Metadata{{"format", "pt"}}));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_saved_is_said_before_the_disk_is_touched) {
  const Folder folder;
  const std::string path = folder / "f";
  wu::test::write_text(path, "before");
  const std::vector<float> f{1, 2, 3, 4};
  const auto save = [&](std::vector<TensorToSave> tensors, Metadata metadata = {}) {
    save_safetensors(path, std::move(tensors), std::move(metadata));
  };
  WU_CHECK_FILE_ERROR(
      save({tensor_to_save("a", {3}, f)}),
      "could not save \"" + path + "\": tensor \"a\": expected as many bytes as F32 [3] takes (12), found 16");
  WU_CHECK_FILE_ERROR(save({tensor_to_save("a", {-4}, f)}), "expected as many bytes as F32 [-4] takes, found 16");
  WU_CHECK_FILE_ERROR(save({tensor_to_save("a", {std::int64_t{1} << 62, 0}, f)}), "found 16");
  WU_CHECK_FILE_ERROR(save({tensor_to_save("a", {4}, f), tensor_to_save("a", {2, 2}, f)}),
                      "expected each name once, found it twice");
  WU_CHECK_FILE_ERROR(save({tensor_to_save("a", {4}, f), tensor_to_save_as(DType::BF16, "a", {4}, f)}),
                      "expected each name once, found it twice");
  WU_CHECK_FILE_ERROR(save({tensor_to_save("__metadata__", {4}, f)}), "this one is reserved");
  WU_CHECK_FILE_ERROR(save({tensor_to_save("a\xff", {4}, f)}), "tensor \"a\\xff\": expected a name in UTF-8");
  WU_CHECK_FILE_ERROR(save({tensor_to_save("a", Shape(17, 1), std::span(f).first(1))}),
                      "expected at most 16 axes, found 17");
  WU_CHECK_FILE_ERROR(save({}, {{"a", "\xc0\xaf"}}), "expected UTF-8 in the metadata \"a\"");
  WU_CHECK_FILE_ERROR(save({}, {{"format", "np"}}), "expected the metadata \"format\" to be \"pt\", found \"np\"");
  WU_CHECK_FILE_ERROR(tensor_to_save_as(DType::F16, "a", {2}, std::vector<float>{1, 65520}),
                      "tensor \"a\": expected values that F16 can hold, found one beyond its range at position 1");
  WU_CHECK_FILE_ERROR(tensor_to_save_as(DType::I8, "a", {4}, f), "expected F64, F32, BF16 or F16 to save as, found I8");
  BOOST_TEST(read_text(path) == "before");
  BOOST_TEST(folder.list() == std::vector<std::string>{"f"});
}

BOOST_AUTO_TEST_CASE(a_failed_save_leaves_the_file_that_was_there) {
  const Folder folder;
  const std::string path = folder / "f.safetensors";
  const std::vector<float> small{1, 2}, large(10000, 1.f);
  save_safetensors(path, {tensor_to_save("a", {2}, small)});
  const std::string before = read_text(path);
  std::string what;
  {
    rlimit old{};
    ::getrlimit(RLIMIT_FSIZE, &old);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit = old;
    limit.rlim_cur = 4096;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    what = wu::test::error_of([&] { save_safetensors(path, {tensor_to_save("a", {10000}, large)}); });
    ::setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, handler);
  }
  BOOST_TEST(wu::test::contains(what, "could not save \"" + path + "\": File too large"), what);
  BOOST_TEST(read_text(path) == before);
  BOOST_TEST(folder.list() == std::vector<std::string>{"f.safetensors"});
  WU_CHECK_FILE_ERROR(save_safetensors(folder / "no/f", {}), "No such file or directory");
  WU_CHECK_FILE_ERROR(save_safetensors(folder.path(), {}), "found a folder");
  WU_CHECK_FILE_ERROR(SafeTensors::open(folder / "g"), "could not open");
}

BOOST_AUTO_TEST_CASE(numbers_do_not_follow_the_locale) {
  struct Grouped : std::numpunct<char> {
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  const Folder folder;
  const std::vector<float> f(5000);
  const std::locale old = std::locale::global(std::locale(std::locale::classic(), new Grouped));
  const std::string what = wu::test::error_of([&] { save_safetensors(folder / "f", {tensor_to_save("a", {5000}, f)}); });
  std::locale::global(old);
  BOOST_TEST(what == "");
  BOOST_TEST(SafeTensors::open(folder / "f").at("a").count() == 5000);
}

BOOST_AUTO_TEST_SUITE_END()
