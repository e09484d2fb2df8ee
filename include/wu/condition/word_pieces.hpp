// Instructions as numbers: UTF-8 text cut into pieces, each piece hashed to a row of an embedding table. No vocabulary file,
// any language: words of letters and digits in lower case, with their first four letters as a piece of their own (so that
// "blur", "blurry" and "blurred" share one); every Han character alone and with its neighbour.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wu/core/error.hpp"
#include "wu/core/random.hpp"
#include "wu/core/view.hpp"

namespace wu::condition {

/// Code points of a UTF-8 text. Throws wu::Error that names the byte on anything that is not UTF-8: a stray or missing
/// continuation byte, an overlong form, a surrogate, a value beyond U+10FFFF.
inline std::vector<char32_t> decode_utf8(std::string_view text) {
  std::vector<char32_t> points;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
    const unsigned char lead = byte(i);
    const std::size_t length = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
    char32_t point = length == 1 ? lead : length == 2 ? lead & 0x1Fu : length == 3 ? lead & 0x0Fu : lead & 0x07u;
    bool valid = length > 0 && i + length <= text.size();
    for (std::size_t k = 1; valid && k < length; ++k) {
      valid = (byte(i + k) & 0xC0u) == 0x80u;
      point = (point << 6) | (byte(i + k) & 0x3Fu);
    }
    constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (!valid || point < smallest[length] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000))
      throw Error(message("the instruction is not UTF-8 text: byte ", i + 1, " of ", text.size(), " does not fit"));
    points.push_back(point);
    i += length;
  }
  return points;
}

namespace detail {
constexpr bool is_han(char32_t c) { return (c >= 0x3400 && c < 0xA000) || (c >= 0xF900 && c < 0xFB00) || (c >= 0x20000 && c < 0x32000); }
constexpr char32_t lower(char32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if ((c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F)) return c + 32;
  return c;
}
/// Letters and digits of any script that is written with spaces; punctuation, symbols and spaces are not.
constexpr bool is_letter(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c < 0x2000 && c != 0xD7 && c != 0xF7) ||
         (c >= 0x3040 && c < 0x3100) || (c >= 0xAC00 && c < 0xD7B0);
}
}  // namespace detail

/// At most pieces.size() pieces of text as rows 1 .. vocabulary - 1 of a table; the rest of `pieces` is 0, the row that means
/// "nothing". A longer text is cut. Throws wu::Error if the text is not UTF-8 or holds neither letter nor digit.
inline void word_pieces(std::span<std::int32_t> pieces, std::string_view text, Index vocabulary) {
  const std::vector<char32_t> points = decode_utf8(text);
  std::size_t count = 0;
  bool any = false;
  auto add = [&](std::u32string_view piece) {
    std::uint64_t h = 0xcbf29ce484222325u;
    for (const char32_t c : piece) h = (h ^ c) * 0x100000001b3u;
    h ^= h >> 29;
    any = true;
    if (count < pieces.size()) pieces[count++] = static_cast<std::int32_t>(1 + h % static_cast<std::uint64_t>(vocabulary - 1));
  };
  for (std::size_t i = 0; i < points.size();) {
    if (detail::is_han(points[i])) {
      add(std::u32string{points[i]});
      if (i + 1 < points.size() && detail::is_han(points[i + 1])) add(std::u32string{points[i], points[i + 1]});
      ++i;
    } else if (detail::is_letter(points[i])) {
      std::u32string word;
      while (i < points.size() && (detail::is_letter(points[i]) || (points[i] == '\'' && !word.empty()))) word += detail::lower(points[i++]);
      add(word);
      if (word.size() > 4) add(word.substr(0, 4));
      else if (word.size() == 4) add(word);
    } else ++i;
  }
  if (!any) throw Error(text.empty() ? "the instruction is empty" : "the instruction holds no word");
  for (; count < pieces.size(); ++count) pieces[count] = 0;
}

}  // namespace wu::condition
