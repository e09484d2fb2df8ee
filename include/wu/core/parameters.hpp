// Parameters: an aggregate of views with one visit(), laid out in one flat buffer at offsets known at compile time. The
// optimiser, the checkpoint file, the gradient check and the hash of a frozen model are loops over this and know no module.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "wu/core/buffer.hpp"
#include "wu/core/error.hpp"
#include "wu/core/message.hpp"
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

/// The name of a parameter, put together on the way down to it.
class ParameterName {
 public:
  explicit ParameterName(std::string_view name) { append(name); }
  /// This name, a point, and `part`.
  ParameterName inner(std::string_view part) const {
    ParameterName name(view());
    if (size_ > 0) name.append(".");
    name.append(part);
    return name;
  }
  std::string_view view() const { return {text_, size_}; }

 private:
  static constexpr std::size_t most = 255;

  void append(std::string_view part) {
    if (part.size() > most - size_)
      throw Error(message("parameters: expected names of at most ", most, " characters, found ", view(), part));
    size_ += part.copy(text_ + size_, part.size());
  }

  char text_[most];
  std::size_t size_ = 0;
};

template <class Field, class F>
void each_named_leaf(Field& field, F& f, const ParameterName& name) {
  if constexpr (Leaf<Field>) f(name.view(), field);
  else if constexpr (is_array<Field>) {
    for (std::size_t i = 0; i < field.size(); ++i) each_named_leaf(field[i], f, name.inner(MessagePart(i).text()));
  } else {
    field.visit([&](const char* part, auto& inner) { each_named_leaf(inner, f, name.inner(part)); });
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

/// Calls f(name, view) for every tensor of p, names as in the checkpoint file: "blocks.0.norm1.weight". The name is a
/// std::string_view that is valid during the call; with a prefix it begins with that and a point.
/// Throws Error if a name is longer than 255 characters.
template <class P, class F>
void for_each_parameter(P& p, F&& f, std::string_view prefix = "") {
  detail::each_named_leaf(p, f, detail::ParameterName(prefix));
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

  /// All zero.
  Weights() : buffer_(extent) {}
  /// All zero, in a device's memory; null: in the host's.
  explicit Weights(const MemoryResource* memory) : buffer_(extent, memory) {}

  /// The values by their names.
  Values view() { return bind_parameters<Values>(buffer_.data()); }
  /// The values by their names, not to be written through.
  Frozen view() const { return bind_parameters<Frozen>(buffer_.data()); }
  /// The same as view() const, of a Weights that is not const.
  Frozen frozen() const { return view(); }

  /// The whole buffer, padding included.
  std::span<T> flat() { return buffer_.span(); }
  /// The same, not to be written through.
  std::span<const T> flat() const { return buffer_.span(); }

  /// Whose memory they lie in; null: the host's.
  const MemoryResource* memory() const { return buffer_.memory(); }
  /// A copy in memory of its own, of the same kind.
  Weights clone() const { return Weights(buffer_.clone()); }
  /// A copy in a device's memory; null: in the host's.
  Weights in(const MemoryResource* memory) const { return Weights(buffer_.in(memory)); }
  /// The values of another, wherever each of them lies.
  void assign(const Weights& other) { buffer_.assign(other.buffer_); }
  /// A copy in another scalar, every value rounded to it. Of weights in the host's memory.
  template <class U>
  Weights<Module, U> to() const {
    Weights<Module, U> copy;
    std::ranges::transform(flat(), copy.flat().begin(), [](const T& v) { return static_cast<U>(v); });
    return copy;
  }

 private:
  explicit Weights(Buffer<T> values) : buffer_(std::move(values)) {}

  Buffer<T> buffer_;
};

}  // namespace wu
