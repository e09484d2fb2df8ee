// The reference device: plain loops, slow and obvious, right for any scalar. Every operation has its forward and backward
// for it in ops/; a faster device that reads the same memory derives from it and overloads the same names, and what it leaves out
// is answered here.
//
// For all of ops/: outputs come first. Gradients of activations are overwritten (dx = ...), gradients of parameters are added
// to (dW += ...), each marked at its parameter, and every sum is taken in sum_of and stored once: added term by term to a bfloat16
// it would stop growing at 256 times a term. A gradient whose view has null data is not wanted and is not computed, but by
// attention, rope, pool and upsample, which have no other gradient to give and expect one.
#pragma once

#include <type_traits>

#include "wu/core/dtype.hpp"
#include "wu/core/fits.hpp"
#include "wu/core/memory.hpp"
#include "wu/core/view.hpp"

namespace wu {

/// Who computes: the base of every device.
struct device {};
/// Plain loops, for any scalar.
struct reference : device {};

/// Where what a device's operations read and write lies, for Buffer, Weights and Workspace: null for the host's memory, as here and
/// on the CPU.
inline const MemoryResource* memory_of(const reference&) { return nullptr; }

/// The scalar of a view or of columns.
template <class V>
using value_of = typename std::remove_cvref_t<V>::value_type;
/// The type in which a view's values are summed.
template <class V>
using sum_of = accumulator_t<value_of<V>>;

namespace detail {
template <class Context>
concept Device = std::is_convertible_v<Context&, device&>;
template <class Context>
concept NotADevice = !Device<Context>;

template <class Context>
struct ExpectDevice {
  static_assert(
      fits<Device<Context>,
           "expected a device as the first argument, a wu::reference, wu::cpu::Context or wu::cuda::Context, found ",
           type<Context>>);
};

template <Index Width, Index... Others>
struct SameWidth {
  static_assert(fits<((Others == Width) && ...), "an elementwise operation or norm: expected ", Width,
                     " for the last extent of every operand, found ", Others...>);
  static constexpr Index value = Width;
};

/// For an operation with weights. They are read beside what they are applied to, so both are of one type.
template <class X, class W, class T = value_of<X>, class U = value_of<W>>
constexpr void check_scalars(const X&, const W&) {
  static_assert(fits<std::is_same_v<T, U>, "expected weights of ", type<T>, ", as the input, found ", type<U>,
                     "; convert one of them">);
}

/// The first of V that is no View; void if all are.
template <class... V>
struct NoView {
  using type = void;
};
template <class V, class... More>
struct NoView<V, More...> {
  using type = V;
};
template <class T, Index... E, class... More>
struct NoView<View<T, E...>, More...> : NoView<More...> {};
template <class V>
inline constexpr bool is_contiguous = std::is_void_v<typename NoView<V>::type>;
/// For operations that read rows one after the other in memory. Columns of a wider matrix do not lie so; attention, rope, embedding
/// and the shift, scale and gate of a modulation take them.
template <class... V, class Found = typename NoView<V...>::type>
constexpr void check_contiguous(const V&...) {
  static_assert(fits<std::is_void_v<Found>, "expected a View, whose rows lie one after the other in memory, found ",
                     type<Found>, "; copy Columns of a wider matrix into a View first">);
}

inline void check_sizes(const char* what, Index expected, Index found) {
  if (expected != found) throw ShapeError(message(what, ": expected ", expected, " values, found ", found));
}
}  // namespace detail

}  // namespace wu

#include "wu/ops/not_a_device.hpp"  // needs wu::reference
