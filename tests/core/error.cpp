// core/error.hpp.
#include <boost/test/unit_test.hpp>

#include <string>
#include <type_traits>

#include "wu/core/error.hpp"

namespace {

// One catch for everything the library throws; kinds that do not swallow each other.
static_assert(std::is_base_of_v<std::runtime_error, wu::Error>);
static_assert(std::is_base_of_v<wu::Error, wu::ShapeError> && std::is_base_of_v<wu::Error, wu::FileError> &&
              std::is_base_of_v<wu::Error, wu::NonFiniteError>);
static_assert(!std::is_base_of_v<wu::ShapeError, wu::FileError> && !std::is_base_of_v<wu::FileError, wu::ShapeError>);
static_assert(std::is_nothrow_copy_constructible_v<wu::ShapeError>);

}  // namespace

BOOST_AUTO_TEST_CASE(message_joins_words_and_numbers) {
  BOOST_CHECK_EQUAL(wu::message("expected ", 3, " rows, found ", -2L, std::string(" in "), 'x'),
                    "expected 3 rows, found -2 in x");
  BOOST_CHECK_EQUAL(wu::message(0.5), "0.5");
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
