// The reference device: plain loops, slow and obvious, right for any scalar. Every operation has its forward and backward
// for it in ops/; a faster device derives from it and overloads the same names, and what it leaves out is answered here.
//
// For all of ops/: outputs come first. Gradients of activations are overwritten (dx = ...), gradients of parameters are added
// to (dW += ...), each marked at its parameter, and every sum is taken in sum_of and stored once: added term by term to a bfloat16
// it would stop growing at 256 times a term. A gradient whose view has null data is not wanted and is not computed, but by
// attention, rope, pool and upsample, which have no other gradient to give and expect one.
#pragma once

#include <type_traits>

#include "wu/core/dtype.hpp"
#include "wu/core/view.hpp"

namespace wu {

/// Who computes: plain loops, for any scalar.
struct reference {};

/// The scalar of a view or of columns.
template <class V>
using value_of = typename std::remove_cvref_t<V>::value_type;
/// The type in which a view's values are summed.
template <class V>
using sum_of = accumulator_t<value_of<V>>;

namespace detail {
/// The compiler prints both numbers together with the sentence.
template <Index WidthOfX, Index WidthOfY>
struct SameWidth {
  static_assert(WidthOfX == WidthOfY, "an elementwise operation or norm: all operands must have the same last extent");
  static constexpr Index value = WidthOfX;
};

template <class V>
inline constexpr bool is_contiguous = false;
template <class T, Index... E>
inline constexpr bool is_contiguous<View<T, E...>> = true;
/// For operations that read rows one after the other in memory. Columns of a wider matrix do not lie so; attention, rope, embedding
/// and the shift, scale and gate of a modulation take them.
template <class... V>
constexpr void check_contiguous(const V&...) {
  static_assert((is_contiguous<V> && ...),
                "this operation takes Views, whose rows lie one after the other in memory: copy Columns of a wider matrix "
                "into one first");
}

inline void check_sizes(const char* what, Index expected, Index found) {
  if (expected != found) throw ShapeError(message(what, ": expected ", expected, " values, found ", found));
}
}  // namespace detail

}  // namespace wu
