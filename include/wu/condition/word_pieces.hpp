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
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
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
constexpr bool is_han(char32_t c) {
  return (c >= 0x3400 && c < 0x4DC0) || (c >= 0x4E00 && c < 0xA000) || (c >= 0xF900 && c < 0xFB00) ||
         (c >= 0x20000 && c < 0x32000);
}
/// Latin, Greek and Cyrillic capitals as small letters; the final sigma as any other.
constexpr char32_t lower(char32_t c) {
  const auto in = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  if (in('A', 'Z') || (in(0xC0, 0xDE) && c != 0xD7) || in(0x391, 0x3A9) || in(0x410, 0x42F)) return c + 32;
  if (in(0x400, 0x40F)) return c + 80;
  if (c == 0x130) return 'i';
  if (c == 0x178) return 0xFF;
  if (c == 0x386) return 0x3AC;
  if (in(0x388, 0x38A)) return c + 37;
  if (c == 0x38C) return 0x3CC;
  if (in(0x38E, 0x38F)) return c + 63;
  if (c == 0x3C2) return 0x3C3;
  // Capital and small letter side by side, the capital at an even or at an odd place.
  if (in(0x100, 0x137) || in(0x14A, 0x177) || in(0x460, 0x481) || in(0x48A, 0x4BF) || in(0x4D0, 0x52F) ||
      in(0x1E00, 0x1E95) || in(0x1EA0, 0x1EFF))
    return c | 1;
  if (in(0x139, 0x148) || in(0x179, 0x17E) || in(0x1AF, 0x1B0) || in(0x4C1, 0x4CE)) return c + (c & 1);
  return c;
}
/// Punctuation that lies among the letters of its script.
constexpr bool is_punctuation(char32_t c) {
  constexpr char32_t ranges[][2] = {{0x37E, 0x37E},   {0x387, 0x387},   {0x55A, 0x55F},   {0x589, 0x58A},   {0x5BE, 0x5BE},
                                    {0x5C0, 0x5C0},   {0x5C3, 0x5C3},   {0x60C, 0x60D},   {0x61B, 0x61F},   {0x66A, 0x66D},
                                    {0x6D4, 0x6D4},   {0x700, 0x70D},   {0x964, 0x965},   {0x970, 0x970},   {0xDF4, 0xDF4},
                                    {0xE4F, 0xE4F},   {0xE5A, 0xE5B},   {0xF04, 0xF14},   {0x104A, 0x104F}, {0x10FB, 0x10FB},
                                    {0x1360, 0x1368}, {0x1680, 0x1680}, {0x16EB, 0x16ED}, {0x17D4, 0x17DA}, {0x1800, 0x180A},
                                    {0x309B, 0x309C}, {0x30A0, 0x30A0}, {0x30FB, 0x30FB}};
  for (const auto& [first, last] : ranges)
    if (c >= first && c <= last) return true;
  return false;
}
/// Letters and digits of any script that is written with spaces; punctuation, symbols and spaces are not.
constexpr bool is_letter(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (((c >= 0xC0 && c < 0x2000 && c != 0xD7 && c != 0xF7) || (c >= 0x3040 && c < 0x3100)) && !is_punctuation(c)) ||
         (c >= 0xAC00 && c < 0xD7B0);
}
}  // namespace detail

/// At most pieces.size() pieces of text as rows 1 .. vocabulary - 1 of a table; the rest of `pieces` is 0, the row that means
/// "nothing". A longer text is cut. Throws wu::Error if the text is not UTF-8 or holds neither letter nor digit, and if the
/// table has no row but that for nothing; pieces are then as they were.
inline void word_pieces(std::span<std::int32_t> pieces, std::string_view text, Index vocabulary) {
  if (vocabulary < 2) throw Error(message("word pieces: expected a vocabulary of at least 2 rows, found ", vocabulary));
  const std::vector<char32_t> points = decode_utf8(text);
  std::size_t count = 0;
  bool any = false;
  auto add = [&](std::u32string_view piece) {
    std::uint64_t h = 0xcbf29ce484222325u;
    for (const char32_t c : piece) h = (h ^ c) * 0x100000001b3u;
    h ^= h >> 29;
    any = true;
    if (count < pieces.size())
      pieces[count++] = static_cast<std::int32_t>(1 + h % static_cast<std::uint64_t>(vocabulary - 1));
  };
  for (std::size_t i = 0; i < points.size();) {
    if (detail::is_han(points[i])) {
      add(std::u32string{points[i]});
      if (i + 1 < points.size() && detail::is_han(points[i + 1])) add(std::u32string{points[i], points[i + 1]});
      ++i;
    } else if (detail::is_letter(points[i])) {
      std::u32string word;
      while (i < points.size() && (detail::is_letter(points[i]) || (points[i] == '\'' && !word.empty())))
        word += detail::lower(points[i++]);
      while (word.back() == '\'') word.pop_back();  // a closing quotation mark
      add(word);
      if (word.size() > 4) add(word.substr(0, 4));
      else if (word.size() == 4) add(word);
    } else ++i;
  }
  if (!any) throw Error(text.empty() ? "the instruction is empty" : "the instruction holds no word");
  for (; count < pieces.size(); ++count) pieces[count] = 0;
}

}  // namespace wu::condition
