// A JSON text as a tree of values: configurations that travel with a checkpoint, which may come from anywhere.
//     const Json config = parse_json(MappedFile(path).text(), path);
//     if (const Json* rank = config.find("rank")) use(rank->whole());
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "wu/io/json_scanner.hpp"

namespace wu::io {

struct JsonMember;

/// One value, with what it holds. Members of an object keep the order of the text: a generator's configuration means it.
struct Json {
  /// What a value is.
  enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

  Kind kind = Kind::null;
  bool boolean = false;
  std::string text;  ///< a string's value; a number as it stands in the file
  std::vector<Json> elements;
  std::vector<JsonMember> members;

  /// Whether it is of that kind.
  bool is(Kind wanted) const { return kind == wanted; }
  /// The member of that name, or null.
  const Json* find(std::string_view name) const;
  /// The value of a number; nothing where it is none, or beyond the range of double.
  std::optional<double> number() const {
    double value = 0;
    if (kind != Kind::number) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
    return value;
  }
  /// The value of a number that is written as a plain integer and fits; else nothing.
  std::optional<std::int64_t> whole() const {
    std::int64_t value = 0;
    if (kind != Kind::number) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }
  /// What it is, for messages: true, an array; numbers and strings in quotes and shortened, for they may be of any length.
  std::string describe() const {
    switch (kind) {
      case Kind::null: return "null";
      case Kind::boolean: return boolean ? "true" : "false";
      case Kind::number:
      case Kind::string: return printable(text);
      case Kind::array: return "an array";
      case Kind::object: return "an object";
    }
    return "";
  }
};

/// A name and its value.
struct JsonMember {
  std::string name;
  Json value;
};

inline const Json* Json::find(std::string_view name) const {
  for (const JsonMember& member : members)
    if (member.name == name) return &member.value;
  return nullptr;
}

/// How many arrays and objects may stand in one another.
inline constexpr int json_depth_limit = 32;

namespace detail {

class JsonReader : JsonScanner {
 public:
  JsonReader(std::string_view text, const std::string& file) : JsonScanner(text, file, "JSON text") {}

  Json read() {
    check_utf8();
    Json result = value(1);
    skip_space();
    if (at_ < text_.size()) expected("nothing but white space after the value");
    return result;
  }

 private:
  /// A value that stands at that depth if it is an array or an object.
  Json value(int depth) {
    Json result;
    const bool object = next_is('{'), array = next_is('[');
    if ((object || array) && depth > json_depth_limit)
      refuse(message("expected at most ", json_depth_limit, " arrays and objects within one another, found more").c_str());
    if (object) {
      result.kind = Json::Kind::object;
      std::set<std::string> names;
      each_member("a name", [&](std::string name) {
        if (!names.insert(name).second) twice(name);
        Json member = value(depth + 1);
        result.members.push_back({std::move(name), std::move(member)});
      });
    } else if (array) {
      result.kind = Json::Kind::array;
      each_element("an array", [&] { result.elements.push_back(value(depth + 1)); });
    } else if (next_is('"')) {
      result.kind = Json::Kind::string;
      result.text = string("a string");
    } else if (take_word("true") || take_word("false")) {
      result.kind = Json::Kind::boolean;
      result.boolean = text_[at_ - 2] == 'u';  // tr-u-e or fal-s-e
    } else if (!take_word("null")) {
      result.kind = Json::Kind::number;
      result.text = number();
    }
    return result;
  }
};

}  // namespace detail

/// Reads one JSON value. `file` is named in messages. Throws FileError for anything but well-formed JSON in UTF-8 with each
/// name once in its object and no more than json_depth_limit levels.
inline Json parse_json(std::string_view text, const std::string& file) { return detail::JsonReader(text, file).read(); }

}  // namespace wu::io
