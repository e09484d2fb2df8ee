// The demonstration's networks as types. Change a number here and everything downstream follows or refuses to compile.
#pragma once

#include "wu/backbone/edit_transformer.hpp"
#include "wu/condition/hybrid.hpp"
#include "wu/diffusion/step.hpp"
#include "wu/generator/generator.hpp"

namespace edit {

using wu::Index, wu::View, wu::dyn;

inline constexpr Index tile = 64;       ///< pixels along a side of what the backbone works on at once
inline constexpr int crop_side = 48;    ///< pixels along a side of a training tile: cheaper, and the backbone takes any size
inline constexpr Index view_size = 64;  ///< the whole picture, resized, as the generator sees it
inline constexpr Index rank = 8;
inline constexpr double alpha = 1;  ///< the adapters' scale is alpha / rank

// ---- frozen: pre-trained, kept in the repository --------------------------------------------------------------------------
using BackboneText =
    wu::condition::TextEncoder</*vocabulary*/ 2048, /*length*/ 24, /*width*/ 64, /*head width*/ 16, /*blocks*/ 1>;
using Backbone = wu::backbone::EditTransformer</*layers*/ 4, /*token width*/ 128, /*pixel width*/ 64, /*head width*/ 32,
                                               BackboneText::width, rank, /*adapter token width*/ 128>;

/// The backbone and the text encoder that tells it the instruction, which is frozen with it.
struct Frozen {
  template <class T>
  struct Parameters {
    BackboneText::Parameters<T> text;
    Backbone::Parameters<T> backbone;
    constexpr void visit(auto&& at) { at("text", text), at("backbone", backbone); }
  };
};

// ---- trained: the functional memory -----------------------------------------------------------------------------------------
using ConditionText =
    wu::condition::TextEncoder</*vocabulary*/ 2048, /*length*/ 24, /*width*/ 64, /*head width*/ 16, /*blocks*/ 1>;
using Condition = wu::condition::Hybrid<
    wu::condition::ImageEncoder<view_size, /*patch*/ 16, /*width*/ 64, /*head width*/ 16, /*blocks*/ 2>, ConditionText>;
static_assert(ConditionText::vocabulary == BackboneText::vocabulary && ConditionText::length == BackboneText::length,
              "one list of word pieces serves both text encoders: they must have the same vocabulary and length");
using Generator = wu::Generator<
    Backbone::Tokens, wu::Width<64>, wu::HeadWidth<16>, wu::Blocks<2>, wu::JoinedRanks<1>,
    wu::ConditionWidth<Condition::width>,
    wu::BlockOrder<wu::FactorizedAttention<"self_attn_n", "layer">, wu::FactorizedAttention<"self_attn_rank", "rank">>>;

/// Condition encoders and generator: what training changes.
struct Memory {
  template <class T>
  struct Parameters {
    Condition::Parameters<T> condition;
    Generator::Parameters<T> generator;
    constexpr void visit(auto&& at) { at("condition", condition), at("generator", generator); }
  };
};

using Tokens = Generator::Tokens;
using Adapters = Backbone::Adapters<float>;

/// Which probability path a backbone was trained on; kept in its file.
enum class Path { bridge, flow };

using BridgeStep =
    wu::diffusion::DiffusionStep<wu::diffusion::SourceBridge, wu::diffusion::Predicts::edit, wu::diffusion::LogMeanSquared>;
using FlowStep =
    wu::diffusion::DiffusionStep<wu::diffusion::RectifiedFlow, wu::diffusion::Predicts::edit, wu::diffusion::LogMeanSquared>;

/// Calls f(Step{}) with the diffusion step of a path.
template <class F>
decltype(auto) with_step(Path path, F&& f) {
  return path == Path::bridge ? f(BridgeStep{}) : f(FlowStep{});
}

}  // namespace edit
