// The switch for FP8: a generator's weights once more in FP8 (e4m3), with a scale for each row. As long as they are there, linear
// layers with these weights are multiplied in FP8; all else stays in bfloat16.
//     W ~ s_W codes_W, a scale for each row of W      x ~ s_x codes_x, a scale for each row of x, made at every call
//     y = s_x s_W (codes_x codes_W^T) + b, summed in float, stored in bfloat16
//                                                         Micikevicius et al. 2022, "FP8 formats for deep learning"
#pragma once

#include <algorithm>
#include <vector>

#include "wu/core/parameters.hpp"
#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/float8.hpp"

namespace wu::cuda {

namespace detail {
/// Calls f(weight) for the weight (Out, In) of every linear layer under field: what stands beside a bias.
template <class Field, class F>
constexpr void each_linear_weight(Field& field, F& f) {
  if constexpr (is_array<Field>) {
    for (auto& element : field) each_linear_weight(element, f);
  } else if constexpr (!Leaf<Field>) {
    if constexpr (requires { field.weight, field.bias; }) {
      if constexpr (decltype(field.weight)::rank == 2) f(field.weight);
    } else field.visit([&](const char*, auto& inner) { each_linear_weight(inner, f); });
  }
}
}  // namespace detail

/// How products in FP8 are taken.
struct Float8Options {
  bool fast_sums = false;  ///< sums in fewer digits than a float has, which some GPUs (sm_89, sm_90) are faster in
};

/// The weights of all linear layers of a module in FP8, beside those in bfloat16, which stay where they are and are not changed:
///     const wu::cuda::Float8Weights float8(gpu, weights.frozen());  // once for a checkpoint
///     Generator::forward<wu::bfloat16>(gpu, ws, tokens, condition, weights.frozen());
/// Layers whose In and Out are multiples of 16 take part, when they are run by this context with weights at this address, but for
/// those that add to what lies in their result already: lora_linear's, where adapters came first.
/// Memory: a byte for each value of the weights and 4 for each row, and in the context's scratch memory a byte for each value that
/// goes into a layer. For inference alone: a linear layer's backward throws Error while its weights are here.
/// The context and the weights must outlive it and stay where they are. When weights have changed, call update(). Make it before
/// work is recorded, and keep it as long as the recording runs.
class Float8Weights {
 public:
  /// parameters: views of bfloat16 in ctx's memory. Throws Error where the device has no products in FP8, and where one of the
  /// weights is in FP8 already.
  template <class Parameters>
  Float8Weights(Context& ctx, Parameters parameters, Float8Options options = {}) : ctx_(ctx) {
    if (const Device& device = ctx.about(); device.capability > 0 && device.capability < 89)
      throw Error(message("cuda: expected a device that multiplies in FP8, of compute capability 89 or more, found ",
                          device.name, ", ", device.capability));
    Index codes = 0, scales = 0;
    const auto place = [&](const auto& weight) {
      using W = std::remove_cvref_t<decltype(weight)>;
      static_assert(fits<std::is_same_v<value_of<W>, bfloat16>,
                         "wu::cuda::Float8Weights: expected weights of bfloat16, found ", type<value_of<W>>>);
      constexpr Index rows = W::extents[0], width = W::width;
      if constexpr (rows % multiple == 0 && width % multiple == 0) {
        if (ctx.float8_.contains(weight.data)) throw Error("cuda: expected weights that are not in FP8 yet");
        layers_.push_back({weight.data, codes, scales, rows, width});
        codes += rows * width, scales += rows;
      }
    };
    detail::each_linear_weight(parameters, place);
    codes_ = Buffer<float8>::uninitialised(codes, ctx.memory());
    scales_ = Buffer<float>::uninitialised(scales, ctx.memory());
    update();
    for (const Layer& layer : layers_) {
      Float8Rows rows = rows_of(layer);
      rows.fast_sums = options.fast_sums;
      ctx.float8_.emplace(layer.weight, rows);
    }
  }
  ~Float8Weights() {
    for (const Layer& layer : layers_) ctx_.float8_.erase(layer.weight);
    try {
      runtime::synchronise(ctx_.stream());  // what is on the stream may still read them
    } catch (const Error&) {                // it will be thrown again by what comes next
    }
  }
  Float8Weights(const Float8Weights&) = delete;
  Float8Weights& operator=(const Float8Weights&) = delete;

  /// Rounds the weights again, after a change to them.
  void update() {
    for (const Layer& layer : layers_) {
      const Float8Rows to = rows_of(layer);
      const kernel::QuantiseRows body(to.codes, to.scales, layer.weight, layer.rows, layer.width);
      ctx_.run_blocks(body, {.blocks = body.blocks(), .threads = body.threads});
    }
  }

  /// How many layers' weights are in FP8.
  Index layers() const { return static_cast<Index>(layers_.size()); }
  /// The memory that they take.
  std::size_t bytes() const {
    return static_cast<std::size_t>(codes_.size()) * sizeof(float8) +
           static_cast<std::size_t>(scales_.size()) * sizeof(float);
  }

 private:
  static constexpr Index multiple = 16;  // of rows and columns that cuBLASLt takes in FP8
  struct Layer {
    const bfloat16* weight;
    Index codes, scales, rows, width;
  };
  Float8Rows rows_of(const Layer& layer) {
    return {codes_.data() + layer.codes, scales_.data() + layer.scales, layer.rows, layer.width};
  }

  Context& ctx_;
  std::vector<Layer> layers_;
  Buffer<float8> codes_;
  Buffer<float> scales_;
};

}  // namespace wu::cuda
