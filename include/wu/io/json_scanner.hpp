// JSON from outside, read by a scanner that takes exactly what the standard allows and nothing that two programs could
// understand differently: no duplicate names, no byte order mark, no comment, no lone surrogate. What reads it goes from left to
// right and says itself how deep it goes, so no text can exhaust the stack. General JSON libraries accept more than that, and
// cost seconds to compile wherever a checkpoint is read.                                                            RFC 8259
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "wu/core/error.hpp"
#include "wu/io/printable.hpp"

namespace wu::io {

namespace detail {

/// The tokens of a JSON text. `file` and `part` ("header", "text") stand in messages.
class JsonScanner {
 public:
  JsonScanner(std::string_view text, const std::string& file, const char* part) : text_(text), file_(file), part_(part) {}

 protected:
  ~JsonScanner() = default;

  /// The text is not what the grammar wants here: says where, and what is there instead.
  [[noreturn]] void expected(const std::string& what) const {
    std::string found = message("the end of the ", part_).c_str();
    if (at_ < text_.size()) found = printable(text_.substr(at_, std::max<std::size_t>(utf8_length(text_, at_), 1)));
    throw FileError(message(place(), "expected ", what, " at byte ", at_, " of the ", part_, ", found ", found));
  }
  /// The text is well-formed up to here but says something that cannot be.
  [[noreturn]] void refuse(const std::string& what) const {
    throw FileError(message(place(), what, " (before byte ", at_, " of the ", part_, ")"));
  }
  [[noreturn]] void twice(const std::string& name) const {
    refuse("expected each name once, found " + printable(name) + " twice");
  }
  /// Throws where the text is not UTF-8.
  void check_utf8() {
    if (const std::size_t at = first_ill_formed(text_); at < text_.size()) {
      at_ = at;
      expected("UTF-8");
    }
  }
  /// The file, and what is being read in it, for messages.
  std::string place() const { return printable_path(file_) + ": " + inside_; }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  bool next_is(char c) {
    skip_space();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool take(char c) {
    const bool here = next_is(c);
    at_ += here;
    return here;
  }
  void expect(char c, const char* what) {
    if (!take(c)) expected(what);
  }
  bool take_word(std::string_view word) {
    skip_space();
    const bool here = text_.substr(at_, word.size()) == word;
    if (here) at_ += word.size();
    return here;
  }

  /// Calls f(name) for each member of an object, with the scanner before the member's value.
  template <class F>
  void each_member(const char* what, F&& f) {
    expect('{', "'{'");
    if (take('}')) return;
    do {
      std::string name = string(what);
      expect(':', "':' after a name");
      f(std::move(name));
    } while (take(','));
    expect('}', "',' or '}'");
  }

  /// Calls f() before each element of an array.
  template <class F>
  void each_element(const char* what, F&& f) {
    expect('[', what);
    if (take(']')) return;
    do f();
    while (take(','));
    expect(']', "',' or ']'");
  }

  std::string string(const char* what) {
    if (!take('"')) expected(message(what, " in double quotes"));
    std::string value;
    for (;;) {
      if (at_ == text_.size()) expected("the end of a string");
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return value;
      }
      if (static_cast<unsigned char>(c) < 0x20) expected("no bare control character in a string");
      if (c == '\\') escape(value);
      else {
        value += c;
        ++at_;
      }
    }
  }

  void escape(std::string& value) {
    constexpr std::string_view letters = "\"\\/bfnrt", meaning = "\"\\/\b\f\n\r\t";
    ++at_;
    if (at_ < text_.size() && text_[at_] == 'u') {
      ++at_;
      return append_utf8(value, escaped_code_point());
    }
    const std::size_t k = at_ < text_.size() ? letters.find(text_[at_]) : letters.npos;
    if (k == letters.npos) expected("one of \"\\/bfnrtu after a backslash");
    value += meaning[k];
    ++at_;
  }

  /// What stands after \u: four digits, or two times four that form a surrogate pair.
  std::uint32_t escaped_code_point() {
    const std::uint32_t unit = hex4();
    if (unit < 0xD800 || unit > 0xDFFF) return unit;
    const bool high = unit < 0xDC00 && text_.substr(at_, 2) == "\\u";
    at_ += high ? 2 : 0;
    const std::uint32_t low = high ? hex4() : 0;
    if (low < 0xDC00 || low > 0xDFFF) refuse("expected surrogates in pairs, found a lone one");
    return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
  }

  std::uint32_t hex4() {
    std::uint32_t value = 0;
    for (int k = 0; k < 4; ++k, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      if (c >= '0' && c <= '9') value = value << 4 | static_cast<std::uint32_t>(c - '0');
      else if (c >= 'a' && c <= 'f') value = value << 4 | static_cast<std::uint32_t>(c - 'a' + 10);
      else if (c >= 'A' && c <= 'F') value = value << 4 | static_cast<std::uint32_t>(c - 'A' + 10);
      else expected("four hexadecimal digits after \\u");
    }
    return value;
  }

  static void append_utf8(std::string& out, std::uint32_t point) {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (point < 0x80) return put(point);
    if (point < 0x800) put(0xC0 | point >> 6);
    else {
      if (point < 0x10000) put(0xE0 | point >> 12);
      else {
        put(0xF0 | point >> 18);
        put(0x80 | (point >> 12 & 0x3F));
      }
      put(0x80 | (point >> 6 & 0x3F));
    }
    put(0x80 | (point & 0x3F));
  }

  bool digit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }

  /// 0 .. 2^63 - 1 in plain decimal: no sign, fraction, exponent or leading zero.
  std::int64_t size(const char* what) {
    skip_space();
    const std::size_t start = at_;
    if (!digit()) expected(message(what, " as a plain decimal integer"));
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    std::int64_t value = 0;
    for (; digit(); ++at_) {
      const int d = text_[at_] - '0';
      if (value > (most - d) / 10) refuse(message("expected ", what, " below 2^63, found a larger one"));
      value = value * 10 + d;
    }
    if (text_[start] == '0' && at_ - start > 1) {
      refuse(message("expected ", what, " without leading zeros, found ", printable(text_.substr(start, at_ - start))));
    }
    if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E'))
      expected(message(what, " as a plain decimal integer"));
    return value;
  }

  /// A number, as it stands in the text.
  std::string_view number() {
    const std::size_t start = at_;
    const auto digits = [&] {
      if (!digit()) expected("a JSON value");
      while (digit()) ++at_;
    };
    if (at_ < text_.size() && text_[at_] == '-') ++at_;
    if (at_ < text_.size() && text_[at_] == '0') ++at_;
    else digits();
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      digits();
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      digits();
    }
    return text_.substr(start, at_ - start);
  }

  std::string_view text_;
  const std::string& file_;
  const char* part_;
  std::size_t at_ = 0;
  std::string inside_;  ///< "tensor \"a\": "
};

}  // namespace detail

/// text as a JSON string, quotes included, in the shortest form: only what must be escaped is. text must be UTF-8.
inline std::string json_string(std::string_view text) {
  constexpr std::string_view plain = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
  std::string out = "\"";
  for (const char c : text) {
    if (const std::size_t k = plain.find(c); k != plain.npos) {
      out += '\\';
      out += letters[k];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u";
      detail::append_hex(out, static_cast<unsigned char>(c), 4);
    } else {
      out += c;
    }
  }
  return out += '"';
}

}  // namespace wu::io
