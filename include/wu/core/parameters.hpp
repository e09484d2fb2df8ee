// Parameters: an aggregate of views with one visit(), laid out in one flat buffer at offsets known at compile time. The
// optimiser, the checkpoint file, the gradient check and the hash of a frozen model are loops over this and know no module.
#pragma once

#include <array>
#include <string>
#include <type_traits>
#include <utility>

#include "wu/core/buffer.hpp"
#include "wu/core/view.hpp"

namespace wu {

namespace detail {
template <class F>
inline constexpr bool is_array = false;
template <class F, std::size_t N>
inline constexpr bool is_array<std::array<F, N>> = true;
template <class F>
concept Leaf = requires(F& f) {
  f.data;
  f.size();
  F::rank;
};

/// Calls f(view) for every tensor under field, in order, without names.
template <class Field, class F>
constexpr void each_leaf(Field& field, F& f) {
  if constexpr (Leaf<Field>) f(field);
  else if constexpr (is_array<Field>) {
    for (auto& element : field) each_leaf(element, f);
  } else field.visit([&](const char*, auto& inner) { each_leaf(inner, f); });
}

template <class Field, class F>
void each_named_leaf(Field& field, F& f, const std::string& name) {
  if constexpr (Leaf<Field>) f(name, field);
  else if constexpr (is_array<Field>) {
    for (std::size_t i = 0; i < field.size(); ++i) each_named_leaf(field[i], f, name + "." + std::to_string(i));
  } else {
    field.visit(
        [&](const char* inner, auto& f_inner) { each_named_leaf(f_inner, f, name.empty() ? inner : name + "." + inner); });
  }
}
}  // namespace detail

/// Every parameter starts on a multiple of this many elements, so that one layout is 64-byte aligned for every scalar type.
inline constexpr Index parameter_alignment = 32;

/// The number of values in P, padding not counted.
template <class P>
constexpr Index parameter_count() {
  Index n = 0;
  P p{};
  auto add = [&](auto& view) { n += view.size(); };
  detail::each_leaf(p, add);
  return n;
}

/// The length of the flat buffer that holds P, padding counted.
template <class P>
constexpr Index parameter_extent() {
  Index n = 0;
  P p{};
  auto add = [&](auto& view) { n += (view.size() + parameter_alignment - 1) / parameter_alignment * parameter_alignment; };
  detail::each_leaf(p, add);
  return n;
}

/// P's views laid out one after the other from base, which holds parameter_extent<P>() values.
template <class P, class T>
constexpr P bind_parameters(T* base) {
  P p{};
  auto place = [&](auto& view) {
    view.data = base;
    base += (view.size() + parameter_alignment - 1) / parameter_alignment * parameter_alignment;
  };
  detail::each_leaf(p, place);
  return p;
}

/// Calls f(name, view) for every tensor of p, names as in the checkpoint file: "blocks.0.norm1.weight".
template <class P, class F>
void for_each_parameter(P& p, F&& f, const std::string& prefix = "") {
  detail::each_named_leaf(p, f, prefix);
}

/// One flat buffer in the layout of Module's parameters: values, gradients, or a moment of the optimiser.
/// A const Weights gives views through which nothing can be written: that is what "frozen" means.
template <class Module, class T>
class Weights {
 public:
  /// Views of the values.
  using Values = typename Module::template Parameters<T>;
  /// Views that may not be written through.
  using Frozen = typename Module::template Parameters<const T>;
  static constexpr Index count = parameter_count<Values>();
  static constexpr Index extent = parameter_extent<Values>();

  Weights() : buffer_(extent) {}

  /// The values by their names.
  Values view() { return bind_parameters<Values>(buffer_.data()); }
  Frozen view() const { return bind_parameters<Frozen>(buffer_.data()); }
  /// The same as view() const, of a Weights that is not const.
  Frozen frozen() const { return view(); }

  /// The whole buffer, padding included.
  std::span<T> flat() { return buffer_.span(); }
  std::span<const T> flat() const { return buffer_.span(); }

  /// A copy in memory of its own.
  Weights clone() const {
    Weights copy;
    std::copy_n(buffer_.data(), extent, copy.buffer_.data());
    return copy;
  }

 private:
  Buffer<T> buffer_;
};

}  // namespace wu
