// core/error.hpp and core/message.hpp.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "wu/core/error.hpp"

namespace {

// One catch for everything the library throws; kinds that do not swallow each other.
static_assert(std::is_base_of_v<std::exception, wu::Error>);
static_assert(std::is_base_of_v<wu::Error, wu::ShapeError> && std::is_base_of_v<wu::Error, wu::FileError> &&
              std::is_base_of_v<wu::Error, wu::NonFiniteError>);
static_assert(!std::is_base_of_v<wu::ShapeError, wu::FileError> && !std::is_base_of_v<wu::FileError, wu::ShapeError>);
static_assert(std::is_nothrow_copy_constructible_v<wu::ShapeError> && std::is_nothrow_copy_assignable_v<wu::ShapeError>);

/// What an output stream makes of a value.
template <class T>
std::string streamed(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

BOOST_AUTO_TEST_CASE(message_joins_words_and_numbers) {
  BOOST_CHECK_EQUAL(wu::message("expected ", 3, " rows, found ", -2L, std::string(" in "), 'x').view(),
                    "expected 3 rows, found -2 in x");
  BOOST_CHECK_EQUAL(wu::message(std::string_view("part of this").substr(0, 4), "", std::string(), true).view(), "part1");
  BOOST_CHECK_EQUAL(wu::message("").view(), "");
  BOOST_CHECK_EQUAL(wu::message(std::string(1000, 'y'), 1).view(), std::string(1000, 'y') + "1");
}

BOOST_AUTO_TEST_CASE(message_writes_numbers_as_an_output_stream_does) {
  const auto check = [](auto value) { BOOST_CHECK_EQUAL(wu::message(value).view(), streamed(value)); };
  using Long = std::numeric_limits<std::int64_t>;
  check(Long::min()), check(Long::max()), check(std::numeric_limits<std::uint64_t>::max()), check(std::int16_t{-7});
  check(0u), check(std::ptrdiff_t{-1}), check(false);
  for (const double value :
       {0.0, 1.0, 0.5, 1e5, 123456.0, 1234567.0, 999999.5, 1e-4, 0.00012345678, 1e-5, 1.0 / 3, 6.02214076e23,
        std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min(), HUGE_VAL, std::nan("")})
    for (const double v : {value, -value}) check(v), check(static_cast<long double>(v));
  for (const float value : {0.5f, 1.0f / 3, 1e-5f, 16777216.0f, std::numeric_limits<float>::max()})
    check(value), check(-value);
}

BOOST_AUTO_TEST_CASE(message_copies_share_their_text) {
  wu::Message first = wu::message("step ", 7), second = first;
  BOOST_CHECK(second.c_str() == first.c_str());
  const char* const text = first.c_str();
  const wu::Message third = std::move(first);
  BOOST_CHECK(third.c_str() == text);
  BOOST_CHECK_EQUAL(first.view(), "");  // NOLINT(bugprone-use-after-move): moved from, and still a text
  BOOST_CHECK_EQUAL(std::string(first.c_str()), "");
  second = wu::message("other");
  BOOST_CHECK_EQUAL(second.view(), "other");
  second = std::as_const(second);  // to itself
  BOOST_CHECK_EQUAL(second.view(), "other");
  BOOST_CHECK_EQUAL(third.view(), "step 7");
  const std::string whole = third;
  BOOST_CHECK_EQUAL(whole, "step 7");
}

BOOST_AUTO_TEST_CASE(errors_keep_their_sentence_in_copies) {
  const wu::Error copy = [] {
    const wu::FileError error(std::string("a sentence that is longer than what a string keeps in itself"));
    return wu::Error(error);
  }();
  BOOST_CHECK_EQUAL(std::string(copy.what()), "a sentence that is longer than what a string keeps in itself");
}

BOOST_AUTO_TEST_CASE(errors_are_caught_by_their_base_with_their_sentence) {
  auto sentence = [](auto thrower) -> std::string {
    try {
      thrower();
    } catch (const wu::Error& e) { return e.what(); }
    return "nothing was thrown";
  };
  BOOST_CHECK_EQUAL(sentence([] { throw wu::ShapeError(wu::message("expected ", 5)); }), "expected 5");
  BOOST_CHECK_EQUAL(sentence([] { throw wu::FileError("no such file"); }), "no such file");
  BOOST_CHECK_EQUAL(sentence([] { throw wu::NonFiniteError("loss is NaN"); }), "loss is NaN");
}
