// Shapes that are known only at run time, from a file or another library, against the extents that stand in a type.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "wu/core/buffer.hpp"
#include "wu/core/view.hpp"
#include "wu/io/json_header.hpp"  // shape_text

namespace wu::io::detail {

/// The extents of a type: "[any, 3]"; any for wu::dyn.
template <Index... E>
std::string extents_text() {
  std::string text;
  ((text += (text.empty() ? "" : ", ") + (E == dyn ? std::string("any") : std::to_string(E))), ...);
  return "[" + text + "]";
}

/// What is wrong with a shape that is to become (E...), as "expected ..., found ..."; empty where it fits.
template <Index... E>
std::string misfit(const std::vector<std::int64_t>& shape) {
  constexpr std::array<Index, sizeof...(E)> extents{E...};
  const std::string expected = "expected shape " + extents_text<E...>() + ", found " + shape_text(shape);
  if (shape.size() != extents.size())
    return expected + ": " + std::to_string(extents.size()) + (extents.size() == 1 ? " axis" : " axes") + ", not " +
           std::to_string(shape.size());
  for (std::size_t axis = 0; axis < extents.size(); ++axis)
    if (extents[axis] != dyn && extents[axis] != shape[axis])
      return expected + ": " + std::to_string(extents[axis]) + " along axis " + std::to_string(axis) + ", not " +
             std::to_string(shape[axis]);
  return {};
}

/// The extents of a fitting shape that a type leaves open.
template <Index... E>
std::array<Index, View<char, E...>::dynamic_count> dynamic_of(const std::vector<std::int64_t>& shape) {
  constexpr std::array<Index, sizeof...(E)> extents{E...};
  std::array<Index, View<char, E...>::dynamic_count> dynamic{};
  std::size_t k = 0;
  for (std::size_t axis = 0; axis < extents.size(); ++axis)
    if (extents[axis] == dyn) dynamic[k++] = static_cast<Index>(shape[axis]);
  return dynamic;
}

/// Zeros in a fitting shape.
template <class T, Index... E>
Tensor<T, E...> tensor_of(const std::vector<std::int64_t>& shape) {
  return std::apply([](auto... sizes) { return Tensor<T, E...>(sizes...); }, dynamic_of<E...>(shape));
}

template <class>
inline constexpr bool is_tensor = false;
template <class T, Index... E>
inline constexpr bool is_tensor<Tensor<T, E...>> = true;

}  // namespace wu::io::detail
