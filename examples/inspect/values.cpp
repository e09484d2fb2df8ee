#include "inspect/values.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "wu/io/safetensors.hpp"

namespace inspect {
namespace {

using wu::io::StoredTensor;

/// Powers of two are exact, so the squares below neither overflow nor vanish, whatever the values are.
double norm_of(std::span<const double> values, double largest_magnitude) {
  if (largest_magnitude == 0) return 0;
  const int exponent = std::clamp(std::ilogb(largest_magnitude), -1000, 1000);
  const double scale = std::ldexp(1., -exponent);
  double sum = 0;
  for (const double v : values)
    if (std::isfinite(v)) sum += v * scale * (v * scale);
  return std::ldexp(std::sqrt(sum), exponent);
}

void add_part(Values& to, std::span<const double> values) {
  Values part;
  double magnitude = 0;
  for (const double v : values) {
    if (std::isnan(v)) ++part.nan;
    else if (std::isinf(v)) ++part.infinite;
    else {
      part.smallest = part.finite == 0 ? v : std::min(part.smallest, v);
      part.largest = part.finite == 0 ? v : std::max(part.largest, v);
      magnitude = std::max(magnitude, std::abs(v));
      ++part.finite;
    }
  }
  part.norm = norm_of(values, magnitude);
  add(to, part);
}

}  // namespace

void hand_back(std::span<const std::byte> bytes) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t first = (begin + page - 1) / page * page, last = (begin + bytes.size()) / page * page;
  if (first < last)  // whole pages; no more than advice: an error would change nothing that is printed
    ::madvise(const_cast<std::byte*>(bytes.data()) + (first - begin), last - first, MADV_DONTNEED);
}

void add(Values& to, const Values& more) {
  if (more.finite > 0) {
    to.smallest = to.finite == 0 ? more.smallest : std::min(to.smallest, more.smallest);
    to.largest = to.finite == 0 ? more.largest : std::max(to.largest, more.largest);
    to.norm = std::hypot(to.norm, more.norm);
  }
  to.finite += more.finite;
  to.nan += more.nan;
  to.infinite += more.infinite;
}

std::optional<Values> values_of(const StoredTensor& tensor) {
  if (!wu::io::is_number(tensor.dtype)) return std::nullopt;
  constexpr std::size_t most = 1 << 16;
  const std::size_t width = static_cast<std::size_t>(wu::io::bits_of(tensor.dtype)) / 8, count = tensor.bytes.size() / width;
  std::vector<double> buffer(std::min(most, count));
  Values values;
  for (std::size_t done = 0; done < count; done += most) {
    const std::size_t n = std::min(most, count - done);
    const auto bytes = tensor.bytes.subspan(done * width, n * width);
    const std::span<double> part(buffer.data(), n);
    wu::io::read_into({tensor.name, tensor.dtype, {static_cast<std::int64_t>(n)}, bytes, tensor.file}, part);
    add_part(values, part);
    hand_back(bytes);
  }
  return values;
}

}  // namespace inspect
