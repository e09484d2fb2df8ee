// Generated tokens as adapters with names, and back. Tokens is a Tokenizer<...>::of<Shape>, flat or rank-anchored; the name of
// a module is prefix + layer + "." + what the shape calls it: "model.layers." gives "model.layers.0.self_attn.o_proj".
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "wu/io/adapter.hpp"

namespace wu::io {

namespace detail {

inline std::string generated_name(std::string_view prefix, Index layer, const std::string& module) {
  return std::string(prefix) + std::to_string(layer) + "." + module;
}

template <class Tokens>
void check_sample(const char* what, Index sample, Index count) {
  if (sample < 0 || sample >= count)
    throw ShapeError(message(what, ": expected a sample below ", count, ", the requests in the tokens, found ", sample));
}

}  // namespace detail

/// The adapters of request `sample`, with scale alpha / rank: copies, module by module, of layer 0 first.
/// tokens: (b, layers, h, r, d)
/// Throws ShapeError for a sample beyond the batch.
template <class Tokens, class T>
Adapters<T> adapters_of(std::type_identity_t<typename Tokens::template Tokens<const T>> tokens, Index sample,
                        std::string_view prefix, double alpha) {
  detail::check_sample<Tokens>("adapters_of", sample, tokens.extent(0));
  Adapters<T> adapters;
  adapters.reserve(static_cast<std::size_t>(Tokens::layers) * Tokens::module_count);
  for (Index layer = 0; layer < Tokens::layers; ++layer) {
    const T* const values = tokens.data + sample * Tokens::values + layer * Tokens::values_per_layer;
    for (std::size_t m = 0; m < Tokens::module_count; ++m) {
      const auto& module = Tokens::modules[m];
      Adapter<T> adapter{detail::generated_name(prefix, layer, module.name()),
                         module.in,
                         module.out,
                         Tokens::rank,
                         module.sub.empty() ? 0 : module.experts,
                         alpha / static_cast<double>(Tokens::rank),
                         std::vector<T>(static_cast<std::size_t>(module.experts * Tokens::rank * module.in)),
                         std::vector<T>(static_cast<std::size_t>(module.experts * module.out * Tokens::rank))};
      Tokens::each_A(m, [&](Index at, Index k) { adapter.A[static_cast<std::size_t>(k)] = values[at]; });
      Tokens::each_B(m, [&](Index at, Index k) { adapter.B[static_cast<std::size_t>(k)] = values[at]; });
      adapters.push_back(std::move(adapter));
    }
  }
  return adapters;
}

/// What a module that has no adapter means.
enum class Missing {
  refuse,
  zero,  ///< its A and B are 0: the layer runs as it is
};

/// The reverse: writes adapters as the tokens of request `sample`, so that Tokens::adapter<"module">(tokens, layer) gives a
/// LoRALinear the same updates with one `scale` for all. What differs from that scale is multiplied into B and rounded to T;
/// ranks below Tokens::rank are padded with zeros, which changes nothing; padding becomes 0.
/// tokens: (b, layers, h, r, d)
/// Throws, before anything is written: ShapeError for widths, experts or a rank that the tokens cannot hold, Error for a module
/// that the shape does not list, one that is missing, a scale of 0, or a product beyond T's range.
template <class Tokens, class T>
void write_tokens(std::type_identity_t<typename Tokens::template Tokens<T>> tokens, Index sample, Adapters<T> adapters,
                  std::string_view prefix, double scale, Missing missing = Missing::refuse) {
  detail::check_sample<Tokens>("write_tokens", sample, tokens.extent(0));
  check_adapters(adapters);
  std::map<std::string_view, const Adapter<T>*> named;
  for (const Adapter<T>& adapter : adapters) named.emplace(adapter.module, &adapter);
  std::vector<const Adapter<T>*> slots;  // (layers, modules)
  for (Index layer = 0; layer < Tokens::layers; ++layer)
    for (const auto& module : Tokens::modules) {
      const std::string name = detail::generated_name(prefix, layer, module.name());
      const Index experts = module.sub.empty() ? 0 : module.experts;
      const auto at = named.find(name);
      if (at == named.end() && missing == Missing::refuse)
        throw Error(message("write_tokens: expected an adapter of ", printable(name), ", ", module.in, " to ", module.out,
                            ", found none of that name among ", adapters.size()));
      slots.push_back(at == named.end() ? nullptr : at->second);
      if (at == named.end()) continue;
      const Adapter<T>& adapter = *at->second;
      if (adapter.in != module.in || adapter.out != module.out || adapter.experts != experts)
        throw ShapeError(message("write_tokens: expected an adapter of ", printable(name), " from ", module.in, " to ",
                                 module.out, " with ", experts, " experts (0: a plain layer), found ", adapter.describe()));
      if (adapter.rank > Tokens::rank)
        throw ShapeError(message("write_tokens: expected adapters of rank ", Tokens::rank,
                                 " or less, the rank of the tokens, found ", adapter.describe()));
      named.erase(at);
    }
  if (!named.empty())
    throw Error(message("write_tokens: expected adapters of modules that the shape lists under ", printable(prefix),
                        ", found ", named.size(),
                        named.size() == 1 ? " other: " : " others, the first: ", named.begin()->second->describe()));
  for (Adapter<T>& adapter : adapters) rescale(adapter, scale);

  T* const start = tokens.data + sample * Tokens::values;
  std::fill_n(start, Tokens::values, T(0));
  for (std::size_t slot = 0; slot < slots.size(); ++slot) {
    if (slots[slot] == nullptr) continue;
    const Adapter<T>& adapter = *slots[slot];
    const std::size_t m = slot % Tokens::module_count;
    T* const values = start + static_cast<Index>(slot / Tokens::module_count) * Tokens::values_per_layer;
    std::size_t a = 0, b = 0;
    for (Index e = 0; e < adapter.pairs(); ++e) {
      for (Index i = 0; i < adapter.rank; ++i)
        for (Index j = 0; j < adapter.in; ++j) values[Tokens::at_A(m, e, i, j)] = adapter.A[a++];
      for (Index o = 0; o < adapter.out; ++o)
        for (Index i = 0; i < adapter.rank; ++i) values[Tokens::at_B(m, e, o, i)] = adapter.B[b++];
    }
  }
}

/// The same as tokens of their own, a batch of one: Tokens::Owned<T>.
template <class Tokens, class T>
auto tokens_of(Adapters<T> adapters, std::string_view prefix, double scale, Missing missing = Missing::refuse) {
  typename Tokens::template Owned<T> tokens(1);
  write_tokens<Tokens, T>(tokens.view(), 0, std::move(adapters), prefix, scale, missing);
  return tokens;
}

}  // namespace wu::io
