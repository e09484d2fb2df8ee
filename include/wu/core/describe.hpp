// Types as a person reads them: wu::describe<Generator>() says what a type is, with numbers that the type itself computes.
//     a type with a static describe() says it itself: give your own modules one that returns a std::string
//     a type with Parameters<T> and no more is listed tensor by tensor: names, shapes, counts
//     views, tensors and weights: "float (·, 3)", where · is an extent that is known only at run time
//     any other type: its name
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "wu/core/buffer.hpp"
#include "wu/core/dtype.hpp"
#include "wu/core/fits.hpp"  // type_name
#include "wu/core/parameters.hpp"
#include "wu/core/text.hpp"
#include "wu/core/view.hpp"

namespace wu {

/// What T is, in words and numbers, without a line break at the end. `sizes` are for types that need some to tell what a
/// forward pass takes: describe<Generator>(batch, condition_length).
template <class T, class... Sizes>
std::string describe(Sizes... sizes);

namespace text {

using detail::type_name;

/// "float", "const bfloat16", "int32".
template <class T>
std::string scalar() {
  using V = std::remove_const_t<T>;
  const std::string start = std::is_const_v<T> ? "const " : "";
  if constexpr (std::is_same_v<V, bfloat16>) return start + "bfloat16";
  else if constexpr (std::is_integral_v<V> && !std::is_same_v<V, bool>)
    return start + (std::is_signed_v<V> ? "int" : "uint") + std::to_string(8 * sizeof(V));
  else return start + std::string(type_name<V>());
}

template <class Module>
std::string parameters() {
  return counted(parameter_count<typename Module::template Parameters<float>>(), "parameter");
}
/// "8 096 647 168 parameters: 32.4 GB in float, 16.2 GB in bfloat16"; the bytes count paddings too.
template <class Module>
std::string weights() {
  const auto extent = static_cast<std::size_t>(parameter_extent<typename Module::template Parameters<float>>());
  return parameters<Module>() + ": " + bytes(extent * sizeof(float)) + " in float, " + bytes(extent * sizeof(bfloat16)) +
         " in bfloat16";
}

/// A table of a module's parameters: what its visit() names, how many values are in it, and of what shape or how many equal
/// parts.
template <class Module>
std::string parts() {
  std::vector<std::vector<std::string>> rows;
  typename Module::template Parameters<float> p{};
  p.visit([&]<class Field>(std::string_view name, Field&) {
    constexpr Index count = parameter_count<Field>();
    std::string made_of;
    if constexpr (requires { std::tuple_size<Field>::value; }) {
      constexpr auto size = static_cast<Index>(std::tuple_size_v<Field>);
      if constexpr (size > 0) made_of = grouped(size) + " × " + grouped(count / size);
    } else if constexpr (requires { Field::extents; }) made_of = shape(Field::extents);
    rows.push_back({std::string(name), grouped(count), made_of});
  });
  return table(rows, 1);
}

/// "batch 2: forward keeps 94.2 kB in float and takes 1.21 GFLOP".
inline std::string forward(const std::string& sizes, std::size_t kept, double takes) {
  return sizes + ": forward keeps " + bytes(kept) + " in float and takes " + operations(takes);
}

}  // namespace text

namespace detail {

/// The description of types that have none of their own.
template <class T>
struct Described {
  static std::string text() { return std::string(text::type_name<T>()); }
};
template <class T>
  requires std::is_arithmetic_v<T> || std::is_same_v<T, bfloat16>
struct Described<T> {
  static std::string text() { return text::scalar<T>(); }
};
template <class T, Index... E>
struct Described<View<T, E...>> {
  static std::string text() { return text::scalar<T>() + " " + text::shape<E...>(); }
};
template <class T, Index... E>
struct Described<Tensor<T, E...>> : Described<View<T, E...>> {};
template <class T, Index W>
struct Described<Columns<T, W>> {
  static std::string text() { return text::scalar<T>() + " " + text::shape<dyn, W>() + ", columns of a wider matrix"; }
};
template <class Module, class T>
struct Described<Weights<Module, T>> {
  static std::string text() {
    using W = Weights<Module, T>;
    return text::parameters<Module>() + " in " + text::scalar<T>() + ", " +
           text::bytes(static_cast<std::size_t>(W::extent) * sizeof(T)) + ", of\n" + wu::describe<Module>();
  }
};
template <class Module>
  requires requires { typename Module::template Parameters<float>; }
struct Described<Module> {
  static std::string text() {
    std::vector<std::vector<std::string>> rows;
    typename Module::template Parameters<float> p{};
    for_each_parameter(p, [&]<class V>(std::string_view name, V& view) {
      rows.push_back({std::string(name), text::shape(V::extents), text::grouped(view.size())});
    });
    return std::string(text::type_name<Module>()) + ": " + text::parameters<Module>() + " in " +
           text::counted(static_cast<Index>(rows.size()), "tensor") + text::table(rows, 2);
  }
};

}  // namespace detail

template <class T, class... Sizes>
std::string describe(Sizes... sizes) {
  if constexpr (requires { std::string(T::describe(sizes...)); }) return std::string(T::describe(sizes...));
  else {
    static_assert(sizeof...(Sizes) == 0, "describe: this type's describe() does not take these sizes");
    return detail::Described<T>::text();
  }
}

/// A view at hand, with all its extents: "float (5, 3)".
template <class T, Index... E>
std::string describe(const View<T, E...>& view) {
  std::array<Index, sizeof...(E)> extents{};
  for (std::size_t axis = 0; axis < extents.size(); ++axis) extents[axis] = view.extent(axis);
  return text::scalar<T>() + " " + text::shape(extents);
}
/// A tensor at hand, likewise.
template <class T, Index... E>
std::string describe(const Tensor<T, E...>& tensor) {
  const View<const T, E...> view = tensor.view();
  return describe(View<T, E...>(nullptr, view.dynamic));
}

}  // namespace wu
