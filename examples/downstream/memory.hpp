// The functional memory: encoder and generator as one module, so that one optimiser and one file hold both.
#pragma once

#include "encoder.hpp"
#include "wu/generator/generator.hpp"

namespace springs {

using Generator = wu::Generator<Backbone::Tokens, wu::Width<64>, wu::HeadWidth<16>, wu::Blocks<2>, wu::JoinedRanks<4>,
                                wu::ConditionWidth<Encoder::width>,
                                wu::BlockOrder<wu::FactorizedAttention<"self_attn", "layer", "token">>>;

struct Memory {
  using Tokens = Generator::Tokens;

  template <class T>
  struct Parameters {
    Encoder::Parameters<T> encoder;
    Generator::Parameters<T> generator;
    constexpr void visit(auto&& at) { at("encoder", encoder), at("generator", generator); }
  };
  template <class T>
  struct Saved {
    Encoder::Saved<T> encoder;
    Generator::Saved<T> generator;
  };

  template <class T>
  static void initialise(Parameters<T> p, std::uint64_t seed) {
    Encoder::initialise<T>(p.encoder, seed);
    Generator::initialise<T>(p.generator, seed);
  }

  /// tokens: the adapters of every request, from its examples (b, L, 2).
  template <class T>
  static Saved<T> forward(auto& ctx, wu::Workspace& ws, Tokens::Tokens<T> tokens, View<const T, dyn, dyn, 2> examples,
                          const Parameters<const T>& p) {
    const auto features = ws.take<T, dyn, dyn, Encoder::width>(examples.extent(0), examples.extent(1));
    Saved<T> s;
    s.encoder = Encoder::forward<T>(ctx, ws, features, examples, p.encoder);
    s.generator = Generator::forward<T>(ctx, ws, tokens, features, p.generator);
    return s;
  }

  /// Adds to dp.
  template <class T>
  static void backward(auto& ctx, wu::Workspace& ws, const Parameters<T>& dp, Tokens::Tokens<const T> dtokens,
                       const Saved<T>& s, const Parameters<const T>& p) {
    const wu::Workspace::Scope scope(ws);
    const auto& features = s.generator.condition;
    const auto dfeatures = ws.take<T, dyn, dyn, Encoder::width>(features.extent(0), features.extent(1));
    Generator::backward<T>(ctx, ws, dfeatures, dp.generator, dtokens, s.generator, p.generator);
    Encoder::backward<T>(ctx, ws, dp.encoder, dfeatures, s.encoder, p.encoder);
  }
};

}  // namespace springs
