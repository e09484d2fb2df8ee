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

struct reference {};

template <class V> using value_of = typename std::remove_cvref_t<V>::value_type;
template <class V> using sum_of = accumulator_t<value_of<V>>;

namespace detail {
/// The compiler prints both numbers together with the sentence.
template <Index WidthOfX, Index WidthOfY>
struct SameWidth {
  static_assert(WidthOfX == WidthOfY, "an elementwise operation or norm: all operands must have the same last extent");
  static constexpr Index value = WidthOfX;
};
}  // namespace detail

}  // namespace wu
