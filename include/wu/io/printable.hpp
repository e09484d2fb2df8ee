// Names and paths as they may be shown to a person: a name from a file may hold line breaks, terminal commands or letters
// that reverse the direction of reading.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace wu::io {

/// The length in bytes (1 to 4) of the well-formed UTF-8 sequence that begins at text[at], which must exist; 0 where there
/// is none. Overlong forms, surrogates and what lies above U+10FFFF are ill-formed (Unicode standard, table 3-7).
constexpr std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t k) { return at + k < text.size() ? static_cast<unsigned char>(text[at + k]) : 0u; };
  const auto continues = [&](std::size_t k) { return (byte(k) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
    return second >= low && second <= high && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
    return second >= low && second <= high && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

/// The first byte of text that is not part of well-formed UTF-8; text.size() where all is.
constexpr std::size_t first_ill_formed(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t n = utf8_length(text, at);
    if (n == 0) break;
    at += n;
  }
  return at;
}

namespace detail {

/// The code point of the well-formed sequence of n bytes at text[at].
constexpr std::uint32_t code_point(std::string_view text, std::size_t at, std::size_t n) {
  constexpr std::array<unsigned, 5> mask{0, 0x7F, 0x1F, 0x0F, 0x07};
  std::uint32_t point = static_cast<unsigned char>(text[at]) & mask[n];
  for (std::size_t k = 1; k < n; ++k) point = point << 6 | (static_cast<unsigned char>(text[at + k]) & 0x3Fu);
  return point;
}

/// Control characters, invisible ones, and those that change the direction of reading or begin a line.
constexpr bool is_unprintable(std::uint32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0xAD || point == 0x61C ||
         (point >= 0x200B && point <= 0x200F) || (point >= 0x2028 && point <= 0x202E) ||
         (point >= 0x2060 && point <= 0x206F) || point == 0xFEFF || point >= 0xE0000;
}

inline void append_hex(std::string& out, std::uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += "0123456789abcdef"[value >> shift & 0xFu];
}

}  // namespace detail

/// text between double quotes and safe to print: what is unprintable appears as `\u{202e}`, a byte that is no UTF-8 as `\xff`,
/// and what exceeds `most` bytes as "...".
inline std::string printable(std::string_view text, std::size_t most = 200) {
  std::string out = "\"";
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t n = utf8_length(text, at);
    if (at + n > most) {
      out += "...";
      break;
    }
    if (n == 0) {
      out += "\\x";
      detail::append_hex(out, static_cast<unsigned char>(text[at]), 2);
    } else if (text[at] == '"' || text[at] == '\\') {
      out += '\\';
      out += text[at];
    } else if (const std::uint32_t point = detail::code_point(text, at, n); detail::is_unprintable(point)) {
      out += "\\u{";
      detail::append_hex(out, point, point > 0xFFFF ? 6 : 4);
      out += '}';
    } else {
      out += text.substr(at, n);
    }
    at += n == 0 ? 1 : n;
  }
  return out += '"';
}

/// A path as printable() shows it, never shortened.
inline std::string printable_path(const std::string& path) { return printable(path, path.size()); }

}  // namespace wu::io
