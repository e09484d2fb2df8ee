// Texts as a terminal may show them, and names in the order in which people count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace inspect {

/// text without quotes, escaped as wu::io::printable() does.
std::string shown(std::string_view text);

/// As shown() shows it, in at most `most` bytes: of a longer text both ends, for names differ in either.
std::string shortened(std::string_view text, std::size_t most = 80);

/// Whether a comes before b where runs of digits are compared as numbers: layers.2 before layers.10.
bool comes_before(std::string_view a, std::string_view b);

/// Five significant digits; "-" for what is no finite number.
std::string short_number(double value);

/// 1234567 as "1,234,567".
std::string grouped(std::uint64_t value);

/// "1 tensor", "1,234 tensors".
std::string counted(std::uint64_t count, std::string_view one);

/// "16.2 GB", of 1000^3 bytes each.
std::string in_units(std::uint64_t bytes);

}  // namespace inspect
