// What can be said of a tensor's values in one pass over them, a small part at a time: a file may be larger than the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "wu/io/stored_tensors.hpp"

namespace inspect {

/// Of the values that are neither NaN nor infinite: how many, their Frobenius norm, the smallest and the largest.
struct Values {
  std::uint64_t finite = 0, nan = 0, infinite = 0;
  double norm = 0;
  double smallest = 0, largest = 0;  ///< 0 where no value is finite
};

/// Nothing for element types that are no numbers to this program (BOOL, F4, C64, ...). The tensor must lie in a mapped file;
/// its pages are handed back as the pass goes on.
std::optional<Values> values_of(const wu::io::StoredTensor& tensor);

/// Says that these bytes of a mapped file are not needed again soon: memory that they take becomes free, and touched again they
/// come from the file again.
void hand_back(std::span<const std::byte> bytes);

/// Adds what was found in another tensor.
void add(Values& to, const Values& more);

}  // namespace inspect
