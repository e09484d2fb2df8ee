// NumPy's .npy files: one array each.                    numpy.lib.format in the documentation of NumPy, versions 1.0 to 3.0
//     "\x93NUMPY", two bytes of version, the header's length (2 bytes in version 1, else 4), the header, the values
// The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), }, spaces, a line break.
// Nothing is trusted before it is checked: the values must be as many as the shape says before memory is taken for them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "wu/core/buffer.hpp"
#include "wu/core/dtype.hpp"
#include "wu/core/error.hpp"
#include "wu/core/view.hpp"
#include "wu/io/atomic_file.hpp"
#include "wu/io/extents.hpp"
#include "wu/io/json_header.hpp"
#include "wu/io/mapped_file.hpp"
#include "wu/io/parameters.hpp"
#include "wu/io/printable.hpp"
#include "wu/io/safetensors.hpp"

namespace wu::io {

namespace detail {

inline constexpr std::string_view npy_magic("\x93NUMPY", 6);

/// The array of a .npy file. values point into the file's bytes.
struct NpyArray {
  std::string file;  ///< for messages
  DType dtype = DType::F32;
  bool column_major = false;  ///< "Fortran order": the first axis lies innermost
  std::vector<std::int64_t> shape;
  std::span<const std::byte> values;

  template <class... What>
  [[noreturn]] void fail(const What&... what) const {
    throw FileError(message(printable_path(file), ": ", what...));
  }
};

/// Reads the dictionary of the header, whose keys may come in any order.
class NpyHeaderReader {
 public:
  NpyHeaderReader(std::string_view text, NpyArray& array) : text_(text), array_(array) {}

  void read() {
    bool seen_descr = false, seen_order = false, seen_shape = false;
    const auto once = [&](bool& seen, std::string_view key) {
      if (seen) fail("expected each key once, found ", printable(key), " twice");
      seen = true;
    };
    take('{', "a dictionary that begins with {");
    while (!next_is('}')) {
      const std::string_view key = string("a key in quotes or }");
      take(':', "a colon after the key");
      if (key == "descr") once(seen_descr, key), descr();
      else if (key == "fortran_order") once(seen_order, key), array_.column_major = boolean();
      else if (key == "shape") once(seen_shape, key), shape();
      else fail("expected the keys descr, fortran_order and shape, found ", printable(key));
      if (!next_is('}')) take(',', "a comma or } after a value");
    }
    take('}', "a dictionary that ends with }");
    if (!seen_descr || !seen_order || !seen_shape)
      fail("expected the keys descr, fortran_order and shape, found no ", !seen_descr   ? "descr"
                                                                          : !seen_order ? "fortran_order"
                                                                                        : "shape");
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    if (at_ + 1 != text_.size() || text_[at_] != '\n') refuse("spaces and one line break after the dictionary");
  }

 private:
  template <class... What>
  [[noreturn]] void fail(const What&... what) const {
    array_.fail("header: ", what...);
  }
  [[noreturn]] void refuse(const char* expected) const {
    if (at_ >= text_.size()) fail("expected ", expected, ", found the end of the header");
    fail("expected ", expected, ", found ", printable(text_.substr(at_), 20), " at character ", at_);
  }

  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }
  bool next_is(char c) {
    skip_spaces();
    return at_ < text_.size() && text_[at_] == c;
  }
  void take(char c, const char* what) {
    if (!next_is(c)) refuse(what);
    ++at_;
  }
  bool take_word(std::string_view word) {
    skip_spaces();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  /// Between single or double quotes. A backslash is as good as any letter: no key or type that we know has one.
  std::string_view string(const char* what) {
    if (!next_is('\'') && !next_is('"')) refuse(what);
    const std::size_t begin = at_ + 1, end = text_.find(text_[at_], begin);
    if (end == text_.npos) refuse("a closing quotation mark");
    at_ = end + 1;
    return text_.substr(begin, end - begin);
  }

  bool boolean() {
    if (take_word("True")) return true;
    if (!take_word("False")) refuse("True or False for fortran_order");
    return false;
  }

  void shape() {
    take('(', "the shape as a tuple, which begins with (");
    bool comma = true;
    while (!next_is(')')) {
      if (!comma) refuse("a comma or ) after an extent");
      if (array_.shape.size() == max_rank) fail("expected at most ", max_rank, " axes, found more");
      array_.shape.push_back(extent());
      comma = next_is(',');
      if (comma) ++at_;
    }
    if (array_.shape.size() == 1 && !comma) refuse("a comma after the only extent of a tuple");
    take(')', "a tuple that ends with )");
  }
  std::int64_t extent() {
    skip_spaces();
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    const std::size_t begin = at_;
    std::int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      const std::int64_t digit = text_[at_] - '0';
      if (value > (most - digit) / 10) fail("expected extents below 2^63, found ", printable(text_.substr(begin), 40));
      value = 10 * value + digit;
    }
    if (at_ == begin) refuse("an extent in digits");
    return value;
  }

  void descr() {
    if (next_is('[')) fail("expected an array of plain numbers, found one of records");
    const std::string_view text = string("the type of the values in quotes, such as '<f4'");
    if (text.size() == 3) {
      const std::optional<DType> type = type_named(text.substr(1));
      if (type && (text[0] == '<' || (text[0] == '|' && text[2] == '1'))) {
        array_.dtype = *type;
        return;
      }
      if (type && text[0] == '>')
        fail("expected little-endian values, found big-endian ones: ", printable(text),
             "; NumPy converts them with astype(\"<", text.substr(1), "\")");
    }
    fail("expected values of type \"<f2\", \"<f4\", \"<f8\" or integers of 1 to 8 bytes, found ", printable(text));
  }
  static std::optional<DType> type_named(std::string_view name) {
    constexpr std::array<std::pair<std::string_view, DType>, 11> types{{{"f2", DType::F16},
                                                                        {"f4", DType::F32},
                                                                        {"f8", DType::F64},
                                                                        {"i1", DType::I8},
                                                                        {"i2", DType::I16},
                                                                        {"i4", DType::I32},
                                                                        {"i8", DType::I64},
                                                                        {"u1", DType::U8},
                                                                        {"u2", DType::U16},
                                                                        {"u4", DType::U32},
                                                                        {"u8", DType::U64}}};
    for (const auto& [text, dtype] : types)
      if (text == name) return dtype;
    return std::nullopt;
  }

  std::string_view text_;
  NpyArray& array_;
  std::size_t at_ = 0;
};

/// The array in the bytes of a file of that name. Throws FileError where a rule of the format is broken.
inline NpyArray parse_npy(std::span<const std::byte> bytes, const std::string& name) {
  NpyArray array;
  array.file = name;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(npy_magic)) array.fail("expected a .npy file, which begins with \\x93NUMPY, found another");
  if (text.size() < 10) array.fail("expected a header, found the end of the file at byte ", text.size());
  const int major = static_cast<unsigned char>(text[6]), minor = static_cast<unsigned char>(text[7]);
  if (major < 1 || major > 3 || minor != 0) array.fail("expected .npy version 1.0, 2.0 or 3.0, found ", major, ".", minor);
  const std::size_t start = major == 1 ? 10 : 12;
  if (text.size() < start) array.fail("expected a header, found the end of the file at byte ", text.size());
  const std::size_t length = major == 1 ? load<std::uint16_t>(bytes.data() + 8) : load<std::uint32_t>(bytes.data() + 8);
  if (length > text.size() - start)
    array.fail("expected a header of ", std::to_string(length), " bytes, found ", std::to_string(text.size() - start),
               " in the rest of the file");
  NpyHeaderReader(text.substr(start, length), array).read();

  array.values = bytes.subspan(start + length);
  const auto expected = byte_count(array.dtype, array.shape);
  const std::string what = message(name_of(array.dtype), " ", shape_text(array.shape));
  if (!expected) array.fail("expected values of fewer than 2^60 bytes, found ", what);
  if (*expected != array.values.size())
    array.fail("expected ", std::to_string(*expected), " bytes of values for ", what, ", found ",
               std::to_string(array.values.size()));
  return array;
}

/// Calls f(place, k) for the values in the order in which they are stored: the k-th belongs at `place`, row by row.
template <class F>
void each_place(const NpyArray& array, std::size_t count, F&& f) {
  if (!array.column_major || array.shape.size() < 2) {
    for (std::size_t k = 0; k < count; ++k) f(k, k);
    return;
  }
  const std::size_t rank = array.shape.size();
  std::vector<std::size_t> stride(rank, 1), digit(rank, 0);
  for (std::size_t axis = rank - 1; axis-- > 0;)
    stride[axis] = stride[axis + 1] * static_cast<std::size_t>(array.shape[axis + 1]);
  std::size_t place = 0;
  for (std::size_t k = 0; k < count; ++k) {
    f(place, k);
    for (std::size_t axis = 0; axis < rank; ++axis) {  // the first axis counts fastest
      place += stride[axis];
      if (++digit[axis] < static_cast<std::size_t>(array.shape[axis])) break;
      place -= digit[axis] * stride[axis];
      digit[axis] = 0;
    }
  }
}

template <class T>
void read_values(const NpyArray& array, std::span<T> out) {
  const auto walk = [&]<class S>(std::type_identity<S>) {
    each_place(array, out.size(), [&](std::size_t place, std::size_t k) {
      const S stored = load<S>(array.values.data() + k * sizeof(S));
      if constexpr (std::is_same_v<S, T>) out[place] = stored;
      else if (!convert(stored, out[place]))
        array.fail("expected values that ", name_of(dtype_of<T>()), " can hold, found one beyond its range at ",
                   place_text(array.shape, place));
    });
  };
  if (array.dtype == dtype_of<T>()) return walk(std::type_identity<T>{});
  if constexpr (!std::is_integral_v<T>)
    if (with_stored_type(array.dtype, walk)) return;
  array.fail("expected a type that can become ", name_of(dtype_of<T>()), ", found ", name_of(array.dtype));
}

template <class T, Index... E>
Tensor<T, E...> load_npy(const std::string& path, Access access, std::type_identity<Tensor<T, E...>>) {
  static_assert(!std::is_same_v<T, bool>, "load_npy: a Tensor of float, double, wu::bfloat16 or an integer type");
  const MappedFile file(path, access);
  const NpyArray array = parse_npy(file.bytes(), path);
  if (const std::string what = misfit<E...>(array.shape); !what.empty()) array.fail(what);
  auto tensor = tensor_of<T, E...>(array.shape);
  read_values(array, tensor.span());
  return tensor;
}

/// The beginning of a file of version 1.0, up to the values: a multiple of 64 bytes, so that those are aligned when mapped.
inline std::string format_npy_header(DType dtype, const std::vector<std::int64_t>& shape) {
  const std::string_view name = name_of(dtype);  // "F32" is 'f4'
  const int bytes = bits_of(dtype) / 8;
  std::string text = message("{'descr': '", bytes == 1 ? '|' : '<', static_cast<char>(name[0] - 'A' + 'a'), bytes,
                             "', 'fortran_order': False, 'shape': (");
  for (std::size_t k = 0; k < shape.size(); ++k) text += (k == 0 ? "" : " ") + std::to_string(shape[k]) + ',';
  if (shape.size() > 1) text.pop_back();  // a tuple of one keeps its comma
  text += "), }";
  text.append(63 - (npy_magic.size() + 4 + text.size()) % 64, ' ');
  text += '\n';
  const char start[] = {1, 0, static_cast<char>(text.size() & 0xFFu), static_cast<char>(text.size() >> 8)};
  return std::string(npy_magic) + std::string(start, sizeof start) + text;
}

}  // namespace detail

/// The array of a .npy file as a Tensor: load_npy<Tensor<float, dyn, 3>>("points.npy"). Extents that stand in the type must
/// be the file's. Arrays in Fortran order are put in rows; big-endian ones are refused. The file's values are f2, f4, f8 or
/// integers, and become float, double or wu::bfloat16 as read_into() converts them (rounded to nearest; NaN and infinities
/// are kept); a Tensor of integers takes a file of just that type. Throws FileError that names the file, what was expected
/// and what was found.
template <class Array>
Array load_npy(const std::string& path, Access access = Access::map) {
  static_assert(detail::is_tensor<Array>,
                "load_npy: say which wu::Tensor the array becomes: load_npy<Tensor<float, dyn, 3>>(path)");
  return detail::load_npy(path, access, std::type_identity<Array>{});
}

/// Saves an array as a .npy file, in rows, little-endian, in its own type; wu::bfloat16, which NumPy does not have, as
/// float. The file that was there before is replaced as a whole or not at all. Throws FileError where it cannot be written.
template <class T, Index... E>
void save_npy(const std::string& path, View<T, E...> array) {
  using Value = std::remove_const_t<T>;
  static_assert(!std::is_same_v<Value, bool>, "save_npy: float, double, wu::bfloat16 or an integer type");
  if (array.data == nullptr && array.size() > 0)
    throw Error(message("could not save ", printable_path(path), ": expected memory under the view, found a null view"));
  constexpr bool widen = std::is_same_v<Value, bfloat16>;
  AtomicFile file(path);
  file.write(detail::format_npy_header(widen ? DType::F32 : dtype_of<Value>(), detail::shape_of(array)));
  const std::span<T> values(array.data, static_cast<std::size_t>(array.size()));
  if constexpr (widen) file.write(std::as_bytes(std::span<const float>(std::vector<float>(values.begin(), values.end()))));
  else file.write(std::as_bytes(values));
  file.commit();
}
/// A tensor likewise.
template <class T, Index... E>
void save_npy(const std::string& path, const Tensor<T, E...>& array) {
  save_npy(path, array.view());
}

}  // namespace wu::io
