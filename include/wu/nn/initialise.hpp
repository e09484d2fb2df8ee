// Starting values: matrices normal with variance 1 / fan_in (LeCun et al. 1998), norms' gains 1, biases 0. Modules that start
// otherwise (a zero projection, position tables) set their own tensors after this.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "wu/core/parameters.hpp"
#include "wu/core/random.hpp"

namespace wu {

/// Fills view with normal values of the given standard deviation, from the stream (seed, name).
template <class T, Index... E>
void fill_normal(View<T, E...> view, std::uint64_t seed, std::string_view name, double deviation) {
  Random random(seed, name);
  for (T& v : view) v = static_cast<T>(static_cast<float>(deviation * random.normal()));
}

/// Sets every value of view.
template <class T, Index... E>
void fill(View<T, E...> view, double value) {
  for (T& v : view) v = static_cast<T>(static_cast<float>(value));
}

/// Sets every tensor under p, views as Weights::view() gives them: what kind it is, its rank and name tell, and its random
/// numbers are keyed by the name, which begins with `purpose`. The same seed gives the same values on every machine with the
/// same libm.
template <class P>
void initialise(P p, std::uint64_t seed, std::string_view purpose) {
  const auto start = [&](std::string_view name, auto& view) {
    if constexpr (std::remove_cvref_t<decltype(view)>::rank >= 2)
      fill_normal(view, seed, name, 1 / std::sqrt(static_cast<double>(view.width)));
    else fill(view, name.ends_with("bias") ? 0 : 1);
  };
  for_each_parameter(p, start, purpose);
}

}  // namespace wu
