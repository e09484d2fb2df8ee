// A trained module in one object, as a program that uses it wants it: the weights, their file, and the memory to run them in.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "wu/core/parameters.hpp"
#include "wu/core/workspace.hpp"
#include "wu/io/checkpoint.hpp"
#include "wu/io/parameters.hpp"
#include "wu/ops/reference.hpp"

namespace wu {

/// Module is a generator, a module of one's own that ends in one, a backbone, or Tokenizer<...>::of<...> (one request's adapters).
///     auto model = wu::Model<Generator, float>::load("generator.safetensors");
///     const auto adapters = model.forward(ctx, condition);
template <class Module, class T>
class Model {
 public:
  Weights<Module, T> weights;

  Model() = default;
  /// With weights that are there already.
  explicit Model(Weights<Module, T> trained) : weights(std::move(trained)) {}

  /// From a file, an index or a folder as io::Checkpoint::open takes it: the tensors whose names start with `prefix`
  /// ("generator.", with its point), which must be the module's parameters, no more and no less. Throws FileError as
  /// io::load_parameters does.
  static Model load(const std::string& path, std::string_view prefix = "") {
    Model model;
    io::load_parameters(io::Checkpoint::open(path), model.weights.view(), prefix);
    return model;
  }

  /// Replaces the file whole or not at all. Throws FileError; NonFiniteError before a NaN or an infinity is written, which load()
  /// would refuse.
  void save(const std::string& path, io::Metadata metadata = {}) const {
    auto views = weights.frozen();
    for_each_parameter(views, [](const auto& name, const auto& view) {
      for (const T& v : view)
        if (!std::isfinite(static_cast<accumulator_t<T>>(v)))
          throw NonFiniteError(
              message("model: expected finite weights to save, found ", static_cast<accumulator_t<T>>(v), " in ", name));
    });
    io::save_safetensors(path, io::to_tensors(views), std::move(metadata));
  }

  /// The adapters that a generator writes for conditions (b, ...), in memory of their own: (b, layers, tokens, rank, width). What
  /// a module of one's own reads beside the first condition follows it. Throws what the module's forward does.
  /// On a device with memory of its own, the weights are copied there at the first call; conditions and adapters lie in the
  /// host's memory all the same. Call forget_copies() after a change to the weights.
  template <class Condition, class... More>
  auto forward(auto& ctx, const Condition& condition, const More&... more) {
    typename Module::Tokens::template Owned<T> tokens(condition.extent(0));
    if constexpr (requires { ctx.synchronise(); }) {
      const MemoryResource* const memory = memory_of(ctx);
      if (!away_ || away_->memory != memory) {
        away_.reset();
        away_ = std::make_unique<Away>(memory, weights);
      }
      const Workspace::Scope scope(away_->workspace);
      auto written = tokens.view();
      written.data = away_->workspace.template take_values<T>(tokens.size());
      Module::template forward<T>(ctx, away_->workspace, written, there(condition), there(more)..., away_->weights.frozen());
      ctx.synchronise();
      memory->copy(tokens.data(), written.data, static_cast<std::size_t>(tokens.size()) * sizeof(T));
    } else {
      const Workspace::Scope scope(workspace_);
      Module::template forward<T>(ctx, workspace_, tokens.view(), condition, more..., weights.frozen());
    }
    return tokens;
  }

  /// What forward has copied to a device is copied again when it is next needed.
  void forget_copies() { away_.reset(); }

 private:
  /// The weights in a device's memory, and what a forward pass takes of it.
  struct Away {
    Away(const MemoryResource* device, const Weights<Module, T>& here)
        : memory(device), weights(here.in(device)), workspace(0, device) {}
    const MemoryResource* memory;
    const Weights<Module, T> weights;
    Workspace workspace;
  };
  /// A condition in the device's memory, until the scope of a forward pass ends.
  auto there(const auto& operand) {
    if constexpr (requires { operand.view(); }) return there(operand.view());
    else {
      using U = typename std::remove_cvref_t<decltype(operand)>::value_type;
      U* const data = away_->workspace.template take_values<U>(operand.size());
      away_->memory->copy(data, operand.data, static_cast<std::size_t>(operand.size()) * sizeof(U));
      auto moved = as_const(operand);
      moved.data = data;
      return moved;
    }
  }

  Workspace workspace_;
  std::unique_ptr<Away> away_;
};

}  // namespace wu
