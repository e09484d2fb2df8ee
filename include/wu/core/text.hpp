// Numbers, shapes and tables as a person reads them: what describe() is made of (core/describe.hpp), for your own types too.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wu/core/view.hpp"

namespace wu::text {

/// Groups of three stand apart from five digits on: 1379, 94 208, 8 096 647 168.
inline std::string grouped(Index number) {
  std::string digits = std::to_string(number);
  if (number < 10'000) return digits;
  for (std::size_t k = digits.size(); k > 3;) digits.insert(k -= 3, " ");
  return digits;
}

/// "1 head", "8 heads".
inline std::string counted(Index number, std::string_view what) {
  return grouped(number) + ' ' + std::string(what) + (number == 1 ? "" : "s");
}

/// Three digits and a unit: 640 B, 94.2 kB, 16.2 GB, 1.21 TFLOP.
inline std::string with_unit(double amount, std::string_view unit) {
  constexpr std::array<std::string_view, 7> prefixes{"", "k", "M", "G", "T", "P", "E"};
  std::size_t prefix = 0;
  while (amount >= 999.5 && prefix + 1 < prefixes.size()) amount /= 1000, ++prefix;
  const int decimals = prefix == 0 || amount >= 99.95 ? 0 : amount >= 9.995 ? 1 : 2;
  const std::int64_t scale = decimals == 0 ? 1 : decimals == 1 ? 10 : 100;
  const auto rounded = static_cast<std::int64_t>(std::llround(amount * static_cast<double>(scale)));
  std::string number = std::to_string(rounded / scale);
  if (decimals > 0) number += '.' + std::to_string(scale + rounded % scale).substr(1);
  return number + ' ' + std::string(prefixes[prefix]) + std::string(unit);
}
inline std::string bytes(std::size_t count) { return with_unit(static_cast<double>(count), "B"); }
/// Floating-point operations.
inline std::string operations(double count) { return with_unit(count, "FLOP"); }

/// "(·, 3)" for dyn and 3; "()" is one value.
template <class Extents>
std::string shape(const Extents& extents) {
  std::string list;
  for (const Index extent : extents) list += (list.empty() ? "" : ", ") + (extent == dyn ? "·" : grouped(extent));
  return "(" + list + ")";
}
template <Index... E>
std::string shape() {
  return shape(std::array<Index, sizeof...(E)>{E...});
}

/// How many characters a terminal shows: the bytes of UTF-8 that do not continue another.
inline std::size_t shown_width(std::string_view line) {
  std::size_t n = 0;
  for (const char c : line) n += (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;
  return n;
}

/// Rows of cells, each beginning with a line break. Columns stand two spaces apart, from `right` on at the right.
inline std::string table(const std::vector<std::vector<std::string>>& rows, std::size_t right) {
  std::vector<std::size_t> width;
  for (const auto& row : rows) {
    width.resize(std::max(width.size(), row.size()));
    for (std::size_t k = 0; k < row.size(); ++k) width[k] = std::max(width[k], shown_width(row[k]));
  }
  std::string lines;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t k = 0; k < row.size(); ++k) {
      const std::string space(width[k] - shown_width(row[k]), ' ');
      line += "  " + (k < right ? row[k] + space : space + row[k]);
    }
    lines += '\n' + line.substr(0, line.find_last_not_of(' ') + 1);
  }
  return lines;
}

/// The lines after the first moved in by two.
inline std::string indented(std::string_view lines) {
  std::string moved;
  for (const char c : lines) moved += c == '\n' ? "\n  " : std::string(1, c);
  return moved;
}

}  // namespace wu::text
