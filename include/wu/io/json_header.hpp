// The header of a safetensors file: a JSON text that names every tensor, its type, its shape and where its bytes lie. It may
// come from anywhere, so nothing is taken but what the format allows: no duplicate names, no number but a plain decimal
// integer, no text after the object.
// Format: the README of huggingface/safetensors; the writer's order is that of its serializer.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "wu/core/dtype.hpp"
#include "wu/core/error.hpp"
#include "wu/io/json_scanner.hpp"
#include "wu/io/printable.hpp"

namespace wu::io {

/// The element types of the format, spelled as files spell them and in the order of the reference writer, which puts the
/// tensors of the last type first.
// clang-format off
enum class DType : std::uint8_t {
  BOOL, F4, F6_E2M3, F6_E3M2, U8, I8, F8_E5M2, F8_E4M3, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ,
  I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64
};
// clang-format on

namespace detail {
struct DTypeFacts {
  std::string_view name;
  std::uint8_t bits;
};
// clang-format off
inline constexpr std::array<DTypeFacts, 22> dtype_facts{{
    {"BOOL", 8},    {"F4", 4},          {"F6_E2M3", 6},     {"F6_E3M2", 6}, {"U8", 8},   {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8},     {"F8_E8M0", 8},     {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
    {"I16", 16},    {"U16", 16},        {"F16", 16},        {"BF16", 16},   {"I32", 32}, {"U32", 32},
    {"F32", 32},    {"C64", 64},        {"F64", 64},        {"I64", 64},    {"U64", 64},
}};
// clang-format on
}  // namespace detail

/// The type's name in files: "BF16".
constexpr std::string_view name_of(DType dtype) { return detail::dtype_facts[static_cast<std::size_t>(dtype)].name; }

/// The size of one element, in bits: 4, 6, 8, 16, 32 or 64.
constexpr int bits_of(DType dtype) { return detail::dtype_facts[static_cast<std::size_t>(dtype)].bits; }

/// The type of that name; names are written in capitals, "f32" is none.
constexpr std::optional<DType> dtype_named(std::string_view name) {
  for (std::size_t k = 0; k < detail::dtype_facts.size(); ++k)
    if (detail::dtype_facts[k].name == name) return static_cast<DType>(k);
  return std::nullopt;
}

/// The element type under which a file holds values of T.
template <class T>
constexpr DType dtype_of() {
  using V = std::remove_const_t<T>;
  if constexpr (std::is_same_v<V, bool>) return DType::BOOL;
  else if constexpr (std::is_same_v<V, float>) return DType::F32;
  else if constexpr (std::is_same_v<V, double>) return DType::F64;
  else if constexpr (std::is_same_v<V, bfloat16>) return DType::BF16;
  else {
    static_assert(std::is_integral_v<V>, "dtype_of: a file holds float, double, wu::bfloat16, bool and integers");
    constexpr bool sign = std::is_signed_v<V>;
    if constexpr (sizeof(V) == 1) return sign ? DType::I8 : DType::U8;
    else if constexpr (sizeof(V) == 2) return sign ? DType::I16 : DType::U16;
    else if constexpr (sizeof(V) == 4) return sign ? DType::I32 : DType::U32;
    else return sign ? DType::I64 : DType::U64;
  }
}

/// A shape as a person writes it: "[2, 3]"; "[]" is one scalar.
inline std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t k = 0; k < shape.size(); ++k) text += (k == 0 ? "" : ", ") + std::to_string(shape[k]);
  return text + "]";
}

/// The place of the k-th value in an array of that shape, whose extents are all at least 1: "[1, 2]".
inline std::string place_text(const std::vector<std::int64_t>& shape, std::size_t k) {
  std::vector<std::int64_t> place(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const auto extent = static_cast<std::size_t>(shape[axis]);
    place[axis] = static_cast<std::int64_t>(k % extent);
    k /= extent;
  }
  return shape_text(place);
}

/// The most axes a tensor of a file may have.
inline constexpr std::size_t max_rank = 16;

/// The bytes that a tensor of that type and shape takes. Nothing where they exceed 2^63 - 1 (the extents other than zero
/// are multiplied in any case, so that no later product of them overflows), or are not whole, or an extent is negative.
inline std::optional<std::uint64_t> byte_count(DType dtype, const std::vector<std::int64_t>& shape) {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  std::uint64_t bits = static_cast<std::uint64_t>(bits_of(dtype));
  bool empty = false;
  for (const std::int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    if (extent == 0) {
      empty = true;
      continue;
    }
    if (bits > most / static_cast<std::uint64_t>(extent)) return std::nullopt;
    bits *= static_cast<std::uint64_t>(extent);
  }
  if (empty) return 0;
  if (bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

/// One tensor of a header. begin and end count bytes from the start of the data, end exclusive.
struct HeaderEntry {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

/// Free text that travels with a file, sorted by key.
using Metadata = std::map<std::string, std::string>;

/// What a header says, checked: the entries are sorted by begin and cover the data without hole or overlap.
struct Header {
  std::vector<HeaderEntry> entries;
  Metadata metadata;
};

namespace detail {

/// Reads a header from left to right. Goes no deeper than the format's three levels, so it needs no stack to speak of.
class HeaderScanner : JsonScanner {
 public:
  HeaderScanner(std::string_view text, const std::string& file) : JsonScanner(text, file, "header") {}

  Header scan() {
    if (text_.empty() || text_[0] != '{') expected("'{'");
    check_utf8();
    Header header;
    bool has_metadata = false;
    std::set<std::string> names;
    each_member("a tensor's name", [&](std::string name) {
      if (name == "__metadata__") {
        if (std::exchange(has_metadata, true)) twice(name);
        metadata(header.metadata);
        return;
      }
      if (!names.insert(name).second) twice(name);
      header.entries.push_back(entry(std::move(name)));
    });
    skip_space();
    if (at_ < text_.size()) expected("nothing but white space after the object");
    return header;
  }

 private:
  void metadata(Metadata& values) {
    if (take_word("null")) return;
    if (!next_is('{')) expected("an object or null as \"__metadata__\"");
    each_member("a name", [&](std::string name) {
      if (!next_is('"')) expected("a string as the metadata " + printable(name));
      std::string value = string("a string");
      if (!values.emplace(name, std::move(value)).second) twice(name);
    });
  }

  HeaderEntry entry(std::string name) {
    inside_ = "tensor " + printable(name) + ": ";
    if (!next_is('{')) expected("an object with dtype, shape and data_offsets");
    HeaderEntry result;
    constexpr std::array<std::string_view, 3> known{"dtype", "shape", "data_offsets"};
    std::array<bool, 3> seen{};
    std::set<std::string> others;
    each_member("a name", [&](const std::string& member) {
      const auto k = static_cast<std::size_t>(std::find(known.begin(), known.end(), member) - known.begin());
      if (k < known.size() ? std::exchange(seen[k], true) : !others.insert(member).second) twice(member);
      if (k == 0) result.dtype = dtype();
      else if (k == 1) result.shape = shape();
      else if (k == 2) offsets(result);
      else skip_value(3);  // the reference ignores what it does not know
    });
    for (std::size_t k = 0; k < known.size(); ++k)
      if (!seen[k]) refuse("expected the member " + printable(known[k]) + ", found none");
    result.name = std::move(name);
    inside_.clear();
    return result;
  }

  DType dtype() {
    const std::string name = string("the dtype");
    const auto known = dtype_named(name);
    if (!known) refuse("expected a dtype such as \"F32\" or \"BF16\", found " + printable(name));
    return *known;
  }

  std::vector<std::int64_t> shape() {
    std::vector<std::int64_t> extents;
    each_element("the shape as an array", [&] {
      if (extents.size() == max_rank) refuse(message("expected at most ", max_rank, " axes, found more"));
      extents.push_back(size("an extent"));
    });
    return extents;
  }

  void offsets(HeaderEntry& entry) {
    std::array<std::int64_t, 2> at{};
    std::size_t count = 0;
    each_element("data_offsets as an array", [&] {
      if (count == 2) refuse("expected two data_offsets, found more");
      at[count++] = size("an offset");
    });
    if (count != 2) refuse("expected two data_offsets, found fewer");
    entry.begin = static_cast<std::uint64_t>(at[0]);
    entry.end = static_cast<std::uint64_t>(at[1]);
  }

  /// Any JSON value, which begins at that depth if it is an array or an object.
  void skip_value(int depth) {
    const bool object = next_is('{'), array = next_is('[');
    if ((object || array) && depth > 3) refuse("expected at most 3 levels of objects and arrays, found a fourth");
    if (object) {
      std::set<std::string> seen;
      each_member("a name", [&](const std::string& name) {
        if (!seen.insert(name).second) twice(name);
        skip_value(depth + 1);
      });
    } else if (array) each_element("an array", [&] { skip_value(depth + 1); });
    else if (next_is('"')) string("a string");
    else if (!take_word("null") && !take_word("true") && !take_word("false")) number();
  }
};

/// Rules on sizes: every tensor takes the bytes that its shape asks for, and together they are the data, each byte once.
inline void check_layout(std::vector<HeaderEntry>& entries, std::uint64_t data_bytes, const std::string& file) {
  const auto fail = [&](const HeaderEntry& entry, const auto&... what) {
    throw FileError(message(printable_path(file), ": tensor ", printable(entry.name), ": ", what...));
  };
  for (const HeaderEntry& entry : entries) {
    const std::string range = "[" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";
    if (entry.end < entry.begin) fail(entry, "expected data_offsets in ascending order, found ", range);
    const auto bytes = byte_count(entry.dtype, entry.shape);
    const std::string what = message(name_of(entry.dtype), " ", shape_text(entry.shape));
    if (!bytes) fail(entry, "expected a whole number of bytes below 2^60, found ", what);
    if (entry.end - entry.begin != *bytes)
      fail(entry, "expected ", std::to_string(*bytes), " bytes for ", what, ", found data_offsets ", range);
  }
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t end = 0;
  for (const HeaderEntry& entry : entries) {
    if (entry.begin != end)
      fail(entry, "expected its data to begin at byte ", std::to_string(end), ", where the tensor before it ends, found ",
           std::to_string(entry.begin), entry.begin > end ? " (a hole)" : " (an overlap)");
    end = entry.end;
  }
  if (end != data_bytes)
    throw FileError(message(printable_path(file), ": expected ", std::to_string(end),
                            " bytes of data after the header, found ", std::to_string(data_bytes),
                            data_bytes < end ? " (the file is cut off)" : " (bytes that belong to no tensor)"));
}

}  // namespace detail

/// Reads and checks a header whose data is data_bytes long. `file` is named in messages. Unknown members of an entry are
/// skipped. Throws FileError for anything but a well-formed header that describes exactly that data.
inline Header parse_header(std::string_view text, std::uint64_t data_bytes, const std::string& file) {
  Header header = detail::HeaderScanner(text, file).scan();
  detail::check_layout(header.entries, data_bytes, file);
  return header;
}

/// The JSON text of a header: compact, metadata first and in the order of its keys, entries in the order given, padded with
/// spaces to a multiple of 8 bytes so that the data behind it is aligned.
inline std::string format_header(const std::vector<HeaderEntry>& entries, const Metadata& metadata) {
  std::string text = "{\"__metadata__\":{";
  for (const auto& [key, value] : metadata) {
    if (text.back() != '{') text += ',';
    text += json_string(key) + ':' + json_string(value);
  }
  text += '}';
  for (const HeaderEntry& entry : entries) {
    text += ',' + json_string(entry.name) + ":{\"dtype\":\"";
    text += name_of(entry.dtype);
    text += "\",\"shape\":[";
    for (std::size_t k = 0; k < entry.shape.size(); ++k) text += (k == 0 ? "" : ",") + std::to_string(entry.shape[k]);
    text += "],\"data_offsets\":[" + std::to_string(entry.begin) + ',' + std::to_string(entry.end) + "]}";
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace wu::io
