// Rows that lie a fixed number of values apart: what a View and Columns of a wider matrix have in common, with run-time sizes.
#pragma once

#include <type_traits>

#include "wu/core/view.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

/// Row r begins at data + r * stride. Null data: not wanted, as for a View.
template <class T>
struct Spaced {
  T* data = nullptr;
  Index stride = 0;

  /// Where row r begins.
  T* row(Index r) const { return data + r * stride; }
  /// To one through which nothing can be written.
  operator Spaced<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, stride};
  }
};

/// The rows of a view.
template <class T, Index... E>
Spaced<T> spaced(View<T, E...> view) {
  return {view.data, View<T, E...>::width};
}
/// The rows of columns out of a wider matrix.
template <class T, Index W>
Spaced<T> spaced(Columns<T, W> columns) {
  return {columns.data, columns.stride};
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
