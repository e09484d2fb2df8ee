// The adapters of a batch, as a backbone takes them: the generated tokens, which sample uses which, and the scale alpha / r.
// They are arguments of one call: nothing is stored in a layer, so none can stay behind when an exception passes.
#pragma once

#include <array>
#include <span>
#include <type_traits>

#include "wu/core/fits.hpp"
#include "wu/generator/tokenizer.hpp"
#include "wu/ops/all_finite.hpp"

namespace wu::backbone {

/// Adapters are laid out by the tokenizer of the backbone that they are for.
template <Index Layers, Index PerLayer, Index Rank, Index Width, Index FoundLayers, Index FoundPerLayer, Index FoundRank,
          Index FoundWidth>
constexpr void check_tokenizer() {
  static_assert(fits<false, "expected adapters of the tokenizer of this backbone, tokens (b, ", Layers, PerLayer, Rank,
                     Width, "), found those of another, (b, ", FoundLayers, FoundPerLayer, FoundRank, FoundWidth,
                     "); use the Tokens of the backbone for both">);
}

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
  /// What a backbone of another tokenizer asks for: it does not compile, and says why.
  template <class Wanted, class U>
    requires(!std::is_same_v<Wanted, Tokens>)
  operator Adapters<Wanted, U>() const {
    check_tokenizer<Wanted::layers, Wanted::tokens_per_layer, Wanted::rank, Wanted::token_width, Tokens::layers,
                    Tokens::tokens_per_layer, Tokens::rank, Tokens::token_width>();
    return {};
  }
  /// Where the gradient of the same adapter lies; null tokens: not wanted.
  template <Name Module>
  static auto gradient(typename Tokens::template Tokens<T> dtokens, Index layer) {
    return Tokens::template adapter<Module>(dtokens, layer);
  }
};

/// Throws unless there is one entry of `which` per sample, each names a request, and every value is finite, which a GPU says at its
/// context's next call that waits. Padding may be anything: tokens made from stored adapters hold NaN there.
template <class Tokens, class T>
void check(auto& ctx, const Adapters<Tokens, T>& adapters, Index samples) {
  if (!adapters.tokens.data) return;
  if (static_cast<Index>(adapters.which.size()) != samples)
    throw ShapeError(
        message("adapters: expected one entry for each of ", samples, " samples, found ", adapters.which.size()));
  wu::detail::lora_rows(samples, adapters.which, adapters.tokens.extent(0));
  std::array<RowPart, 2 * Tokens::module_count> matrices;
  std::size_t found = 0;
  Tokens::each_matrix([&](Index first, Index entries) { matrices[found++] = {first, entries}; });
  const View<const T, dyn, Tokens::values_per_layer> layers(adapters.tokens.data,
                                                            adapters.tokens.extent(0) * Tokens::layers);
  expect_finite(ctx, layers, matrices, "adapters: a generated value is NaN or infinite");
}

}  // namespace wu::backbone
