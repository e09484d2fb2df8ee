// A time as waves of many lengths:                                                                Peebles & Xie 2023, section 3.2
//     y(s, 2i) = cos(1000 t_s / 10000^(2i / C))      y(s, 2i + 1) = sin(of the same)
// y: (b, C)   t: b times in [0, 1], in the host's memory. Times have no gradient. Angles are double.
#pragma once

#include <cmath>
#include <span>

#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
template <Index C>
struct WavePairs {
  static_assert(fits<(C % 2 == 0), "time embedding: expected an even width, for cosines and sines, found ", C>);
  static constexpr bool value = true;
};
}  // namespace detail

/// Throws ShapeError unless there is a row for each time.
void time_embedding_forward(reference&, auto y, std::span<const double> t) {
  detail::check_contiguous(y);
  constexpr Index C = y.width;
  static_assert(detail::WavePairs<C>::value);
  using T = value_of<decltype(y)>;
  detail::check_sizes("time embedding", static_cast<Index>(t.size()) * C, y.size());
  for (std::size_t s = 0; s < t.size(); ++s)
    for (Index i = 0; i < C / 2; ++i) {
      const double angle = 1000 * t[s] * std::pow(10000.0, -static_cast<double>(2 * i) / C);
      T* const pair = y.row(static_cast<Index>(s)) + 2 * i;
      pair[0] = static_cast<T>(std::cos(angle));
      pair[1] = static_cast<T>(std::sin(angle));
    }
}

}  // namespace wu
