// What wu and PyTorch do on a GPU, on wu's side: a work has a name, a count of operations, and can be set up. Everything lies in
// the device's memory, and few random numbers are made on the host and repeated there: the released generator has 16 GB of them.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "wu/core/buffer.hpp"
#include "wu/core/parameters.hpp"
#include "wu/core/random.hpp"
#include "wu/core/workspace.hpp"
#include "wu/cuda/cuda.hpp"
#include "wu/io/parameters.hpp"

namespace gpu_works {

using namespace wu;

/// How the values of a tensor are distributed.
struct Normal {
  double deviation = 1, mean = 0;
  auto operator<=>(const Normal&) const = default;
};

/// A work that is set up: its weights and inputs exist.
class Setup {
 public:
  explicit Setup(cuda::Context& context) : ctx(context), ws(0, context.memory()) {}
  ~Setup() {
    while (!owned_.empty()) owned_.pop_back();  // what was made later may point to what was made before
  }
  Setup(const Setup&) = delete;
  Setup& operator=(const Setup&) = delete;

  cuda::Context& ctx;
  Workspace ws;
  std::function<void()> step;     ///< what is timed; it takes from ws and gives back, and need not wait for the device
  int checked_steps = 1;          ///< after so many steps what is computed is compared with the other side's
  std::function<double()> error;  ///< of a work that computes another one's result less exactly: how far it was off
  std::size_t weight_bytes = 0;
  using Download = std::function<io::TensorToSave()>;
  std::vector<Download> given, computed;  ///< weights and inputs; outputs and gradients

  /// (sizes...) zeros.
  template <class T, Index... E>
  View<T, E...> array(std::convertible_to<Index> auto... sizes) {
    View<T, E...> view(static_cast<T*>(nullptr), sizes...);
    const auto memory = std::make_shared<Buffer<T>>(view.size(), ctx.memory());
    owned_.push_back(memory);
    view.data = memory->data();
    return view;
  }
  /// (sizes...) normal values, which the other side is given too.
  template <class T, Index... E>
  View<const T, E...> input(const std::string& name, std::convertible_to<Index> auto... sizes) {
    const auto view = array<T, E...>(sizes...);
    fill(view, {});
    given.push_back(download(name, view));
    return view;
  }
  /// What the step overwrites.
  template <class T, Index... E>
  View<T, E...> output(const std::string& name, std::convertible_to<Index> auto... sizes) {
    const auto view = array<T, E...>(sizes...);
    computed.push_back(download(name, view));
    return view;
  }

  /// A module's weights: matrices with variance 1 / fan_in, positions with 1, gains near 1, biases near 0. None is exactly what a
  /// module starts with, so that a comparison sees all of them.
  template <class Views>
  void fill_weights(Views views) {
    for_each_parameter(views, [&](std::string_view name, auto& view) {
      using V = std::remove_cvref_t<decltype(view)>;
      if constexpr (V::rank > 1)
        fill(view, {name.find("_pos") != name.npos ? 1 : 1 / std::sqrt(static_cast<double>(V::width))});
      else fill(view, {0.02, name.find("norm") != name.npos ? 1.0 : 0.0});
      given.push_back(download(std::string(name), view));
    });
  }
  /// Those of a module that does not learn.
  template <class Module, class T>
  Weights<Module, T>& weights() {
    auto& own = keep(std::make_shared<Weights<Module, T>>(ctx.memory()));
    weight_bytes += own.flat().size_bytes();
    fill_weights(own.view());
    return own;
  }
  /// A module's gradients are compared with the other side's.
  void compare_gradients(auto views) {
    for_each_parameter(
        views, [&](std::string_view name, auto& view) { computed.push_back(download(message("grad.", name), view)); });
  }

  /// Until the work ends.
  template <class Owned>
  Owned& keep(std::shared_ptr<Owned> owned) {
    owned_.push_back(owned);
    return *owned;
  }

 private:
  // A prime: rows of a matrix do not begin alike.
  static constexpr Index pattern_length = 1'048'573;

  /// Fills a view with a pattern from where the one before ended, so that two tensors differ.
  template <class T, Index... E>
  void fill(View<T, E...> view, Normal normal) {
    const T* const pattern = pattern_of<T>(normal);
    T* to = view.data;
    for (Index left = view.size(); left > 0;) {
      const Index count = std::min(left, pattern_length - next_);
      cuda::runtime::copy(ctx.stream(), to, pattern + next_, static_cast<std::size_t>(count) * sizeof(T));
      to += count, left -= count;
      next_ = (next_ + count) % pattern_length;
    }
  }

  template <class T>
  const T* pattern_of(Normal normal) {
    auto& made = patterns_[{std::is_same_v<T, float>, normal}];
    if (!made) {
      static const std::vector<float> standard = [] {
        Random random(/*seed*/ 1, "benchmarks/cuda");
        std::vector<float> values(static_cast<std::size_t>(pattern_length));
        for (float& v : values) v = static_cast<float>(random.normal());
        return values;
      }();
      Buffer<T> host(pattern_length);
      std::transform(standard.begin(), standard.end(), host.data(), [&](float v) {
        return static_cast<T>(static_cast<float>(normal.mean + normal.deviation * static_cast<double>(v)));
      });
      made = std::make_shared<Buffer<T>>(host.in(ctx.memory()));
    }
    return static_cast<const Buffer<T>*>(made.get())->data();
  }

  template <class T, Index... E>
  Download download(std::string name, View<T, E...> view) {
    return [this, name = std::move(name), view] {
      std::vector<std::int64_t> shape;
      for (std::size_t axis = 0; axis < sizeof...(E); ++axis) shape.push_back(view.extent(axis));
      std::vector<T> host(static_cast<std::size_t>(view.size()));
      ctx.download(host.data(), view.data, host.size() * sizeof(T));
      return io::tensor_to_save_as(io::dtype_of<T>(), name, std::move(shape), std::span<const T>(host));
    };
  }

  std::vector<std::shared_ptr<void>> owned_;
  std::map<std::pair<bool, Normal>, std::shared_ptr<void>> patterns_;
  Index next_ = 0;
};

/// Operations are those in products, 2 for each multiplication and its addition.
struct Work {
  std::string name;
  double operations;
  std::function<void(Setup&)> set_up;  ///< makes weights and inputs, and gives the step
};

/// The root of the mean square of the differences, relative to that of what was expected.
template <class T>
double relative_difference(const std::vector<T>& found, const std::vector<T>& expected) {
  double difference = 0, all = 0;
  for (std::size_t k = 0; k < expected.size(); ++k) {
    const double a = static_cast<double>(found[k]), b = static_cast<double>(expected[k]);
    difference += (a - b) * (a - b), all += b * b;
  }
  return std::sqrt(difference / all);
}

/// "F32" or "BF16".
template <class T>
inline constexpr std::string_view scalar_name = std::is_same_v<T, float> ? "F32" : "BF16";

// The works, in the order of the table, each kind in the file of its name. tiny: the same at sizes that a processor can do, in
// float and in bfloat16; else at those to measure, in bfloat16.
void add_products(std::vector<Work>& works, bool tiny);
void add_adapted_linear(std::vector<Work>& works, bool tiny);
void add_generation(std::vector<Work>& works, bool tiny);
void add_attention(std::vector<Work>& works, bool tiny);
void add_training(std::vector<Work>& works, bool tiny);

}  // namespace gpu_works
