// wu-inspect as a user meets it: started with arguments, judged by its exit code and by what it says.
#pragma once

#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

#include "support/run.hpp"
#include "support/scratch.hpp"
#include "wu/io/json.hpp"
#include "wu/io/safetensors.hpp"

inline Ran wu_inspect(const std::vector<std::string>& arguments) { return run(WU_INSPECT, arguments); }

/// What it prints of a file that it takes.
inline std::string table_of(const std::filesystem::path& path) {
  const Ran ran = wu_inspect({path.string()});
  BOOST_TEST(ran.code == 0, ran.err);
  BOOST_TEST(ran.err == "");
  return ran.out;
}

/// The same with --json.
inline wu::io::Json json_of(const std::filesystem::path& path) {
  const Ran ran = wu_inspect({"--json", path.string()});
  BOOST_TEST(ran.code == 0, ran.err);
  BOOST_TEST(ran.err == "");
  return wu::io::parse_json(ran.out, "what wu-inspect says");
}

/// The value under these names, each in the object before it.
template <class... Names>
const wu::io::Json& at(const wu::io::Json& json, const Names&... names) {
  const wu::io::Json* here = &json;
  for (const std::string& name : {std::string(names)...}) {
    here = here->find(name);
    BOOST_TEST_REQUIRE((here != nullptr), "no member " << name);
  }
  return *here;
}

/// The one of these objects whose member `key` is `text`.
inline const wu::io::Json& one_of(const wu::io::Json& objects, const std::string& key, const std::string& text) {
  const wu::io::Json* found = nullptr;
  for (const wu::io::Json& object : objects.elements)
    if (at(object, key).text == text) found = &object;
  BOOST_TEST_REQUIRE((found != nullptr), "none with " << key << " " << text);
  return *found;
}

template <class... Names>
double number_at(const wu::io::Json& json, const Names&... names) {
  const auto number = at(json, names...).number();
  BOOST_TEST_REQUIRE(number.has_value());
  return *number;
}

/// It is refused in one line, which holds the phrase.
inline void check_refused(const Ran& ran, const std::string& phrase, int code = 1) {
  BOOST_TEST_CONTEXT("it said: " << ran.err) {
    BOOST_TEST(ran.code == code);
    BOOST_TEST(ran.out == "");
    BOOST_TEST(ran.err.starts_with("wu-inspect: "));
    BOOST_TEST((ran.err.find('\n') == ran.err.size() - 1));
    BOOST_TEST((ran.err.find(phrase) != std::string::npos), "expected '" << phrase << "'");
  }
}
