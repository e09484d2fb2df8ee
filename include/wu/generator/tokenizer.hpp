// Tokens and adapters are the same numbers: where each entry of module m's A and B lies among the tokens of a layer.
// Tokens of a layer: (h, r, d), h = h_A + h_B; every A in module order, then every B; a matrix begins on a token of its own
// and takes ceil(values / (r d)) tokens.                                                      paper section 3.4, figure 4
//   flat           the matrix row-major, A as (E, r, in), B as (E, out, r), fills tokens of r*d values one after the other;
//                  the last token's tail is padding
//   rank_anchored  d divides every width; token k of an expert's A is A[:, k d : (k+1) d], of its B transpose(B)[:, k d : (k+1) d]
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "wu/core/fits.hpp"
#include "wu/core/workspace.hpp"
#include "wu/generator/adapted.hpp"
#include "wu/nn/initialise.hpp"
#include "wu/ops/lora.hpp"

namespace wu {

/// How a matrix fills its tokens; both are described at the top of the file.
enum class Layout { flat, rank_anchored };

namespace detail {
template <Index D, Index Gcd>
struct AnchoredWidth {
  static_assert(fits<(Gcd % D == 0), "Tokenizer: a token width of ", D,
                     " does not divide every adapted width, which Layout::rank_anchored needs; give wu::gcd_width<Shape>, ",
                     Gcd, ", or a divisor of it, or Layout::flat">);
  static constexpr bool value = true;
};
template <class Wanted, class Listed>
struct ModuleFound;
template <char... Wanted, char... Listed>
struct ModuleFound<Spelled<Wanted...>, Spelled<Listed...>> {
  static_assert(fits<(sizeof...(Wanted) == 0), "Tokenizer::adapter: no adapted module is named ", Wanted...,
                     "; name one of ", Listed...>);
  static constexpr bool value = true;
};
/// Tokens in which an adapter is looked for: those of this tokenizer.
template <Index Layers, Index PerLayer, Index Rank, Index Width, Index... Found>
struct TokensFit {
  static_assert(fits<std::is_same_v<View<char, dyn, Layers, PerLayer, Rank, Width>, View<char, Found...>>,
                     "Tokenizer::adapter: expected tokens of extents -1, ", Layers, PerLayer, Rank, Width,
                     " (-1 is wu::dyn), found ", Found...>);
  static constexpr bool value = true;
};
}  // namespace detail

/// Tokens of Rank rows of width D. Tokenizer<Rank, D>::of<Shape> knows where the adapters of a shape lie.
template <Index Rank, Index D, Layout TokenLayout = Layout::flat>
struct Tokenizer {
  static_assert(fits<(Rank > 0 && D > 0), "Tokenizer: expected a rank and a token width of at least 1, found ", Rank, D>);

  /// Shape: AdaptedLayers. Everything here is known at compile time.
  template <class Shape>
  struct of {
    /// The adapted layers.
    using shape = Shape;
    /// Backbone layers, rank, token width, values of a token.
    static constexpr Index layers = Shape::layers, rank = Rank, token_width = D, values_per_token = Rank * D;
    static constexpr Layout layout = TokenLayout;
    static constexpr std::size_t module_count = Shape::module_count;
    static constexpr const auto& modules = Shape::modules;
    static_assert(detail::AnchoredWidth<D, (TokenLayout == Layout::flat ? D : Shape::gcd_width)>::value);

    /// How many tokens a matrix of so many entries takes.
    static constexpr Index tokens_of(Index entries) { return (entries + values_per_token - 1) / values_per_token; }
    /// First token of module m's A and B, all B after all A.
    static constexpr std::array<Index, module_count + 1> first_A = [] {
      std::array<Index, module_count + 1> at{};
      for (std::size_t m = 0; m < module_count; ++m)
        at[m + 1] = at[m] + tokens_of(modules[m].experts * Rank * modules[m].in);
      return at;
    }();
    /// Tokens of all A of a layer.
    static constexpr Index tokens_A = first_A[module_count];
    /// First token of module m's B.
    static constexpr std::array<Index, module_count + 1> first_B = [] {
      std::array<Index, module_count + 1> at{tokens_A};
      for (std::size_t m = 0; m < module_count; ++m)
        at[m + 1] = at[m] + tokens_of(modules[m].experts * Rank * modules[m].out);
      return at;
    }();
    /// Tokens of a layer, h, and of all B of a layer.
    static constexpr Index tokens_per_layer = first_B[module_count], tokens_B = tokens_per_layer - tokens_A;
    /// Tokens of module m's A.
    static constexpr Index tokens_A_of(std::size_t m) { return first_A[m + 1] - first_A[m]; }
    /// Tokens of module m's B.
    static constexpr Index tokens_B_of(std::size_t m) { return first_B[m + 1] - first_B[m]; }
    /// Values of a layer's tokens and of all tokens of a request, padding counted.
    static constexpr Index values_per_layer = tokens_per_layer * values_per_token, values = layers * values_per_layer;
    /// Entries of all adapters of one request, padding not counted.
    static constexpr Index adapter_values = [] {
      Index n = 0;
      for (const AdaptedModule& m : modules) n += m.experts * Rank * (m.in + m.out);
      return layers * n;
    }();

    /// (batch, layer, token, rank, width)
    template <class T>
    using Tokens = View<T, dyn, layers, tokens_per_layer, Rank, D>;
    /// The same with memory of its own: Owned<float> tokens(batch).
    template <class T>
    using Owned = Tensor<T, dyn, layers, tokens_per_layer, Rank, D>;
    /// The same out of a workspace.
    template <class T>
    static Tokens<T> take(Workspace& ws, Index batch) {
      return ws.take<T, dyn, layers, tokens_per_layer, Rank, D>(batch);
    }

    /// One request's adapters as a module's parameters, to be kept in a file like any other, or trained without a generator,
    /// which is plain LoRA: Weights<Tokens, float>, train::Training<Tokens, float>.
    template <class T>
    struct Parameters {
      View<T, layers, tokens_per_layer, Rank, D> tokens;
      /// Calls at(name, member).
      constexpr void visit(auto&& at) { at("tokens", tokens); }
      /// As a batch of one.
      constexpr Tokens<T> batch() const { return {tokens.data, 1}; }
    };
    /// Starting values of adapters that are trained without a generator: every A normal with variance 1 / in, every B and the
    /// padding 0, so that the first step runs the frozen backbone.                              Hu et al. 2021, section 4.1
    template <class T>
    static void initialise(Parameters<T> p, std::uint64_t seed) {
      fill(p.tokens, 0);
      for (Index layer = 0; layer < layers; ++layer)
        for (std::size_t m = 0; m < module_count; ++m)
          fill_normal(View<T, dyn>(p.tokens.data + layer * values_per_layer + first_A[m] * values_per_token,
                                   modules[m].experts * Rank * modules[m].in),
                      seed, message("adapters.layers.", layer, ".", modules[m].name()),
                      1 / std::sqrt(static_cast<double>(modules[m].in)));
    }

    static std::string describe() {
      std::vector<std::vector<std::string>> rows{{"module", "A", "B", "tokens A", "tokens B"}};
      for (std::size_t m = 0; m < module_count; ++m)
        rows.push_back({modules[m].describe(), text::shape(std::array{Rank, modules[m].in}),
                        text::shape(std::array{modules[m].out, Rank}), text::grouped(tokens_A_of(m)),
                        text::grouped(tokens_B_of(m))});
      rows.push_back({"a layer", "", "", text::grouped(tokens_A), text::grouped(tokens_B)});
      return std::string("Tokenizer, ") + (TokenLayout == Layout::flat ? "flat" : "rank-anchored") + ": tokens " +
             text::shape<dyn, layers, tokens_per_layer, Rank, D>() + text::table(rows, 3) + "\n" +
             text::counted(values, "value") + " for a request: " + text::grouped(adapter_values) + " of adapters, " +
             text::grouped(values - adapter_values) + " of padding";
    }

    /// The module of this name; module_count if there is none.
    static constexpr std::size_t find(std::string_view name) {
      for (std::size_t m = 0; m < module_count; ++m)
        if (modules[m].named(name)) return m;
      return module_count;
    }

    /// Where A(e, i, j) of module m lies within its layer's tokens; i < rank, j < in.
    static constexpr Index at_A(std::size_t m, Index e, Index i, Index j) {
      const Index start = first_A[m] * values_per_token;
      if constexpr (TokenLayout == Layout::flat) return start + (e * Rank + i) * modules[m].in + j;
      else return start + ((e * (modules[m].in / D) + j / D) * Rank + i) * D + j % D;
    }
    /// Where B(e, o, i) lies; o < out, i < rank.
    static constexpr Index at_B(std::size_t m, Index e, Index o, Index i) {
      const Index start = first_B[m] * values_per_token;
      if constexpr (TokenLayout == Layout::flat) return start + (e * modules[m].out + o) * Rank + i;
      else return start + ((e * (modules[m].out / D) + o / D) * Rank + i) * D + o % D;
    }

    /// Calls f(place in the layer's tokens, place in the matrix) for every entry of module m's A (E, r, in) or B (E, out, r).
    template <class F>
    static constexpr void each_A(std::size_t m, F&& f) {
      Index k = 0;
      for (Index e = 0; e < modules[m].experts; ++e)
        for (Index i = 0; i < Rank; ++i)
          for (Index j = 0; j < modules[m].in; ++j) f(at_A(m, e, i, j), k++);
    }
    /// The same for B.
    template <class F>
    static constexpr void each_B(std::size_t m, F&& f) {
      Index k = 0;
      for (Index e = 0; e < modules[m].experts; ++e)
        for (Index o = 0; o < modules[m].out; ++o)
          for (Index i = 0; i < Rank; ++i) f(at_B(m, e, o, i), k++);
    }

    /// Calls f(first place in a layer's tokens, entries) for every A and B: all values of the layer but its padding.
    template <class F>
    static constexpr void each_matrix(F&& f) {
      for (std::size_t m = 0; m < module_count; ++m) {
        f(first_A[m] * values_per_token, modules[m].experts * Rank * modules[m].in);
        f(first_B[m] * values_per_token, modules[m].experts * Rank * modules[m].out);
      }
    }

    /// One layer's tokens from its matrices: A[m] (E, r, in), B[m] (E, out, r). Padding becomes NaN, so that a loss on tokens
    /// can mask it.
    template <class T>
    static void tokenize(T* layer_tokens, const std::array<const T*, module_count>& A,
                         const std::array<const T*, module_count>& B) {
      std::fill_n(layer_tokens, values_per_layer, static_cast<T>(std::numeric_limits<float>::quiet_NaN()));
      for (std::size_t m = 0; m < module_count; ++m) {
        each_A(m, [&](Index at, Index k) { layer_tokens[at] = A[m][k]; });
        each_B(m, [&](Index at, Index k) { layer_tokens[at] = B[m][k]; });
      }
    }
    /// tokenize's transpose: the matrices' gradients from the tokens'. Overwrites; what reaches padding is dropped.
    template <class T>
    static void tokenize_transpose(const std::array<T*, module_count>& dA, const std::array<T*, module_count>& dB,
                                   const T* dtokens) {
      detokenize(dA, dB, dtokens);
    }

    /// The matrices from one layer's tokens; padding is ignored.
    template <class T>
    static void detokenize(const std::array<T*, module_count>& A, const std::array<T*, module_count>& B,
                           const T* layer_tokens) {
      for (std::size_t m = 0; m < module_count; ++m) {
        each_A(m, [&](Index at, Index k) { A[m][k] = layer_tokens[at]; });
        each_B(m, [&](Index at, Index k) { B[m][k] = layer_tokens[at]; });
      }
    }
    /// detokenize's transpose: the tokens' gradient from the matrices'. Overwrites; padding gets 0.
    template <class T>
    static void detokenize_transpose(T* dtokens, const std::array<const T*, module_count>& dA,
                                     const std::array<const T*, module_count>& dB) {
      std::fill_n(dtokens, values_per_layer, T(0));
      for (std::size_t m = 0; m < module_count; ++m) {
        each_A(m, [&](Index at, Index k) { dtokens[at] = dA[m][k]; });
        each_B(m, [&](Index at, Index k) { dtokens[at] = dB[m][k]; });
      }
    }

    /// The adapter of one module of one layer for every request of the batch, as a view into the tokens: nothing is copied.
    /// Null for null tokens. Throws ShapeError if there is no such layer.
    template <Name Module, class T, Index... E>
    static auto adapter(View<T, E...> tokens, Index layer) {
      static_assert(detail::ModuleFound<std::conditional_t<(find(Module.view()) < module_count), detail::Spelled<>,
                                                           detail::spelled<detail::NameList<Module>>>,
                                        detail::spelled<typename Shape::names>>::value);
      static_assert(detail::TokensFit<layers, tokens_per_layer, Rank, D, E...>::value);
      static_assert(TokenLayout == Layout::flat,
                    "Tokenizer::adapter: only flat tokens are adapters as they lie; detokenize rank-anchored ones");
      constexpr std::size_t m = find(Module.view()) < module_count ? find(Module.view()) : 0;
      static_assert(modules[m].experts == 1, "Tokenizer::adapter: this module is a group of experts");
      if (layer < 0 || layer >= layers)
        throw ShapeError(message("Tokenizer::adapter: expected a layer from 0 to ", layers - 1, ", found ", layer));
      AdapterView<T, modules[m].in, modules[m].out, Rank> view;
      if (!tokens.data) return view;
      T* const start = tokens.data + layer * values_per_layer;
      view.A = start + first_A[m] * values_per_token;
      view.B = start + first_B[m] * values_per_token;
      view.stride = values;
      view.count = tokens.extent(0);
      return view;
    }
  };
};

}  // namespace wu
