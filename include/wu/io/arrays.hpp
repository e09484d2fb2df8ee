// wu's tensors as xtensor arrays and back. Needs xtensor 0.24 (CMake target wu::arrays), and so stands in no other header.
//     as_xtensor(view)           the same memory as an xtensor expression; a View<const T> gives one that cannot be written
//     to_xtensor(view)           a copy; wu::bfloat16, which xtensor cannot compute with, becomes float
//     as_view<View<T, ...>>(a)   the same memory as a View, where the array lies in rows, one after the other
//     to_tensor<Tensor<T, ...>>(a)   a copy of any expression in any layout, its values converted
// Extents that stand in the types are compared by the compiler, all others before anything is handed out.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xfixed.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xutils.hpp>

#include "wu/core/buffer.hpp"
#include "wu/core/dtype.hpp"
#include "wu/core/error.hpp"
#include "wu/core/fits.hpp"
#include "wu/core/view.hpp"
#include "wu/io/extents.hpp"
#include "wu/io/json_header.hpp"
#include "wu/io/safetensors.hpp"  // convert

namespace wu::io {

namespace detail {

template <class T>
constexpr bool check_element() {
  static_assert(!std::is_same_v<std::remove_const_t<T>, bfloat16>,
                "as_xtensor: xtensor cannot compute with wu::bfloat16; use to_xtensor, which copies to float");
  return true;
}

inline void check_memory(const char* what, const void* data, Index size) {
  if (data == nullptr && size > 0)
    throw Error(message(what, ": expected memory under a view of ", size, " values, found a null view"));
}

template <class V>
auto shape_array(const V& view) {
  std::array<std::size_t, V::rank> shape{};
  for (std::size_t axis = 0; axis < V::rank; ++axis) shape[axis] = static_cast<std::size_t>(view.extent(axis));
  return shape;
}

template <class A>
std::vector<std::int64_t> shape_of_array(const A& array) {
  std::vector<std::int64_t> shape;
  for (const auto extent : array.shape()) shape.push_back(static_cast<std::int64_t>(extent));
  return shape;
}

/// An array of so many axes, SIZE_MAX if only run time tells, that is to become a View or Tensor of so many extents.
template <std::size_t Found, std::size_t Expected>
struct ArrayAxes {
  static_assert(fits<(Found == SIZE_MAX || Found == Expected),
                     "expected an array with an axis for every extent of the wu type, ", Expected, ", found ", Found>);
  static constexpr bool value = true;
};
/// Extents that stand in both types; only xtensor_fixed's do.
template <class Shape, class Wanted>
struct ArrayExtents {
  static constexpr bool value = true;
};
template <std::size_t... X, template <class, Index...> class Wanted, class T, Index... E>
  requires(sizeof...(X) == sizeof...(E))
struct ArrayExtents<xt::fixed_shape<X...>, Wanted<T, E...>> {
  static_assert(fits<((E == dyn || E == static_cast<Index>(X)) && ...), "expected an array of extents ", E...,
                     " (-1 is wu::dyn), as the wu type, found ", X...>);
  static constexpr bool value = true;
};
/// Where T may be written, so must Element.
template <class T, class Element>
struct ArrayWritable {
  static_assert(fits<(std::is_const_v<T> || !std::is_const_v<Element>), "as_view: expected an array of ", type<T>,
                     ", as the View, found one of ", type<Element>, ", which cannot be written; ask for a View of const">);
  static constexpr bool value = true;
};

template <class A, Index... E>
void check_shape(const char* what, const A& array) {
  if (const std::string why = misfit<E...>(shape_of_array(array)); !why.empty()) throw ShapeError(message(what, ": ", why));
}

/// Throws unless the values lie in rows, one after the other. xtensor writes stride 0 for an axis of one value.
template <class A>
void check_rows_contiguous(const A& array) {
  const std::vector<std::int64_t> shape = shape_of_array(array);
  std::vector<std::int64_t> found, expected(shape.size(), 1);
  for (const auto stride : array.strides()) found.push_back(static_cast<std::int64_t>(stride));
  for (std::size_t axis = shape.size(); axis-- > 1;) expected[axis - 1] = expected[axis] * shape[axis];
  bool fits = true, empty = false;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    empty = empty || shape[axis] == 0;
    fits = fits && (shape[axis] == 1 || found[axis] == expected[axis]);
  }
  if (!fits && !empty)
    throw ShapeError(message("as_view: expected values in rows, one after the other, with strides ", shape_text(expected),
                             ", found strides ", shape_text(found), "; to_tensor copies them into rows"));
}

template <class A>
concept InMemory = requires(A& array) {
  array.data();
  array.data_offset();
  array.strides();
};

template <class T, Index... E, class A>
View<T, E...> as_view(A& array, std::type_identity<View<T, E...>>) {
  static_assert(InMemory<A>, "as_view: this expression computes its values and has none in memory; copy it with to_tensor");
  if constexpr (InMemory<A>) {
    using Element = std::remove_pointer_t<decltype(array.data())>;
    static_assert(std::is_same_v<std::remove_const_t<Element>, std::remove_const_t<T>>,
                  "as_view: the array and the View must have the same type of values; to_tensor converts");
    check_shape<std::remove_const_t<A>, E...>("as_view", array);
    check_rows_contiguous(array);
    return {array.data() + array.data_offset(), dynamic_of<E...>(shape_of_array(array))};
  }
}

template <class T, Index... E, class A>
Tensor<T, E...> to_tensor(const A& array, std::type_identity<Tensor<T, E...>>) {
  using S = std::remove_cvref_t<decltype(*array.template begin<xt::layout_type::row_major>())>;
  static_assert(std::is_same_v<S, T> || std::is_arithmetic_v<S>, "to_tensor: an array of real numbers");
  static_assert(std::is_same_v<S, T> || !std::is_integral_v<T>,
                "to_tensor: integers come from an array of the same type; convert it with xt::cast, and mind its range");
  check_shape<A, E...>("to_tensor", array);
  auto tensor = tensor_of<T, E...>(shape_of_array(array));
  std::size_t k = 0;
  for (auto value = array.template begin<xt::layout_type::row_major>(); k < static_cast<std::size_t>(tensor.size());
       ++value, ++k) {
    T& to = tensor[static_cast<Index>(k)];
    if constexpr (std::is_same_v<S, T>) to = *value;
    else if (!convert(static_cast<S>(*value), to))
      throw Error(message("to_tensor: expected values that ", dtype_name<T>, " can hold, found one beyond its range at ",
                          place_text(shape_of_array(array), k)));
  }
  return tensor;
}

template <class>
inline constexpr bool is_view = false;
template <class T, Index... E>
inline constexpr bool is_view<View<T, E...>> = true;

}  // namespace detail

/// The view's memory as an xtensor expression: of type xtensor_fixed where all extents stand in the type, else xtensor of
/// that rank. It lives as long as the memory; assigning to it writes there. Throws Error for a null view that should have
/// values.
template <class T, Index... E>
auto as_xtensor(View<T, E...> view) {
  detail::check_element<T>();
  detail::check_memory("as_xtensor", view.data, view.size());
  if constexpr (sizeof...(E) > 0 && ((E > 0) && ...))
    return xt::adapt<xt::layout_type::row_major>(+view.data, xt::fixed_shape<static_cast<std::size_t>(E)...>());
  else return xt::adapt<xt::layout_type::row_major>(+view.data, detail::shape_array(view));
}
/// Columns of a wider matrix as a strided (rows, W) expression. Not a strided adaptor: in xtensor 0.24 `adaptor += 1`
/// writes to the values between the columns.
template <class T, Index W>
auto as_xtensor(Columns<T, W> columns) {
  detail::check_element<T>();
  detail::check_memory("as_xtensor", columns.data, columns.size());
  const Index reach = columns.size() > 0 ? (columns.count - 1) * columns.stride + W : 0;
  const std::array<std::size_t, 1> all{static_cast<std::size_t>(reach)};
  const std::array<std::size_t, 2> shape{static_cast<std::size_t>(columns.count), static_cast<std::size_t>(W)};
  std::array<std::ptrdiff_t, 2> strides{columns.count == 1 ? 0 : columns.stride,
                                        W == 1 ? 0 : 1};  // 0: xtensor may repeat it
  return xt::strided_view<xt::layout_type::dynamic>(xt::adapt<xt::layout_type::row_major>(+columns.data, all), shape,
                                                    std::move(strides), 0, xt::layout_type::dynamic);
}
/// The values of a tensor, which must outlive what is returned.
template <class T, Index... E>
auto as_xtensor(Tensor<T, E...>& tensor) {
  return as_xtensor(tensor.view());
}
/// The same, not to be written to.
template <class T, Index... E>
auto as_xtensor(const Tensor<T, E...>& tensor) {
  return as_xtensor(tensor.view());
}
/// A Tensor that nobody keeps would be gone before its array is read.
template <class T, Index... E>
void as_xtensor(const Tensor<T, E...>&& tensor) = delete;

/// A copy that owns its values: xt::xtensor<T, rank>, of float where T is wu::bfloat16. Throws Error as as_xtensor does.
template <class T, Index... E>
auto to_xtensor(View<T, E...> view) {
  using Value = std::remove_const_t<T>;
  detail::check_memory("to_xtensor", view.data, view.size());
  auto copy = xt::xtensor<std::conditional_t<std::is_same_v<Value, bfloat16>, float, Value>, sizeof...(E),
                          xt::layout_type::row_major>::from_shape(detail::shape_array(view));
  std::copy_n(view.data, view.size(), copy.data());
  return copy;
}
/// Columns likewise, (rows, W).
template <class T, Index W>
auto to_xtensor(Columns<T, W> columns) {
  using Value = std::remove_const_t<T>;
  detail::check_memory("to_xtensor", columns.data, columns.size());
  const std::array<std::size_t, 2> shape{static_cast<std::size_t>(columns.count), static_cast<std::size_t>(W)};
  auto copy = xt::xtensor<std::conditional_t<std::is_same_v<Value, bfloat16>, float, Value>, 2,
                          xt::layout_type::row_major>::from_shape(shape);
  for (Index r = 0; r < columns.rows(); ++r) std::copy_n(columns.row(r), W, copy.data() + r * W);
  return copy;
}
/// A tensor likewise.
template <class T, Index... E>
auto to_xtensor(const Tensor<T, E...>& tensor) {
  return to_xtensor(tensor.view());
}

/// The array's memory as a View: as_view<View<float, dyn, 3>>(array), of an xt::xtensor, xt::xarray, xt::xtensor_fixed, an
/// adaptor, or a named view of one. It lives as long as the array is there and keeps its size. A const array gives a
/// View<const T, ...>. Throws ShapeError where the extents are others, or the values do not lie in rows one after the other.
template <class V, class A>
V as_view(A& array) {
  static_assert(detail::is_view<V>, "as_view: say which wu::View the array becomes: as_view<View<float, dyn, 3>>(array)");
  static_assert(detail::ArrayAxes<xt::get_rank<A>::value, V::rank>::value);
  static_assert(detail::ArrayExtents<typename A::shape_type, V>::value);
  if constexpr (detail::InMemory<A>) {
    using Element = std::remove_pointer_t<decltype(array.data())>;
    static_assert(detail::ArrayWritable<typename V::element_type, Element>::value);
    // After that message there is nothing to convert.
    if constexpr (std::is_const_v<Element> && !std::is_const_v<typename V::element_type>) return V{};
    else return detail::as_view(array, std::type_identity<V>{});
  } else return detail::as_view(array, std::type_identity<V>{});
}
/// Give the array a name first: a view of a temporary would outlive it.
template <class V, class A>
V as_view(const A&& array) = delete;

/// A copy of any xtensor expression, in rows: to_tensor<Tensor<float, dyn, 3>>(xt::transpose(a)). Real numbers become T
/// (float, double or wu::bfloat16) rounded to nearest; NaN and infinities are kept. A Tensor of integers takes integers of
/// its type. Throws ShapeError where the extents are others, Error for a finite value beyond T's range.
template <class Array, class A>
Array to_tensor(const xt::xexpression<A>& array) {
  static_assert(detail::is_tensor<Array>,
                "to_tensor: say which wu::Tensor the array becomes: to_tensor<Tensor<float, dyn, 3>>(array)");
  static_assert(detail::ArrayAxes<xt::get_rank<A>::value, decltype(std::declval<Array&>().view())::rank>::value);
  static_assert(detail::ArrayExtents<typename A::shape_type, Array>::value);
  return detail::to_tensor(array.derived_cast(), std::type_identity<Array>{});
}

}  // namespace wu::io
