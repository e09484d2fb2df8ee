// What both sides of the comparison do, on wu's side: a work has a name, a count of operations, and can be set up.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/core/buffer.hpp"
#include "wu/core/workspace.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/io/parameters.hpp"
#include "wu/nn/initialise.hpp"

namespace peers {

using namespace wu;

/// A work that is set up: its weights and inputs exist.
class Setup {
 public:
  explicit Setup(int threads) : ctx({.threads = threads}) {}

  cpu::Context ctx;
  Workspace ws;
  std::function<void()> step;                     ///< what is timed; it takes from ws and gives back
  int checked_steps = 1;                          ///< after so many steps `computed` is compared with the other side's
  std::vector<io::TensorToSave> given, computed;  ///< weights and inputs; outputs and gradients
  std::size_t kept_bytes = 0;                     ///< of gradients and moments, which exist between two steps too

  /// (sizes...) zeros.
  template <class T, Index... E>
  View<T, E...> array(std::convertible_to<Index> auto... sizes) {
    View<T, E...> view(static_cast<T*>(nullptr), sizes...);
    const auto memory = std::make_shared<Buffer<T>>(view.size());
    owned_.push_back(memory);
    view.data = memory->data();
    return view;
  }
  /// (sizes...) normal values.
  template <class T, Index... E>
  View<const T, E...> input(const std::string& name, std::convertible_to<Index> auto... sizes) {
    const auto view = array<T, E...>(sizes...);
    fill_normal(view, seed, name, 1);
    give(name, view);
    return view;
  }
  /// The other side is given these values too.
  template <class V>
  void give(const std::string& name, const V& view) {
    given.push_back(tensor(name, view));
  }
  /// What the step overwrites.
  template <class T, Index... E>
  View<T, E...> output(const std::string& name, std::convertible_to<Index> auto... sizes) {
    const auto view = array<T, E...>(sizes...);
    computed.push_back(tensor(name, view));
    return view;
  }

  /// A module's weights as it starts them, each value a little off: no bias is 0 and no gain 1, so that a comparison sees them.
  template <class Module, class T>
  Weights<Module, T>& weights(const std::string& prefix = "") {
    auto& own = own_weights<Module, T>();
    auto views = own.view();
    if constexpr (requires { Module::template initialise<T>(views, seed); }) Module::template initialise<T>(views, seed);
    else initialise(views, seed, "peers");
    for_each_parameter(views, [](std::string_view name, auto& view) {
      Random random(seed, message(name, ", a little off"));
      for (T& v : view) v = static_cast<T>(static_cast<float>(v) + 0.02f * static_cast<float>(random.normal()));
    });
    for (auto& one : io::to_tensors(own.frozen(), prefix)) given.push_back(std::move(one));
    return own;
  }
  /// Where a module's gradients are added up.
  template <class Module, class T>
  Weights<Module, T>& gradients() {
    auto& own = own_weights<Module, T>();
    kept_bytes += own.flat().size_bytes();
    for (auto& one : io::to_tensors(own.frozen(), "grad.")) computed.push_back(std::move(one));
    return own;
  }
  /// Until the work ends.
  template <class Owned>
  Owned& keep(std::shared_ptr<Owned> owned) {
    owned_.push_back(owned);
    return *owned;
  }

 private:
  static constexpr std::uint64_t seed = 1;

  template <class Module, class T>
  Weights<Module, T>& own_weights() {
    return keep(std::make_shared<Weights<Module, T>>());
  }
  template <class V>
  static io::TensorToSave tensor(const std::string& name, const V& view) {
    std::vector<std::int64_t> shape;
    for (std::size_t axis = 0; axis < V::rank; ++axis) shape.push_back(view.extent(axis));
    return io::tensor_to_save(name, std::move(shape), std::span(view.data, static_cast<std::size_t>(view.size())));
  }

  std::vector<std::shared_ptr<void>> owned_;
};

/// Operations are those in products, 2 for each multiplication and its addition.
struct Work {
  std::string name;
  double operations;
  std::function<void(Setup&)> set_up;  ///< makes weights and inputs, and gives the step
};

/// All works, in the order of the table.
std::vector<Work> all_works();

// The parts of that list, each in the file of its name.
void add_products(std::vector<Work>& works);
void add_generators(std::vector<Work>& works);
void add_adapted_linear(std::vector<Work>& works);
void add_training_steps(std::vector<Work>& works);

}  // namespace peers
