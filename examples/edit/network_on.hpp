// The networks at work on any device, for network.cpp and network_cuda.cpp, each of which compiles this for one. Batches are made in the
// host's memory and brought to the device's, results brought back; weights, gradients and adapters lie in the device's.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "edit/network.hpp"
#include "wu/diffusion/sampler.hpp"

namespace edit {

template <class Context>
class NetworkOn {
 public:
  Context& ctx;
  wu::Workspace& ws;

  NetworkOn(Context& context, wu::Workspace& workspace) : ctx(context), ws(workspace) {}

  double pretrain_loss(const FrozenWeights& weights, FrozenWeights& gradients, const Tiles& tiles,
                       std::span<const std::int32_t> pieces, const LossOptions& options);
  double memory_loss(const FrozenWeights& frozen, const MemoryWeights::Frozen& memory,
                     const MemoryWeights::Values& gradients, const std::vector<Request>& requests,
                     const LossOptions& options, Index& worst);
  wu::Buffer<float> generate(const MemoryWeights& memory, const std::vector<Request>& requests);
  Image sample(const FrozenWeights& frozen, std::span<const float> adapters, std::span<const std::int32_t> pieces,
               const Image& source, const SampleOptions& options);

 private:
  using Pixels = View<float, dyn, dyn, dyn, 3>;
  using ConstPixels = View<const float, dyn, dyn, dyn, 3>;
  static constexpr Index view_values = view_size * view_size * 3;

  Pixels take_pixels(Index count, Index side = tile) { return ws.take<float, dyn, dyn, dyn, 3>(count, side, side); }

  /// To the device's memory from the host's, and back; done when they return.
  void put(float* to, std::span<const float> from) { move(to, from.data(), from.size()); }
  void fetch(std::span<float> to, const float* from) { move(to.data(), from, to.size()); }
  void move(float* to, const float* from, std::size_t count) {
    wait();  // the memory may still be in use for what was asked before
    if (const wu::MemoryResource* const device = memory_of(ctx)) device->copy(to, from, count * sizeof(float));
    else std::copy_n(from, count, to);
  }
  /// Until all that was asked for is done.
  void wait() {
    if constexpr (requires { ctx.synchronise(); }) ctx.synchronise();
  }

  /// The instruction's features for the backbone: the mean over the text encoder's positions.   (b, width)
  struct InstructionPass {
    BackboneText::Saved<float> text;
    View<float, dyn, BackboneText::width> features, pooled;
  };
  InstructionPass encode(std::span<const std::int32_t> pieces, const BackboneText::Parameters<const float>& p) {
    const Index b = static_cast<Index>(pieces.size()) / BackboneText::length;
    InstructionPass pass;
    pass.features = ws.take<float, dyn, BackboneText::width>(b * BackboneText::length);
    pass.pooled = ws.take<float, dyn, BackboneText::width>(b);
    pass.text = BackboneText::forward<float>(ctx, ws, pass.features, pieces, p);
    mean_rows_forward(ctx, pass.pooled, wu::as_const(pass.features));
    return pass;
  }

  /// x_0 of the path: noise for the flow, the source for the bridge.
  template <class Step>
  ConstPixels start(ConstPixels source, std::uint64_t seed, std::uint64_t index) {
    if constexpr (!Step::path::from_noise) return source;
    else {
      const auto noise = ws.take<float, dyn, dyn, dyn, 3>(source.extent(0), source.extent(1), source.extent(2));
      std::vector<float> values(static_cast<std::size_t>(noise.size()));
      wu::Random random(seed, "noise", index);
      for (float& v : values) v = static_cast<float>(random.normal());
      put(noise.data, values);
      return noise;
    }
  }

  /// Views of all requests as one batch, and their pieces, which stay in the host's memory.
  Pixels views_of(const std::vector<Request>& requests) {
    std::vector<float> all;
    for (const Request& r : requests) all.insert(all.end(), r.view.begin(), r.view.end());
    const Pixels views = take_pixels(static_cast<Index>(requests.size()), view_size);
    put(views.data, all);
    return views;
  }
  static std::vector<std::int32_t> pieces_of_all(const std::vector<Request>& requests) {
    std::vector<std::int32_t> all;
    for (const Request& r : requests) all.insert(all.end(), r.pieces.begin(), r.pieces.end());
    return all;
  }

  /// Whether the adapters of some requests are, padding too.
  bool finite(View<const float, dyn, Tokens::values> tokens) {
    const wu::RowPart all{0, Tokens::values};
    return all_finite(ctx, tokens, std::span<const wu::RowPart>(&all, 1));
  }
};

template <class Context>
double NetworkOn<Context>::pretrain_loss(const FrozenWeights& weights, FrozenWeights& gradients, const Tiles& tiles,
                                         std::span<const std::int32_t> pieces, const LossOptions& options) {
  const wu::Workspace::Scope scope(ws);
  const auto p = weights.frozen();
  const auto dp = gradients.view();
  const Index b = tiles.count;
  const auto& t = options.t;
  return with_step(options.path, [&](auto step) {
    using Step = decltype(step);
    const auto source = take_pixels(b, tiles.side), target = take_pixels(b, tiles.side);
    put(source.data, tiles.source), put(target.data, tiles.target);
    const auto pass = encode(pieces, p.text);
    const auto x_0 = this->template start<Step>(source, options.noise_seed, 0);
    const auto x_t = take_pixels(b, tiles.side), edit = take_pixels(b, tiles.side);
    const auto dedit = take_pixels(b, tiles.side);
    Step::interpolate(ctx, x_t, x_0, target, t);
    const auto saved = Backbone::forward<float>(ctx, ws, edit, x_t, source, t, pass.pooled, p.backbone, Adapters{});
    std::vector<double> errors(static_cast<std::size_t>(b));
    const View<double, dyn> each(errors.data(), b);
    const double loss =
        Step::loss(ctx, ws, dedit, each, wu::as_const(edit), wu::as_const(x_t), source, x_0, target, t, {options.floor});
    const auto dpooled = ws.take<float, dyn, BackboneText::width>(b);
    Backbone::backward<float>(ctx, ws, {}, dp.backbone, dpooled, dedit, saved, p.backbone, Adapters{});
    const auto dfeatures = ws.take<float, dyn, BackboneText::width>(b * BackboneText::length);
    mean_rows_backward(ctx, dfeatures, wu::as_const(dpooled));
    BackboneText::backward<float>(ctx, ws, dp.text, dfeatures, pass.text, p.text);
    return loss;
  });
}

template <class Context>
double NetworkOn<Context>::memory_loss(const FrozenWeights& frozen, const MemoryWeights::Frozen& memory,
                                       const MemoryWeights::Values& gradients, const std::vector<Request>& requests,
                                       const LossOptions& options, Index& worst) {
  const wu::Workspace::Scope scope(ws);
  const Index b = static_cast<Index>(requests.size());
  const auto p = frozen.frozen();
  const auto pieces = pieces_of_all(requests);
  const auto views = views_of(requests);
  const auto u = ws.take<float, dyn, dyn, Condition::width>(b, Condition::length);
  const auto condition = Condition::forward<float>(ctx, ws, u, views, pieces, memory.condition);
  const Tokens::Tokens<float> tokens(ws.take_values<float>(b * Tokens::values), b),
      dtokens(ws.take_values<float>(b * Tokens::values), b);
  const auto generated = Generator::forward<float>(ctx, ws, tokens, u, memory.generator);
  // Which request went wrong is known here; the backbone would only refuse all of them.
  if (!finite({tokens.data, b}))
    for (worst = 0; worst < b; ++worst)
      if (!finite({tokens.data + worst * Tokens::values, 1})) return std::nan("");
  zero(ctx, dtokens.flat());
  const auto instructions = encode(pieces, p.text);

  // All requests' tiles one after the other, and whose they are.
  const Index side = requests.front().tiles.side, values = side * side * 3, all = static_cast<Index>(options.t.size());
  const auto sources = take_pixels(all, side), targets = take_pixels(all, side);
  const auto features = ws.take<float, dyn, BackboneText::width>(all);
  std::vector<float> all_sources, all_targets;
  std::vector<Index> owner;
  for (Index k = 0; k < b; ++k) {
    const Tiles& tiles = requests[static_cast<std::size_t>(k)].tiles;
    all_sources.insert(all_sources.end(), tiles.source.begin(), tiles.source.end());
    all_targets.insert(all_targets.end(), tiles.target.begin(), tiles.target.end());
    broadcast_rows_forward(ctx, View<float, dyn, BackboneText::width>(features.row(std::ssize(owner)), tiles.count),
                           View<const float, dyn, BackboneText::width>(instructions.pooled.row(k), 1));
    owner.insert(owner.end(), static_cast<std::size_t>(tiles.count), k);
  }
  put(sources.data, all_sources), put(targets.data, all_targets);

  worst = -1;
  double loss = 0;
  with_step(options.path, [&](auto step) {
    using Step = decltype(step);
    // Some tiles at a time, so that their activations stay in the cache.
    constexpr Index together = 8;
    for (Index first = 0; first < all; first += together) {
      const wu::Workspace::Scope part_scope(ws);
      const Index n = std::min(together, all - first);
      const auto times = options.t.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n));
      const std::span<const Index> which =
          std::span(owner).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n));
      const Adapters adapters{tokens, which, alpha / static_cast<double>(rank)};
      const ConstPixels source(sources.data + first * values, n, side, side),
          target(targets.data + first * values, n, side, side);
      const View<const float, dyn, BackboneText::width> instruction(features.row(first), n);
      const auto x_0 = this->template start<Step>(source, options.noise_seed, static_cast<std::uint64_t>(first));
      const auto x_t = take_pixels(n, side), edit = take_pixels(n, side), dedit = take_pixels(n, side);
      Step::interpolate(ctx, x_t, x_0, target, times);
      const auto saved = Backbone::forward<float>(ctx, ws, edit, x_t, source, times, instruction, p.backbone, adapters);
      std::array<double, together> errors;
      const View<double, dyn> each(errors.data(), n);
      const double part = Step::loss(ctx, ws, dedit, each, wu::as_const(edit), wu::as_const(x_t), source, x_0, target, times,
                                     {options.floor});
      for (Index i = 0; i < n && worst < 0; ++i)
        if (!std::isfinite(each[i])) worst = which[static_cast<std::size_t>(i)];
      const float share = static_cast<float>(n) / static_cast<float>(all);
      loss += part * static_cast<double>(share);
      scale(ctx, dedit, static_cast<double>(share));
      Backbone::backward<float>(ctx, ws, dtokens, Backbone::Parameters<float>{}, {}, dedit, saved, p.backbone, adapters);
    }
  });
  const auto du = ws.take<float, dyn, dyn, Condition::width>(b, Condition::length);
  Generator::backward<float>(ctx, ws, du, gradients.generator, dtokens, generated, memory.generator);
  Condition::backward<float>(ctx, ws, gradients.condition, du, condition, memory.condition);
  return loss;
}

template <class Context>
wu::Buffer<float> NetworkOn<Context>::generate(const MemoryWeights& memory, const std::vector<Request>& requests) {
  const wu::Workspace::Scope scope(ws);
  const Index b = static_cast<Index>(requests.size());
  const auto p = memory.frozen();
  const auto pieces = pieces_of_all(requests);
  const auto views = views_of(requests);
  wu::Buffer<float> tokens(b * Tokens::values, memory_of(ctx));
  const auto u = ws.take<float, dyn, dyn, Condition::width>(b, Condition::length);
  Condition::forward<float>(ctx, ws, u, views, pieces, p.condition);
  Generator::forward<float>(ctx, ws, Tokens::Tokens<float>(tokens.data(), b), u, p.generator);
  wait();  // the caller may drop the weights
  return tokens;
}

template <class Context>
Image NetworkOn<Context>::sample(const FrozenWeights& frozen, std::span<const float> adapters,
                                 std::span<const std::int32_t> pieces, const Image& source, const SampleOptions& options) {
  check(source);
  const wu::Workspace::Scope scope(ws);
  const auto p = frozen.frozen();
  const auto instruction = encode(pieces, p.text);
  constexpr int overlap = 16, side = static_cast<int>(tile);
  // Tiles start every side - overlap pixels; the last one of a line is moved back so that it ends with the picture.
  auto starts = [](int length) {
    std::vector<int> at{0};
    while (at.back() + side < length) at.push_back(std::min(at.back() + side - overlap, length - side));
    return at;
  };
  const std::vector<int> xs = starts(source.width), ys = starts(source.height);
  // A tile counts fully in its middle and less towards its borders, where it sees less of the picture.
  std::array<float, tile> window{};
  for (int k = 0; k < side; ++k)
    window[static_cast<std::size_t>(k)] = static_cast<float>(std::min({k + 1, side - k, overlap})) / overlap;

  Image out = blank(source.width, source.height);
  std::vector<float> weight(out.rgb.size() / 3);
  constexpr Index most = 8;
  const Index count = static_cast<Index>(xs.size() * ys.size());
  auto corner = [&](Index k) {
    return std::pair{xs[static_cast<std::size_t>(k) % xs.size()], ys[static_cast<std::size_t>(k) / xs.size()]};
  };
  for (Index begin = 0; begin < count; begin += most) {
    const wu::Workspace::Scope batch_scope(ws);
    const Index n = std::min(most, count - begin);
    const auto in = take_pixels(n), x = take_pixels(n);
    std::vector<float> picked(static_cast<std::size_t>(in.size()));
    for (Index k = 0; k < n; ++k) {
      const auto [x0, y0] = corner(begin + k);
      for (int y = 0; y < side; ++y)
        for (int c = 0; c < side * 3; ++c) {
          const int sx = std::min(x0 + c / 3, source.width - 1), sy = std::min(y0 + y, source.height - 1);
          picked[static_cast<std::size_t>((k * tile + y) * tile * 3 + c)] = 2 * source.rgb[source.at(sx, sy, c % 3)] - 1;
        }
    }
    put(in.data, picked);
    const auto features = ws.take<float, dyn, BackboneText::width>(n);
    broadcast_rows_forward(ctx, features, wu::as_const(instruction.pooled));
    const std::vector<Index> which(static_cast<std::size_t>(n), 0);
    Adapters with;
    if (!adapters.empty())
      with = {Tokens::Tokens<const float>(adapters.data(), 1), which, alpha / static_cast<double>(rank)};
    with_step(options.path, [&](auto step) {
      using Step = decltype(step);
      const auto x_0 = this->template start<Step>(in, options.seed, static_cast<std::uint64_t>(begin));
      copy(ctx, x, x_0);
      wu::diffusion::sample_euler(ctx, ws, x, options.steps, [&](auto v, auto x_t, double time) {
        const wu::Workspace::Scope step_scope(ws);
        const std::vector<double> times(static_cast<std::size_t>(n), time);
        const auto edit = take_pixels(n);
        Backbone::forward<float>(ctx, ws, edit, x_t, in, times, features, p.backbone, with);
        Step::velocity(ctx, v, wu::as_const(edit), x_t, wu::as_const(in), times);
      });
    });
    fetch(picked, x.data);
    for (Index k = 0; k < n; ++k) {
      const auto [x0, y0] = corner(begin + k);
      for (int y = 0; y < std::min(side, source.height - y0); ++y)
        for (int column = 0; column < std::min(side, source.width - x0); ++column) {
          const float w = window[static_cast<std::size_t>(y)] * window[static_cast<std::size_t>(column)];
          const std::size_t at = out.at(x0 + column, y0 + y);
          weight[at / 3] += w;
          for (std::size_t c = 0; c < 3; ++c)
            out.rgb[at + c] += w * (picked[static_cast<std::size_t>((k * tile + y) * tile + column) * 3 + c] + 1) / 2;
        }
    }
    if (options.progress) options.progress(static_cast<double>(begin + n) / static_cast<double>(count));
  }
  for (std::size_t k = 0; k < out.rgb.size(); ++k) out.rgb[k] = std::clamp(out.rgb[k] / weight[k / 3], 0.0f, 1.0f);
  return out;
}

}  // namespace edit
