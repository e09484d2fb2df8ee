// JSON texts: what they hold, and what is refused.
#include <boost/test/unit_test.hpp>

#include <string>

#include "support.hpp"
#include "wu/io/json.hpp"

using namespace wu::io;

BOOST_AUTO_TEST_SUITE(json)

BOOST_AUTO_TEST_CASE(values_keep_their_order_and_their_text) {
  const Json all = parse_json(
      R"( {"z": [1, -2.5e3, 9007199254740993], "a": {"t": true, "f": false, "n": null}, "s": "\u00e9\n"} )", "x.json");
  BOOST_REQUIRE(all.is(Json::Kind::object));
  BOOST_REQUIRE_EQUAL(all.members.size(), 3U);
  BOOST_CHECK_EQUAL(all.members[0].name, "z");
  BOOST_CHECK_EQUAL(all.members[1].name, "a");
  const Json& z = all.members[0].value;
  BOOST_REQUIRE_EQUAL(z.elements.size(), 3U);
  BOOST_CHECK_EQUAL(z.elements[0].whole().value(), 1);
  BOOST_CHECK(!z.elements[1].whole());
  BOOST_CHECK_EQUAL(z.elements[1].number().value(), -2500);
  BOOST_CHECK_EQUAL(z.elements[2].whole().value(), 9007199254740993);
  const Json* a = all.find("a");
  BOOST_REQUIRE(a != nullptr);
  BOOST_CHECK(a->find("t")->boolean);
  BOOST_CHECK(!a->find("f")->boolean);
  BOOST_CHECK(a->find("f")->is(Json::Kind::boolean));
  BOOST_CHECK(a->find("n")->is(Json::Kind::null));
  BOOST_CHECK(a->find("x") == nullptr);
  BOOST_CHECK_EQUAL(all.find("s")->text, "\xC3\xA9\n");
  BOOST_CHECK(!all.find("s")->number());
}

BOOST_AUTO_TEST_CASE(numbers_beyond_their_type_are_none) {
  const Json all = parse_json("[9223372036854775808, 1e999, 0.1, -0]", "x.json");
  BOOST_CHECK(!all.elements[0].whole());
  BOOST_CHECK(all.elements[0].number());
  BOOST_CHECK(!all.elements[1].number());
  BOOST_CHECK_EQUAL(all.elements[2].number().value(), 0.1);
  BOOST_CHECK_EQUAL(all.elements[3].whole().value(), 0);
}

BOOST_AUTO_TEST_CASE(messages_stay_short_whatever_a_value_is) {
  BOOST_TEST(parse_json("16", "x.json").describe() == "\"16\"");
  for (const std::string& text : {std::string(100'000, '7'), '"' + std::string(100'000, 'x') + '"'})
    BOOST_TEST(parse_json(text, "x.json").describe().size() < 300u);
}

BOOST_AUTO_TEST_CASE(what_is_not_json_is_refused) {
  const auto says = [](const std::string& text, const std::string& phrase) {
    WU_CHECK_FILE_ERROR(parse_json(text, "x.json"), phrase);
  };
  says("", "expected a JSON value at byte 0 of the JSON text, found the end of the JSON text");
  says("{\"a\":1,\"a\":2}", "expected each name once, found \"a\" twice");
  says("{\"a\":{\"b\":1,\"\\u0062\":2}}", "found \"b\" twice");
  says("[1,]", "expected a JSON value at byte 3");
  says("[01]", "expected ',' or ']' at byte 2");
  says("[.5]", "expected a JSON value");
  says("[1.]", "expected a JSON value");
  says("[NaN]", "expected a JSON value");
  says("[\"\xFF\"]", "expected UTF-8 at byte 2");
  says("[\"\\ud800\"]", "surrogates in pairs");
  says("{} {}", "nothing but white space after the value");
  says("\xEF\xBB\xBF{}", "expected a JSON value at byte 0");
  says(std::string(33, '[') + std::string(33, ']'), "at most 32 arrays and objects");
  says(std::string(1'000'000, '['), "at most 32 arrays and objects");
  BOOST_CHECK_NO_THROW(parse_json(std::string(32, '[') + std::string(32, ']'), "x.json"));
}

BOOST_AUTO_TEST_SUITE_END()
