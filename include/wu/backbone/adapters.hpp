// The adapters of a batch, as a backbone takes them: the generated tokens, which sample uses which, and the scale alpha / r.
// They are arguments of one call: nothing is stored in a layer, so none can stay behind when an exception passes.
#pragma once

#include <span>

#include "wu/generator/tokenizer.hpp"

namespace wu::backbone {

/// What one call of a backbone is given beside its frozen weights.
template <class Tokens, class T>
struct Adapters {
  typename Tokens::template Tokens<const T> tokens{};  ///< (requests, n, h, r, d); null: the frozen backbone alone
  std::span<const Index> which{};                      ///< for every sample its request, or no_adapter
  double scale = 1;                                    ///< alpha / r

  /// The adapter of a module of one layer; null without tokens.
  template <Name Module>
  auto of(Index layer) const {
    return Tokens::template adapter<Module>(tokens, layer);
  }
  /// Where the gradient of the same adapter lies; null tokens: not wanted.
  template <Name Module>
  static auto gradient(typename Tokens::template Tokens<T> dtokens, Index layer) {
    return Tokens::template adapter<Module>(dtokens, layer);
  }
};

/// Throws unless there is one entry of `which` per sample, each names a request, and every value is finite. Padding may be
/// anything: tokens made from stored adapters hold NaN there.
template <class Tokens, class T>
void check(const Adapters<Tokens, T>& adapters, Index samples) {
  if (!adapters.tokens.data) return;
  if (static_cast<Index>(adapters.which.size()) != samples)
    throw ShapeError(
        message("adapters: expected one entry for each of ", samples, " samples, found ", adapters.which.size()));
  wu::detail::lora_rows(samples, adapters.which, adapters.tokens.extent(0));
  T sum = 0;  // NaN and infinity survive a sum of x * 0
  for (Index layer = 0; layer < adapters.tokens.extent(0) * Tokens::layers; ++layer)
    Tokens::each_matrix([&](Index first, Index entries) {
      const T* const values = adapters.tokens.data + layer * Tokens::values_per_layer + first;
      for (Index k = 0; k < entries; ++k) sum += values[k] * T(0);
    });
  if (!(sum == T(0))) throw NonFiniteError("adapters: a generated value is NaN or infinite");
}

}  // namespace wu::backbone
