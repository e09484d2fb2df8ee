#include "inspect/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

#include "wu/io/printable.hpp"

namespace inspect {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Takes a run of digits from the front, without its zeros in front.
std::string_view take_number(std::string_view& text) {
  std::size_t end = 0, zeros = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  while (zeros + 1 < end && text[zeros] == '0') ++zeros;
  const std::string_view number = text.substr(zeros, end - zeros);
  text.remove_prefix(end);
  return number;
}

std::string general(double value, int digits) {
  std::array<char, 40> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, digits).ptr};
}

}  // namespace

std::string shown(std::string_view text) {
  const std::string quoted = wu::io::printable(text, text.size());
  return quoted.substr(1, quoted.size() - 2);
}

std::string shortened(std::string_view all, std::size_t most) {
  std::string text = shown(all);
  if (text.size() <= most) return text;
  const std::size_t half = (most - 3) / 2;
  // Between characters, which take up to 4 bytes.
  const auto inside = [&](std::size_t at) { return (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u; };
  std::size_t front = half, back = text.size() - half;
  while (inside(front)) --front;
  while (back < text.size() && inside(back)) ++back;
  return text.substr(0, front) + "..." + text.substr(back);
}

bool comes_before(std::string_view a, std::string_view b) {
  const std::string_view all_a = a, all_b = b;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a[0]) && is_digit(b[0])) {
      const std::string_view x = take_number(a), y = take_number(b);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else {
      if (a[0] != b[0]) return static_cast<unsigned char>(a[0]) < static_cast<unsigned char>(b[0]);
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  if (a.empty() != b.empty()) return a.empty();
  return all_a < all_b;  // 01 and 1
}

std::string short_number(double value) { return std::isfinite(value) ? general(value, 5) : "-"; }

std::string grouped(std::uint64_t value) {
  std::string digits = std::to_string(value);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string counted(std::uint64_t count, std::string_view one) {
  return grouped(count) + " " + std::string(one) + (count == 1 ? "" : "s");
}

std::string in_units(std::uint64_t bytes) {
  constexpr std::array<const char*, 7> units{"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 999.5 && unit + 1 < units.size(); ++unit) value /= 1000;
  return general(value, 3) + " " + units[unit];
}

}  // namespace inspect
