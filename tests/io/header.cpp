// What a safetensors header may say, and what it may not.
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "support.hpp"
#include "wu/core/random.hpp"
#include "wu/io/safetensors.hpp"

using namespace wu::io;
using wu::test::as_bytes;
using wu::test::file_bytes;

namespace {

/// Opens bytes; the result views them.
SafeTensors open(const std::string& bytes, const ReadOptions& options = {}) {
  return SafeTensors::from_bytes(as_bytes(bytes), "x.safetensors", options);
}

std::string u64(std::uint64_t value) {
  std::string out(8, '\0');
  std::memcpy(out.data(), &value, 8);
  return out;
}

/// One member of a header, each part as given.
std::string entry(const std::string& name, const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

struct Broken {
  std::string bytes, phrase;
};

/// Every kind of broken file, with what the error says about it.
std::vector<Broken> broken_files() {
  const auto file = file_bytes;
  const std::string a4 = entry("a", "U8", "[4]", "[0,4]");
  const auto with_entry = [&](const std::string& members, std::size_t data = 4) {
    return file("{\"a\":{" + members + "}}", data);
  };
  std::vector<Broken> all{
      // the length and the file's size
      {"", "at least 8 bytes, found 0"},
      {"1234567", "at least 8 bytes, found 7"},
      {u64(~std::uint64_t{0}) + "{}", "at most 100000000 bytes, found 18446744073709551615"},
      {u64(std::uint64_t{1} << 63) + "{}", "at most 100000000 bytes"},
      {u64(100'000'001) + "{}", "at most 100000000 bytes, found 100000001"},
      {u64(10) + "{}", "expected a header of 10 bytes, found 2"},  // N is the size of the whole file
      {u64(3) + "{}", "expected a header of 3 bytes, found 2"},
      {u64(0), "expected '{' at byte 0 of the header, found the end of the header"},
      {u64(1) + "{}", "expected a tensor's name in double quotes at byte 1 of the header, found the end of the header"},
      // the JSON text
      {file("", 4), "expected '{' at byte 0"},
      {file(" {}", 0), "expected '{' at byte 0"},
      {file("\xEF\xBB\xBF{}", 0), "expected '{' at byte 0"},
      {file("[]", 0), "expected '{' at byte 0"},
      {file("null", 0), "expected '{' at byte 0"},
      {file("{", 0), "found the end of the header"},
      {file("{}x", 0), "nothing but white space after the object at byte 2 of the header, found \"x\""},
      {file("{}{}", 0), "nothing but white space after the object"},
      {file(std::string("{}\0", 3), 0),
       "nothing but white space after the object at byte 2 of the header, found \"\\u{0000}\""},
      {file("{},", 0), "nothing but white space after the object"},
      {file("{," + a4 + "}", 4), "expected a tensor's name in double quotes"},
      {file("{" + a4 + ",}", 4), "expected a tensor's name in double quotes"},
      {file("{" + a4 + " " + entry("b", "U8", "[0]", "[4,4]") + "}", 4), "expected ',' or '}'"},
      {file("{a:1}", 0), "expected a tensor's name in double quotes"},
      {file("{'a':1}", 0), "expected a tensor's name in double quotes"},
      {file("{\"a\"}", 0), "expected ':' after a name"},
      {file("{\"a", 0), "expected the end of a string"},
      {file("{/**/}", 0), "expected a tensor's name"},
      {file("{" + entry("a\nb", "U8", "[4]", "[0,4]") + "}", 4), "no bare control character in a string"},
      {file("{" + entry("a\\x", "U8", "[4]", "[0,4]") + "}", 4), "after a backslash"},
      {file("{" + entry("\\u00g0", "U8", "[4]", "[0,4]") + "}", 4), "four hexadecimal digits"},
      {file("{\"\\u12", 0), "four hexadecimal digits"},
      {file("{" + entry("\\ud800", "U8", "[4]", "[0,4]") + "}", 4), "expected surrogates in pairs"},
      {file("{" + entry("\\udc00\\ud800", "U8", "[4]", "[0,4]") + "}", 4), "expected surrogates in pairs"},
      {file("{" + entry("\\ud800\\u0041", "U8", "[4]", "[0,4]") + "}", 4), "expected surrogates in pairs"},
      {file("{\"a\":" + std::string(10000, '[') + std::string(10000, ']') + "}", 0), "tensor \"a\": expected an object"},
      {file("{\"a\":{\"x\":" + std::string(10000, '[') + std::string(10000, ']') + "}}", 0), "at most 3 levels"},
      {file("{\"__metadata__\":" + std::string(10000, '[') + "}", 0), "expected an object or null as \"__metadata__\""},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":{\"y\":{}}"), "at most 3 levels"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":[[]]"), "at most 3 levels"},
      // names
      {file("{" + a4 + "," + a4 + "}", 4), "expected each name once, found \"a\" twice"},
      {file("{" + a4 + "," + entry("\\u0061", "U8", "[0]", "[4,4]") + "}", 4), "expected each name once, found \"a\" twice"},
      {file("{\"__metadata__\":{},\"__metadata__\":{}}", 0), "found \"__metadata__\" twice"},
      {file("{\"__metadata__\":{\"k\":\"1\",\"k\":\"1\"}}", 0), "found \"k\" twice"},
      {with_entry("\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]"), "found \"dtype\" twice"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"shape\":[4],\"data_offsets\":[0,4]"), "found \"shape\" twice"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":1,\"x\":1"), "found \"x\" twice"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":{\"k\":1,\"k\":1}"), "found \"k\" twice"},
      // metadata
      {file("{\"__metadata__\":{\"k\":1}}", 0), "expected a string as the metadata \"k\""},
      {file("{\"__metadata__\":{\"k\":null}}", 0), "expected a string as the metadata \"k\""},
      {file("{\"__metadata__\":{\"k\":{}}}", 0), "expected a string as the metadata \"k\""},
      {file("{\"__metadata__\":\"k\"}", 0), "expected an object or null as \"__metadata__\""},
      {file("{\"__metadata__\":[]}", 0), "expected an object or null as \"__metadata__\""},
      {file("{\"__metadata__\":nullx}", 0), "expected ',' or '}'"},
      // the members of an entry
      {file("{\"a\":null}", 0), "tensor \"a\": expected an object with dtype"},
      {file("{\"a\":[]}", 0), "tensor \"a\": expected an object with dtype"},
      {file("{\"a\":{}}", 0), "expected the member \"dtype\", found none"},
      {with_entry("\"shape\":[4],\"data_offsets\":[0,4]"), "expected the member \"dtype\", found none"},
      {with_entry("\"dtype\":\"U8\",\"data_offsets\":[0,4]"), "expected the member \"shape\", found none"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4]"), "expected the member \"data_offsets\", found none"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"offsets\":[0,4]"), "expected the member \"data_offsets\", found none"},
      {with_entry("\"dtype\":8,\"shape\":[4],\"data_offsets\":[0,4]"), "expected the dtype in double quotes"},
      {with_entry("\"dtype\":\"U8\",\"shape\":4,\"data_offsets\":[0,4]"), "expected the shape as an array"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":4"), "expected data_offsets as an array"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[]"), "two data_offsets, found fewer"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0]"), "two data_offsets, found fewer"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4,4]"), "two data_offsets, found more"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":01"), "expected ',' or '}'"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":1."), "expected a JSON value"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":-"), "expected a JSON value"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":1e"), "expected a JSON value"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":NaN"), "expected a JSON value"},
      {with_entry("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":tru"), "expected a JSON value"},
      {file("{" + entry("a", "U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]") + "}", 1), "at most 16 axes"},
      // sizes
      {file("{" + entry("a", "I32", "[4294967296,4294967296]", "[0,16]") + "}", 16), "bytes below 2^60"},
      {file("{" + entry("a", "U8", "[0,9223372036854775808,4]", "[0,0]") + "}", 0), "expected an extent below 2^63"},
      {file("{" + entry("a", "U8", "[0,9223372036854775807,4]", "[0,0]") + "}", 0), "bytes below 2^60"},
      {file("{" + entry("a", "U8", "[9223372036854775807,4,0]", "[0,0]") + "}", 0), "bytes below 2^60"},
      {file("{" + entry("a", "U8", "[4]", "[0,99999999999999999999999]") + "}", 4), "expected an offset below 2^63"},
      {file("{" + entry("a", "F4", "[3]", "[0,2]") + "}", 2), "a whole number of bytes"},
      {file("{" + entry("a", "F6_E2M3", "[2]", "[0,2]") + "}", 2), "a whole number of bytes"},
      {file("{" + entry("a", "F32", "[1]", "[0,3]") + "}", 3), "expected 4 bytes for F32 [1], found data_offsets [0, 3]"},
      {file("{" + entry("a", "F32", "[]", "[0,0]") + "}", 0), "expected 4 bytes for F32 []"},
      {file("{" + entry("a", "F32", "[0]", "[0,4]") + "}", 4), "expected 0 bytes for F32 [0]"},
      {file("{" + entry("a", "U8", "[4]", "[4,0]") + "}", 4), "in ascending order, found [4, 0]"},
      // holes, overlaps, and what is left over
      {file("{" + entry("a", "U8", "[4]", "[0,4]") + "," + entry("b", "U8", "[4]", "[8,12]") + "}", 12),
       "tensor \"b\": expected its data to begin at byte 4, where the tensor before it ends, found 8 (a hole)"},
      {file("{" + entry("a", "U8", "[8]", "[0,8]") + "," + entry("b", "U8", "[8]", "[4,12]") + "}", 12),
       "found 4 (an overlap)"},
      {file("{" + entry("a", "U8", "[4]", "[0,4]") + "," + entry("b", "U8", "[4]", "[0,4]") + "}", 4),
       "found 0 (an overlap)"},
      {file("{" + entry("a", "U8", "[4]", "[1,5]") + "}", 5), "expected its data to begin at byte 0"},
      {file("{" + entry("a", "U8", "[8]", "[0,8]") + "," + entry("b", "U8", "[0]", "[4,4]") + "}", 8),
       "found 4 (an overlap)"},
      {file("{" + a4 + "}", 5), "expected 4 bytes of data after the header, found 5 (bytes that belong to no tensor)"},
      {file("{" + a4 + "}", 3), "expected 4 bytes of data after the header, found 3 (the file is cut off)"},
      {file("{}", 1), "expected 0 bytes of data after the header, found 1"},
  };
  for (const std::string bad : {"f32", "", "F64 ", "FLOAT", "F8_E4M3FN", "__metadata__"})
    all.push_back({file("{" + entry("a", bad, "[1]", "[0,4]") + "}", 4),
                   "expected a dtype such as \"F32\" or \"BF16\", found \"" + bad + "\""});
  // Numbers that some readers take and others do not.
  for (const std::string bad : {"-1", "-0", "+4", "\"4\"", "null", "true", "[4]", "{}", ".4", "", "Infinity"}) {
    all.push_back({file("{" + entry("a", "U8", "[" + bad + "," + "1]", "[0,4]") + "}", 4),
                   bad.empty() ? "expected an extent" : "expected an extent as a plain decimal integer"});
    all.push_back(
        {file("{" + entry("a", "U8", "[4]", "[" + bad + ",4]") + "}", 4), "expected an offset as a plain decimal integer"});
  }
  all.push_back({file("{" + entry("a", "U8", "[0x4]", "[0,4]") + "}", 4),
                 "expected ',' or ']' at byte 29 of the header, found \"x\""});
  for (const std::string bad : {"4.0", "4e0", "4E0", "4."}) {
    all.push_back(
        {file("{" + entry("a", "U8", "[" + bad + "]", "[0,4]") + "}", 4), "expected an extent as a plain decimal integer"});
    all.push_back(
        {file("{" + entry("a", "U8", "[4]", "[0," + bad + "]") + "}", 4), "expected an offset as a plain decimal integer"});
  }
  for (const std::string bad : {"04", "00", "0000000004"})
    all.push_back(
        {file("{" + entry("a", "U8", "[" + bad + "]", "[0,4]") + "}", 4), "without leading zeros, found \"" + bad + "\""});
  // Bytes that are no UTF-8: alone, cut off, overlong, surrogates, beyond the last code point.
  for (const std::string bad :
       {"\x80", "\xff", "\xc3", "\xc3(", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80"})
    all.push_back({file("{" + entry("a" + bad, "U8", "[4]", "[0,4]") + "}", 4), "expected UTF-8 at byte 3 of the header"});
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(header)

BOOST_AUTO_TEST_CASE(every_broken_file_is_refused_in_words) {
  const auto files = broken_files();
  BOOST_TEST(files.size() >= 40u);
  for (const Broken& broken : files) {
    const std::string what = wu::test::error_of([&] { open(broken.bytes); });
    BOOST_CHECK_MESSAGE(wu::test::contains(what, broken.phrase),
                        "expected '" << broken.phrase << "', found '" << what << "'");
    BOOST_CHECK_MESSAGE(what.starts_with("\"x.safetensors\": "), what);
    for (const char c : what) BOOST_CHECK_MESSAGE(static_cast<unsigned char>(c) >= 0x20, "unprintable: " << what);
  }
}

BOOST_AUTO_TEST_CASE(a_misaligned_file_is_valid) {
  std::string bytes = file_bytes("{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", 16);
  BOOST_REQUIRE_EQUAL(bytes[0], 0x3C);
  BOOST_REQUIRE_EQUAL(bytes.size(), 84u);
  const SafeTensors file = open(bytes);
  const auto& tensor = file.at("test");
  BOOST_TEST((tensor.dtype == DType::I32));
  BOOST_TEST(tensor.count() == 4);
  BOOST_TEST((tensor.shape == std::vector<std::int64_t>{2, 2}));
  BOOST_TEST(tensor.bytes.data() - as_bytes(bytes).data() == 68);
  std::vector<std::int32_t> values(4);
  read_into(tensor, values);
  BOOST_TEST(values[0] == 0x03020100);
  BOOST_TEST(values[3] == 0x0f0e0d0c);
}

BOOST_AUTO_TEST_CASE(no_tensors_is_valid) {
  for (const std::string header : {"{}", "{}      ", "{ \t\r\n}\n", "{\"__metadata__\":null}", "{\"__metadata__\":{}}"}) {
    const std::string bytes = file_bytes(header, 0);
    const SafeTensors file = open(bytes);
    BOOST_TEST(file.tensors().empty());
    BOOST_TEST(file.metadata().empty());
  }
}

BOOST_AUTO_TEST_CASE(a_tensor_without_bytes_between_two_others) {
  const std::string bytes =
      file_bytes("{" + entry("c", "U8", "[4]", "[4,8]") + "," + entry("a", "U8", "[4]", "[0,4]") + "," +
                     entry("b", "F64", "[3,0,7]", "[4,4]") + "," + entry("b2", "F4", "[0]", "[4,4]") + "}",
                 8);
  const SafeTensors file = open(bytes);
  BOOST_TEST((file.names() == std::vector<std::string>{"a", "b", "b2", "c"}));
  BOOST_TEST(file.at("b").count() == 0);
  BOOST_TEST((file.at("c").bytes[0] == std::byte{4}));
  read_into(file.at("b"), std::span<float>());
}

BOOST_AUTO_TEST_CASE(what_the_reference_ignores_is_ignored) {
  const std::string bytes = file_bytes(
      "{\"a\" : { \"note\":{\"k\":[1.5e-3],\"l\":\"\"} , "
      "\"dtype\":\"U8\",\"more\":[-0.0,true,false,null,\"\\\"\",12],\"shape\":[4],\"data_offsets\":[0,4],"
      "\"n\":-1E+5}}",
      4);
  // The object in "note" holds an array at the fourth level.
  WU_CHECK_FILE_ERROR(open(bytes), "at most 3 levels");
  std::string flat = bytes;
  flat.replace(flat.find("[1.5e-3]"), 8, " 1.5e-3 ");
  BOOST_TEST(open(flat).at("a").count() == 4);
}

BOOST_AUTO_TEST_CASE(names_are_unescaped) {
  const std::string bytes =
      file_bytes("{\"__metadata__\":{\"k\\u00e9\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u20AC\\ud83d\\uDE00\"}," +
                     entry("", "U8", "[1]", "[0,1]") + "," + entry("../\\u0000", "U8", "[1]", "[1,2]") + "," +
                     entry("\xE5\xB1\x82.0", "U8", "[1]", "[2,3]") + "}",
                 3);
  const SafeTensors file = open(bytes);
  BOOST_TEST(file.metadata().at("k\xC3\xA9") == std::string("\"\\/\b\f\n\r\t\0\xE2\x82\xAC\xF0\x9F\x98\x80", 16));
  BOOST_TEST(file.find("") != nullptr);
  BOOST_TEST(file.find(std::string("../\0", 4)) != nullptr);
  BOOST_TEST(file.find("\xE5\xB1\x82.0") != nullptr);
  BOOST_TEST(file.find("../") == nullptr);
}

BOOST_AUTO_TEST_CASE(the_header_limit_is_the_callers) {
  const std::string bytes = file_bytes("{}    ", 0);
  BOOST_TEST(open(bytes, {.header_limit = 6}).tensors().empty());
  WU_CHECK_FILE_ERROR(open(bytes, {.header_limit = 5}), "at most 5 bytes, found 6");
}

BOOST_AUTO_TEST_CASE(names_in_messages_are_safe_to_print) {
  BOOST_TEST(printable("plain.weight") == "\"plain.weight\"");
  BOOST_TEST(printable("\xC3\xBC\xE5\xB1\x82") == "\"\xC3\xBC\xE5\xB1\x82\"");
  BOOST_TEST(printable("a\"\\") == "\"a\\\"\\\\\"");
  BOOST_TEST(printable(std::string("\n\x1b[31m\0", 7)) == "\"\\u{000a}\\u{001b}[31m\\u{0000}\"");
  BOOST_TEST(printable("\xE2\x80\xAE"
                       "a\xFF\xC2\x85") == "\"\\u{202e}a\\xff\\u{0085}\"");
  BOOST_TEST(printable("abcdef", 3) == "\"abc...\"");
  BOOST_TEST(printable("ab\xC3\xBC", 3) == "\"ab...\"");
  const std::string bytes = file_bytes("{\"a\\u001b[2J\":0}", 0);
  WU_CHECK_FILE_ERROR(open(bytes), "tensor \"a\\u{001b}[2J\": expected an object");
}

BOOST_AUTO_TEST_CASE(the_length_of_utf8) {
  BOOST_TEST(utf8_length("\x7f", 0) == 1u);
  BOOST_TEST(utf8_length("\xC2\x80", 0) == 2u);
  BOOST_TEST(utf8_length("\xE0\xA0\x80", 0) == 3u);
  BOOST_TEST(utf8_length("\xED\x9F\xBF", 0) == 3u);
  BOOST_TEST(utf8_length("\xEE\x80\x80", 0) == 3u);
  BOOST_TEST(utf8_length("\xF0\x90\x80\x80", 0) == 4u);
  BOOST_TEST(utf8_length("\xF4\x8F\xBF\xBF", 0) == 4u);
  BOOST_TEST(utf8_length("\xF4\x8F\xBF", 0) == 0u);
}

// Truncation at every byte, and random changes: an error, or a file that still keeps every rule.
BOOST_AUTO_TEST_CASE(damage_is_found_or_harmless) {
  const std::string good =
      file_bytes("{\"__metadata__\":{\"format\":\"pt\"}," + entry("a.b", "F32", "[2,3]", "[0,24]") + "," +
                     entry("c", "BF16", "[4]", "[24,32]") + "," + entry("\\u0064", "U8", "[]", "[32,33]") + "}",
                 33);
  BOOST_REQUIRE_EQUAL(open(good).tensors().size(), 3u);
  for (std::size_t n = 0; n < good.size(); ++n) {
    const std::string cut = good.substr(0, n);
    BOOST_CHECK_THROW(open(cut), wu::FileError);
  }
  std::size_t accepted = 0;
  wu::Random random(7, "damage");
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    const std::uint32_t changes = 1 + random.below(2);
    for (std::uint32_t k = 0; k < changes; ++k)
      bytes[random.below(static_cast<std::uint32_t>(good.size()))] =
          random.below(2) ? static_cast<char>(random.below(256)) : "0123456789[]{},:\"\\ eE.-"[random.below(23)];
    try {
      const SafeTensors file = open(bytes);
      ++accepted;
      std::size_t total = 0;
      std::set<std::string> names;
      for (const auto& tensor : file.tensors()) {
        BOOST_CHECK_EQUAL(byte_count(tensor.dtype, tensor.shape).value(), tensor.bytes.size());
        BOOST_CHECK(names.insert(tensor.name).second);
        BOOST_CHECK_EQUAL(first_ill_formed(tensor.name), tensor.name.size());
        total += tensor.bytes.size();
      }
      BOOST_CHECK_EQUAL(total, 33u);
    } catch (const wu::FileError&) {  // refused, as most changed headers are
    }
  }
  BOOST_TEST(accepted > 0u);
  BOOST_TEST(accepted < 20000u);
}

BOOST_AUTO_TEST_CASE(types_know_their_names_and_sizes) {
  static_assert(dtype_of<float>() == DType::F32 && dtype_of<const double>() == DType::F64 &&
                dtype_of<wu::bfloat16>() == DType::BF16);
  static_assert(dtype_of<std::uint8_t>() == DType::U8 && dtype_of<std::int16_t>() == DType::I16 &&
                dtype_of<std::uint32_t>() == DType::U32 && dtype_of<std::int64_t>() == DType::I64 &&
                dtype_of<long>() == DType::I64 && dtype_of<bool>() == DType::BOOL);
  static_assert(name_of(dtype_of<float>()) == wu::dtype_name<float> &&
                name_of(dtype_of<double>()) == wu::dtype_name<double> &&
                name_of(dtype_of<wu::bfloat16>()) == wu::dtype_name<wu::bfloat16>);
  static_assert(bits_of(DType::F4) == 4 && bits_of(DType::F6_E3M2) == 6 && bits_of(DType::BOOL) == 8 &&
                bits_of(DType::F8_E8M0) == 8 && bits_of(DType::BF16) == 16 && bits_of(DType::F32) == 32 &&
                bits_of(DType::C64) == 64 && bits_of(DType::U64) == 64);
  static_assert(dtype_named("F8_E5M2FNUZ") == DType::F8_E5M2FNUZ && dtype_named("U64") == DType::U64 && !dtype_named("f32"));
  BOOST_TEST(byte_count(DType::F4, {2, 3}).value() == 3u);
  BOOST_TEST(byte_count(DType::F6_E2M3, {4}).value() == 3u);
  BOOST_TEST(byte_count(DType::U8, {}).value() == 1u);
  BOOST_TEST(byte_count(DType::U8, {(std::int64_t{1} << 60) - 1}).value() == (std::uint64_t{1} << 60) - 1);
  BOOST_TEST(!byte_count(DType::U8, {std::int64_t{1} << 60}).has_value());
  BOOST_TEST(!byte_count(DType::U8, {-1}).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
