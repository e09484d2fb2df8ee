// core/dtype.hpp.
#include <boost/test/unit_test.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "wu/core/dtype.hpp"

namespace {

using wu::bfloat16;

constexpr std::uint16_t bits(float value) { return bfloat16(value).bits; }
constexpr float from_bits(std::uint32_t u) { return std::bit_cast<float>(u); }

static_assert(sizeof(bfloat16) == 2 && std::is_trivially_copyable_v<bfloat16>);
static_assert(std::is_same_v<wu::accumulator_t<const bfloat16>, float> && std::is_same_v<wu::accumulator_t<float>, float> &&
              std::is_same_v<wu::accumulator_t<const double>, double>);
static_assert(wu::dtype_name<float> == "F32" && wu::dtype_name<double> == "F64" && wu::dtype_name<bfloat16> == "BF16");

// Implicitly from and to float, as an activation is read and written; a cast takes any number, as generic code writes T(0).
static_assert(std::is_convertible_v<float, bfloat16> && std::is_convertible_v<bfloat16, float>);
static_assert(std::is_constructible_v<bfloat16, double> && std::is_constructible_v<bfloat16, int> &&
              std::is_constructible_v<bfloat16, std::int64_t>);

// Around 1 one step is 2^-7; half a step is a tie, which goes to the even neighbour.
static_assert(bits(1.0f) == 0x3f80);
static_assert(bits(from_bits(0x3f808000)) == 0x3f80);  // 1 + half a step: down to even
static_assert(bits(from_bits(0x3f808001)) == 0x3f81);  // just above the tie
static_assert(bits(from_bits(0x3f807fff)) == 0x3f80);  // just below
static_assert(bits(from_bits(0x3f818000)) == 0x3f82);  // the next tie: up to even
static_assert(bits(from_bits(0x3f817fff)) == 0x3f81);
static_assert(bits(from_bits(0xbf808000)) == 0xbf80 &&
              bits(from_bits(0xbf818000)) == 0xbf82);  // towards even, whatever the sign
static_assert(bits(from_bits(0x3fff8000)) == 0x4000 &&
              bits(from_bits(0x3fffffff)) == 0x4000);  // the carry reaches the exponent

// Zeros keep their sign; small numbers are kept, not flushed.
static_assert(bits(0.0f) == 0 && bits(-0.0f) == 0x8000);
static_assert(bits(from_bits(0x00010000)) == 1 && bits(from_bits(0x00008000)) == 0 && bits(from_bits(0x00008001)) == 1);

// Infinity stays; beyond the largest number plus half a step lies infinity.
static_assert(bits(std::numeric_limits<float>::infinity()) == 0x7f80 &&
              bits(-std::numeric_limits<float>::infinity()) == 0xff80);
static_assert(bits(std::numeric_limits<float>::max()) == 0x7f80);
static_assert(bits(from_bits(0x7f7f7fff)) == 0x7f7f && bits(from_bits(0x7f7f8000)) == 0x7f80);

}  // namespace

BOOST_AUTO_TEST_CASE(bfloat16_comes_back_as_it_was) {
  int wrong = 0;
  for (std::uint32_t u = 0; u < 0x10000; ++u) {
    bfloat16 b;
    b.bits = static_cast<std::uint16_t>(u);
    const float f = b;
    wrong += std::isnan(f) ? !std::isnan(static_cast<float>(bfloat16(f))) : bits(f) != b.bits;
  }
  BOOST_CHECK_EQUAL(wrong, 0);
}

BOOST_AUTO_TEST_CASE(bfloat16_rounds_to_the_nearest) {
  for (std::uint32_t u = 0x00000000; u < 0x7f7f0000; u += 0x1d235) {
    const float f = from_bits(u), found = bfloat16(f);
    const float below = from_bits(u & 0xffff0000), above = from_bits((u & 0xffff0000) + 0x10000);
    const double error = std::fabs(static_cast<double>(found) - static_cast<double>(f));
    BOOST_REQUIRE(found == below || found == above);
    BOOST_REQUIRE_LE(error, static_cast<double>(f) - static_cast<double>(below));
    BOOST_REQUIRE_LE(error, static_cast<double>(above) - static_cast<double>(f));
    BOOST_REQUIRE_EQUAL(static_cast<float>(bfloat16(-f)), -found);
  }
}

BOOST_AUTO_TEST_CASE(bfloat16_keeps_every_nan) {
  for (const std::uint32_t u : {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0x7f80ffffu, 0xffc00000u, 0xff800001u, 0xffffffffu}) {
    const std::uint16_t found = bits(from_bits(u));
    BOOST_CHECK_EQUAL(found & 0x7f80, 0x7f80);
    BOOST_CHECK_NE(found & 0x7f, 0);  // rounding must not carry it away to infinity or zero
    BOOST_CHECK_EQUAL(found >> 15, u >> 31);
  }
}

BOOST_AUTO_TEST_CASE(bfloat16_counts_like_a_number) {
  BOOST_CHECK_EQUAL(static_cast<float>(bfloat16(0)), 0);
  BOOST_CHECK_EQUAL(static_cast<float>(static_cast<bfloat16>(-3)), -3);
  BOOST_CHECK_EQUAL(static_cast<float>(static_cast<bfloat16>(0.5)), 0.5f);
  bfloat16 x = 1.5f;
  x += 2.25f;
  BOOST_CHECK_EQUAL(static_cast<float>(x), 3.75f);
  x *= 2;
  BOOST_CHECK_EQUAL(static_cast<float>(x), 7.5f);
  BOOST_CHECK_EQUAL(x * x, 56.25f);  // in float, not rounded
  BOOST_CHECK(bfloat16(1.0f) < x && x == bfloat16(7.5f));
  x = 256;
  x += 1;  // 257 is a tie between 256 and 258
  BOOST_CHECK_EQUAL(static_cast<float>(x), 256);
}
