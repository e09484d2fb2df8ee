// safetensors files: a length, a JSON header, and the tensors' bytes. Reading checks the whole header before it hands out
// anything; writing gives the bytes that the reference writer would, and replaces a file whole or not at all.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "wu/core/dtype.hpp"
#include "wu/core/error.hpp"
#include "wu/io/atomic_file.hpp"
#include "wu/io/json_header.hpp"
#include "wu/io/mapped_file.hpp"
#include "wu/io/printable.hpp"
#include "wu/io/stored_tensors.hpp"

namespace wu::io {

static_assert(std::endian::native == std::endian::little,
              "wu/io: safetensors files are little-endian, and so must the machine be");

namespace detail {

// ---- element types that C++ does not have --------------------------------------------------------------------------------
/// IEEE binary16.
struct Half {
  std::uint16_t bits;
};
/// 1 bit sign, 4 exponent (bias 7), 3 fraction; no infinity, all ones is NaN.
struct Float8E4M3 {
  std::uint8_t bits;
};

constexpr float to_float(Half h) {
  const std::uint32_t sign = (h.bits & 0x8000u) << 16, exponent = h.bits >> 10 & 0x1Fu, fraction = h.bits & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

constexpr float to_float(Float8E4M3 x) {
  const std::uint32_t sign = (x.bits & 0x80u) << 24, exponent = x.bits >> 3 & 0xFu, fraction = x.bits & 7u;
  if ((x.bits & 0x7Fu) == 0x7Fu) return std::bit_cast<float>(sign | 0x7FC00000u);
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-9f;
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | (exponent + 120) << 23 | fraction << 20);
}

/// Rounds to nearest, ties to even; from 65520 on to infinity; a NaN stays a NaN.
constexpr Half to_half(float value) {
  const auto u = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = u >> 16 & 0x8000u, magnitude = u & 0x7FFFFFFFu;
  std::uint32_t half = 0;
  if (magnitude > 0x7F800000u) half = 0x7E00u | (magnitude >> 13 & 0x3FFu);
  else if (magnitude >= 0x477FF000u) half = 0x7C00u;
  else if (magnitude < 0x38800000u)  // subnormal: beside 0.5 the spacing of floats is that of subnormal halves, 2^-24
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3F000000u;
  else half = ((magnitude + 0xFFFu + (magnitude >> 13 & 1u)) >> 13) - (112u << 10);
  return {static_cast<std::uint16_t>(sign | half)};
}

template <class S>
S load(const std::byte* from) {
  S value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Sets `to` to the nearest value of T (for bfloat16: of the nearest float). False where `from` is finite but beyond T's
/// range.
template <class T, class S>
bool convert(S from, T& to) {
  if constexpr (std::is_same_v<S, Half> || std::is_same_v<S, Float8E4M3>) return convert(to_float(from), to);
  else if constexpr (std::is_same_v<S, bfloat16>) return convert(static_cast<float>(from), to);
  else if constexpr (std::is_same_v<T, double>) to = static_cast<double>(from);
  else {
    if constexpr (std::is_same_v<S, double>)  // from half a step above the largest float on
      if (std::abs(from) >= 0x1.ffffffp127 && !std::isinf(from)) return false;
    const float near = static_cast<float>(from);
    if constexpr (std::is_same_v<T, Half>) to = to_half(near);
    else to = T(near);
    if constexpr (std::is_same_v<T, Half>) return (to.bits & 0x7FFFu) != 0x7C00u || std::isinf(near);
    else if constexpr (std::is_same_v<T, bfloat16>) return (to.bits & 0x7FFFu) != 0x7F80u || std::isinf(near);
  }
  return true;
}

/// Calls f(std::type_identity<S>{}), S being how values of this type are stored; false for a type that has no conversion.
template <class F>
bool with_stored_type(DType dtype, F&& f) {
  const auto as = [&]<class S>(std::type_identity<S> stored) {
    f(stored);
    return true;
  };
  switch (dtype) {
    case DType::F64: return as(std::type_identity<double>{});
    case DType::F32: return as(std::type_identity<float>{});
    case DType::BF16: return as(std::type_identity<bfloat16>{});
    case DType::F16: return as(std::type_identity<Half>{});
    case DType::F8_E4M3: return as(std::type_identity<Float8E4M3>{});
    case DType::I8: return as(std::type_identity<std::int8_t>{});
    case DType::U8: return as(std::type_identity<std::uint8_t>{});
    case DType::I16: return as(std::type_identity<std::int16_t>{});
    case DType::U16: return as(std::type_identity<std::uint16_t>{});
    case DType::I32: return as(std::type_identity<std::int32_t>{});
    case DType::U32: return as(std::type_identity<std::uint32_t>{});
    case DType::I64: return as(std::type_identity<std::int64_t>{});
    case DType::U64: return as(std::type_identity<std::uint64_t>{});
    default: return false;
  }
}

/// Calls f(k, value) for the tensor's values in order, converted to T. Throws FileError for an element type that has no
/// conversion, and for a finite value beyond T's range.
template <class T, class F>
void each_value(const StoredTensor& tensor, F&& f) {
  const auto walk = [&]<class S>(std::type_identity<S>) {
    const std::size_t n = tensor.bytes.size() / sizeof(S);
    for (std::size_t k = 0; k < n; ++k) {
      const S stored = load<S>(tensor.bytes.data() + k * sizeof(S));
      T value;
      if (!convert(stored, value))
        fail(tensor, "expected values that ", name_of(dtype_of<T>()), " can hold, found one beyond its range at ",
             place_text(tensor.shape, k));
      f(k, value);
    }
  };
  if (!with_stored_type(tensor.dtype, walk))
    fail(tensor, "expected a type that can become ", name_of(dtype_of<T>()), ", found ", name_of(tensor.dtype));
}

}  // namespace detail

/// Whether read_into() can read values of this type as numbers.
inline bool is_number(DType dtype) {
  return detail::with_stored_type(dtype, [](auto) {});
}

/// Copies a tensor's values to `out`, which has exactly as many. T is float, double or wu::bfloat16, and the file's type
/// F64, F32, BF16, F16, F8_E4M3 or an integer: values are rounded to nearest (to bfloat16 by way of float), NaN and
/// infinities are kept. T may also be an integer type if the file holds just that one.
/// Throws FileError where the counts or types do not fit, before anything is written, and where a finite value is too large
/// for T, when part of `out` has been.
template <class T>
void read_into(const StoredTensor& tensor, std::span<T> out) {
  static_assert(!std::is_const_v<T>, "read_into: the span must be writable");
  constexpr DType wanted = dtype_of<T>();
  if (static_cast<std::uint64_t>(tensor.count()) != out.size())
    detail::fail(tensor, "expected ", std::to_string(out.size()), " values, found ", std::to_string(tensor.count()),
                 " in shape ", shape_text(tensor.shape));
  if constexpr (std::is_integral_v<T>) {
    if (tensor.dtype != wanted || std::is_same_v<T, bool>)
      detail::fail(tensor, "expected a type that can become ", name_of(wanted), ", found ", name_of(tensor.dtype));
  }
  if (tensor.dtype == wanted) {
    if (!out.empty()) std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
  } else if constexpr (!std::is_integral_v<T>) {
    detail::each_value<T>(tensor, [&](std::size_t k, T value) { out[k] = value; });
  }
}
/// The same into a vector that already has the tensor's size.
template <class T>
void read_into(const StoredTensor& tensor, std::vector<T>& out) {
  read_into(tensor, std::span<T>(out));
}

/// How to open a file.
struct ReadOptions {
  std::uint64_t header_limit = 100'000'000;  ///< bytes; the reference's own limit
  Access access = Access::map;
};

/// An open safetensors file. Nothing is handed out before the whole header has been checked against the file's real size:
/// known types, no duplicate names, sizes that match shapes, and data that the tensors cover without hole or overlap.
/// The values themselves are not looked at: they may be NaN. The tensors are in the order of their data.
class SafeTensors : public StoredTensors {
 public:
  /// Throws FileError when the file cannot be opened or breaks a rule of the format.
  static SafeTensors open(const std::string& path, const ReadOptions& options = {}) {
    SafeTensors result(path);
    result.storage_ = MappedFile(path, options.access);
    result.index(result.storage_.bytes(), options);
    return result;
  }

  /// The same for bytes that are in memory and stay there as long as the result. `name` stands for the file in messages.
  static SafeTensors from_bytes(std::span<const std::byte> bytes, const std::string& name, const ReadOptions& options = {}) {
    SafeTensors result(name);
    result.index(bytes, options);
    return result;
  }

 private:
  using StoredTensors::StoredTensors;

  void index(std::span<const std::byte> bytes, const ReadOptions& options) {
    const auto fail = [&](const auto&... what) { throw FileError(message(printable_path(file()), ": ", what...)); };
    if (bytes.size() < 8) fail("expected a safetensors file of at least 8 bytes, found ", std::to_string(bytes.size()));
    const auto length = detail::load<std::uint64_t>(bytes.data());
    if (length > options.header_limit)
      fail("expected a header of at most ", std::to_string(options.header_limit), " bytes, found ", std::to_string(length),
           " (is this a safetensors file?)");
    if (length > bytes.size() - 8)
      fail("expected a header of ", std::to_string(length), " bytes, found ", std::to_string(bytes.size() - 8),
           " in the rest of the file");
    const auto header_size = static_cast<std::size_t>(length);
    const auto data = bytes.subspan(8 + header_size);
    Header header = parse_header({reinterpret_cast<const char*>(bytes.data() + 8), header_size}, data.size(), file());

    std::vector<StoredTensor> tensors;
    tensors.reserve(header.entries.size());
    for (HeaderEntry& entry : header.entries)
      tensors.push_back(
          {std::move(entry.name), entry.dtype, std::move(entry.shape),
           data.subspan(static_cast<std::size_t>(entry.begin), static_cast<std::size_t>(entry.end - entry.begin)),
           shared_file()});
    hold(std::move(tensors), std::move(header.metadata));
  }

  MappedFile storage_;
};

/// A tensor to be written. bytes must stay where they are until it is; `owned` keeps them where the tensor was converted.
struct TensorToSave {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
  std::shared_ptr<const std::vector<std::byte>> owned = nullptr;
};

/// Values of T (float, double, wu::bfloat16, bool or an integer) as they are. They must outlive the result.
template <class T, std::size_t N>
TensorToSave tensor_to_save(std::string name, std::vector<std::int64_t> shape, std::span<T, N> values) {
  return {std::move(name), dtype_of<T>(), std::move(shape), std::as_bytes(values)};
}
/// The same of a vector, which must outlive the result.
template <class T>
TensorToSave tensor_to_save(std::string name, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  return tensor_to_save(std::move(name), std::move(shape), std::span(values));
}
/// A vector that is about to end cannot be saved from.
template <class T>
TensorToSave tensor_to_save(std::string name, std::vector<std::int64_t> shape, std::vector<T>&& values) = delete;

/// Values of float, double or wu::bfloat16 copied as F64, F32, BF16 or F16, rounded to nearest. Throws FileError for another
/// type and for a finite value beyond the type's range.
template <class T, std::size_t N>
TensorToSave tensor_to_save_as(DType dtype, std::string name, std::vector<std::int64_t> shape, std::span<T, N> values) {
  auto bytes = std::make_shared<std::vector<std::byte>>();
  const auto fill = [&]<class S>(std::type_identity<S>) {
    bytes->resize(values.size() * sizeof(S));
    for (std::size_t k = 0; k < values.size(); ++k) {
      S stored;
      if (!detail::convert(values[k], stored))
        throw FileError(message("tensor ", printable(name), ": expected values that ", name_of(dtype),
                                " can hold, found one beyond its range at position ", std::to_string(k)));
      std::memcpy(bytes->data() + k * sizeof(S), &stored, sizeof(S));
    }
  };
  switch (dtype) {
    case DType::F64: fill(std::type_identity<double>{}); break;
    case DType::F32: fill(std::type_identity<float>{}); break;
    case DType::BF16: fill(std::type_identity<bfloat16>{}); break;
    case DType::F16: fill(std::type_identity<detail::Half>{}); break;
    default:
      throw FileError(
          message("tensor ", printable(name), ": expected F64, F32, BF16 or F16 to save as, found ", name_of(dtype)));
  }
  const std::span<const std::byte> view(*bytes);
  return {std::move(name), dtype, std::move(shape), view, std::move(bytes)};
}
/// The same for values in a vector.
template <class T>
TensorToSave tensor_to_save_as(DType dtype, std::string name, std::vector<std::int64_t> shape,
                               const std::vector<T>& values) {
  return tensor_to_save_as(dtype, std::move(name), std::move(shape), std::span(values));
}

namespace detail {

/// Puts tensors in the reference writer's order, checks what a reader would refuse, and places their bytes.
inline std::vector<HeaderEntry> arrange(std::vector<TensorToSave>& tensors, const Metadata& metadata,
                                        const std::string& path) {
  const auto fail = [&](const std::string& name, const auto&... what) {
    throw FileError(message("could not save ", printable_path(path), ": tensor ", printable(name), ": ", what...));
  };
  for (const auto& [key, value] : metadata)
    if (first_ill_formed(key) < key.size() || first_ill_formed(value) < value.size())
      throw FileError(message("could not save ", printable_path(path), ": expected UTF-8 in the metadata ", printable(key)));
  std::sort(tensors.begin(), tensors.end(), [](const TensorToSave& a, const TensorToSave& b) {
    return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
  });
  std::set<std::string_view> names;
  std::vector<HeaderEntry> entries;
  std::uint64_t end = 0;
  for (const TensorToSave& tensor : tensors) {
    const auto bytes = byte_count(tensor.dtype, tensor.shape);
    if (tensor.name == "__metadata__") fail(tensor.name, "expected another name, for this one is reserved");
    if (first_ill_formed(tensor.name) < tensor.name.size()) fail(tensor.name, "expected a name in UTF-8");
    if (!names.insert(tensor.name).second) fail(tensor.name, "expected each name once, found it twice");
    if (tensor.shape.size() > max_rank)
      fail(tensor.name, "expected at most ", max_rank, " axes, found ", tensor.shape.size());
    if (!bytes || *bytes != tensor.bytes.size())
      fail(tensor.name, "expected as many bytes as ", name_of(tensor.dtype), " ", shape_text(tensor.shape), " takes",
           bytes ? " (" + std::to_string(*bytes) + ")" : std::string(), ", found ", std::to_string(tensor.bytes.size()));
    entries.push_back({tensor.name, tensor.dtype, tensor.shape, end, end + *bytes});
    end += *bytes;
  }
  return entries;
}

/// Puts tensors in the reference writer's order and gives the header that describes them.
inline std::string arranged_header(std::vector<TensorToSave>& tensors, Metadata metadata, const std::string& path) {
  const std::string& format = metadata.emplace("format", "pt").first->second;
  if (format != "pt")
    throw FileError(message("could not save ", printable_path(path),
                            ": expected the metadata \"format\" to be \"pt\", found ", printable(format)));
  std::string header = format_header(arrange(tensors, metadata, path), metadata);
  if (header.size() > ReadOptions{}.header_limit)
    throw FileError(message("could not save ", printable_path(path), ": expected a header of at most ",
                            std::to_string(ReadOptions{}.header_limit), " bytes, found ", std::to_string(header.size())));
  return header;
}

/// Writes a header and the tensors that it describes.
inline void write_safetensors(AtomicFile& file, const std::string& header, const std::vector<TensorToSave>& tensors) {
  const std::uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const TensorToSave& tensor : tensors) file.write(tensor.bytes);
}

}  // namespace detail

/// Writes a file which every safetensors reader takes: order and spelling are the reference writer's, the metadata always
/// holds "format": "pt", which some readers insist on, and equal input gives equal bytes. The file that was there before is
/// replaced when all of the new one is on the disk, and is left alone when anything fails.
/// Throws FileError: two tensors of one name, bytes that do not fit a shape, or the file cannot be written.
inline void save_safetensors(const std::string& path, std::vector<TensorToSave> tensors, Metadata metadata = {}) {
  const std::string header = detail::arranged_header(tensors, std::move(metadata), path);
  AtomicFile file(path);
  detail::write_safetensors(file, header, tensors);
  file.commit();
}

}  // namespace wu::io
