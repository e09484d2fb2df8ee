#include "edit/network.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "wu/cpu/cpu.hpp"
#include "wu/diffusion/sampler.hpp"

namespace edit {

namespace {

using Pixels = View<float, dyn, dyn, dyn, 3>;
using ConstPixels = View<const float, dyn, dyn, dyn, 3>;
constexpr Index tile_values = tile * tile * 3;

Pixels take_pixels(wu::Workspace& ws, Index count, Index side = tile) {
  return ws.take<float, dyn, dyn, dyn, 3>(count, side, side);
}

/// The instruction's features for the backbone: the mean over the text encoder's positions.   (b, width)
struct InstructionPass {
  BackboneText::Saved<float> text;
  View<float, dyn, BackboneText::width> features, pooled;
};

InstructionPass encode(wu::cpu::Context& ctx, wu::Workspace& ws, std::span<const std::int32_t> pieces,
                       const BackboneText::Parameters<const float>& p) {
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
ConstPixels start(wu::Workspace& ws, ConstPixels source, std::uint64_t seed, std::uint64_t index) {
  if constexpr (!Step::path::from_noise) return source;
  else {
    const auto noise = ws.take<float, dyn, dyn, dyn, 3>(source.extent(0), source.extent(1), source.extent(2));
    wu::Random random(seed, "noise", index);
    for (float& v : noise) v = static_cast<float>(random.normal());
    return noise;
  }
}

}  // namespace

void initialise(FrozenWeights& weights, std::uint64_t seed) {
  auto p = weights.view();
  BackboneText::initialise<float>(p.text, seed);
  Backbone::initialise<float>(p.backbone, seed);
}

void initialise(MemoryWeights& weights, std::uint64_t seed) {
  auto p = weights.view();
  Condition::initialise<float>(p.condition, seed);
  Generator::initialise<float>(p.generator, seed);
}

void Tiles::add(const Image& source_picture, const Image& target_picture, int x, int y) {
  for (auto [picture, into] : {std::pair{&source_picture, &source}, std::pair{&target_picture, &target}})
    for (int row = y; row < y + static_cast<int>(side); ++row) {
      const auto from = picture->rgb.begin() + static_cast<std::ptrdiff_t>(picture->at(x, row));
      std::transform(from, from + side * 3, std::back_inserter(*into), [](float v) { return 2 * v - 1; });
    }
  ++count;
}

void repeat_pieces(std::span<std::int32_t> pieces) {
  const auto used = static_cast<std::size_t>(std::find(pieces.begin(), pieces.end(), 0) - pieces.begin());
  for (std::size_t k = used; k < pieces.size() && used > 0; ++k) pieces[k] = pieces[k - used];
}

std::vector<std::int32_t> pieces_of(std::string_view instruction) {
  std::vector<std::int32_t> pieces(static_cast<std::size_t>(BackboneText::length));
  wu::condition::word_pieces(pieces, instruction, BackboneText::vocabulary);
  repeat_pieces(pieces);
  return pieces;
}

void describe_request(Request& request, const Image& source, std::string_view instruction) {
  request.pieces = pieces_of(instruction);
  const Image small = resize(source, view_size, view_size);
  request.view.resize(small.rgb.size());
  std::transform(small.rgb.begin(), small.rgb.end(), request.view.begin(), [](float v) { return 2 * v - 1; });
}

double Network::pretrain_loss(const FrozenWeights& weights, FrozenWeights& gradients, const Tiles& tiles,
                              std::span<const std::int32_t> pieces, const LossOptions& options) {
  const wu::Workspace::Scope scope(ws);
  const auto p = weights.frozen();
  const auto dp = gradients.view();
  const Index b = tiles.count;
  const auto& t = options.t;
  return with_step(options.path, [&](auto step) {
    using Step = decltype(step);
    const ConstPixels source(tiles.source.data(), b, tiles.side, tiles.side),
        target(tiles.target.data(), b, tiles.side, tiles.side);
    const auto pass = encode(ctx, ws, pieces, p.text);
    const auto x_0 = start<Step>(ws, source, options.noise_seed, 0);
    const auto x_t = take_pixels(ws, b, tiles.side), edit = take_pixels(ws, b, tiles.side);
    const auto dedit = take_pixels(ws, b, tiles.side);
    Step::interpolate(ctx, x_t, x_0, target, t);
    const auto saved = Backbone::forward<float>(ctx, ws, edit, x_t, source, t, pass.pooled, p.backbone, Adapters{});
    const auto each = ws.take<double, dyn>(b);
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

namespace {

/// Views and pieces of all requests as one batch.
struct ConditionBatch {
  View<float, dyn, dyn, dyn, 3> views;
  std::span<std::int32_t> pieces;
};
ConditionBatch gather(wu::Workspace& ws, const std::vector<Request>& requests) {
  const Index b = static_cast<Index>(requests.size());
  ConditionBatch batch{
      ws.take<float, dyn, dyn, dyn, 3>(b, view_size, view_size),
      {ws.take_values<std::int32_t>(b * BackboneText::length), static_cast<std::size_t>(b * BackboneText::length)}};
  for (Index k = 0; k < b; ++k) {
    const Request& r = requests[static_cast<std::size_t>(k)];
    std::copy(r.view.begin(), r.view.end(), batch.views.data + k * view_size * view_size * 3);
    std::copy(r.pieces.begin(), r.pieces.end(), batch.pieces.begin() + k * BackboneText::length);
  }
  return batch;
}

}  // namespace

double Network::memory_loss(const FrozenWeights& frozen, const MemoryWeights::Frozen& memory,
                            const MemoryWeights::Values& gradients, const std::vector<Request>& requests,
                            const LossOptions& options, Index& worst) {
  const wu::Workspace::Scope scope(ws);
  const Index b = static_cast<Index>(requests.size());
  const auto p = frozen.frozen();
  const auto batch = gather(ws, requests);
  const auto u = ws.take<float, dyn, dyn, Condition::width>(b, Condition::length);
  const auto condition = Condition::forward<float>(ctx, ws, u, batch.views, batch.pieces, memory.condition);
  const Tokens::Tokens<float> tokens(ws.take_values<float>(b * Tokens::values), b),
      dtokens(ws.take_values<float>(b * Tokens::values), b);
  const auto generated = Generator::forward<float>(ctx, ws, tokens, u, memory.generator);
  // Which request went wrong is known here; the backbone would only refuse all of them.
  for (worst = 0; worst < b; ++worst)
    if (!std::ranges::all_of(std::span(tokens.data + worst * Tokens::values, static_cast<std::size_t>(Tokens::values)),
                             [](float v) { return std::isfinite(v); }))
      return std::nan("");
  zero(ctx, dtokens.flat());
  const auto instructions = encode(ctx, ws, batch.pieces, p.text);

  // All requests' tiles one after the other, and whose they are.
  const Index side = requests.front().tiles.side, values = side * side * 3, all = static_cast<Index>(options.t.size());
  const auto sources = take_pixels(ws, all, side), targets = take_pixels(ws, all, side);
  const auto features = ws.take<float, dyn, BackboneText::width>(all);
  const std::span<Index> owner(ws.take_values<Index>(all), options.t.size());
  Index at = 0;
  for (Index k = 0; k < b; ++k) {
    const Tiles& tiles = requests[static_cast<std::size_t>(k)].tiles;
    std::copy(tiles.source.begin(), tiles.source.end(), sources.data + at * values);
    std::copy(tiles.target.begin(), tiles.target.end(), targets.data + at * values);
    for (Index i = 0; i < tiles.count; ++i, ++at) {
      owner[static_cast<std::size_t>(at)] = k;
      std::copy_n(instructions.pooled.row(k), BackboneText::width, features.row(at));
    }
  }

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
      const std::span<const Index> which = owner.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n));
      const Adapters adapters{tokens, which, alpha / static_cast<double>(rank)};
      const ConstPixels source(sources.data + first * values, n, side, side),
          target(targets.data + first * values, n, side, side);
      const View<const float, dyn, BackboneText::width> instruction(features.row(first), n);
      const auto x_0 = start<Step>(ws, source, options.noise_seed, static_cast<std::uint64_t>(first));
      const auto x_t = take_pixels(ws, n, side), edit = take_pixels(ws, n, side), dedit = take_pixels(ws, n, side);
      Step::interpolate(ctx, x_t, x_0, target, times);
      const auto saved = Backbone::forward<float>(ctx, ws, edit, x_t, source, times, instruction, p.backbone, adapters);
      const auto each = ws.take<double, dyn>(n);
      const double part = Step::loss(ctx, ws, dedit, each, wu::as_const(edit), wu::as_const(x_t), source, x_0, target, times,
                                     {options.floor});
      for (Index i = 0; i < n && worst < 0; ++i)
        if (!std::isfinite(each[i])) worst = which[static_cast<std::size_t>(i)];
      const float share = static_cast<float>(n) / static_cast<float>(all);
      loss += part * static_cast<double>(share);
      for (float& v : dedit) v *= share;
      Backbone::backward<float>(ctx, ws, dtokens, Backbone::Parameters<float>{}, {}, dedit, saved, p.backbone, adapters);
    }
  });
  const auto du = ws.take<float, dyn, dyn, Condition::width>(b, Condition::length);
  Generator::backward<float>(ctx, ws, du, gradients.generator, dtokens, generated, memory.generator);
  Condition::backward<float>(ctx, ws, gradients.condition, du, condition, memory.condition);
  return loss;
}

wu::Buffer<float> Network::generate(const MemoryWeights& memory, const std::vector<Request>& requests) {
  const wu::Workspace::Scope scope(ws);
  const Index b = static_cast<Index>(requests.size());
  const auto p = memory.frozen();
  const auto batch = gather(ws, requests);
  wu::Buffer<float> tokens(b * Tokens::values);
  const auto u = ws.take<float, dyn, dyn, Condition::width>(b, Condition::length);
  Condition::forward<float>(ctx, ws, u, batch.views, batch.pieces, p.condition);
  Generator::forward<float>(ctx, ws, Tokens::Tokens<float>(tokens.data(), b), u, p.generator);
  return tokens;
}

Image Network::sample(const FrozenWeights& frozen, std::span<const float> adapters, std::span<const std::int32_t> pieces,
                      const Image& source, const SampleOptions& options) {
  check(source);
  const wu::Workspace::Scope scope(ws);
  const auto p = frozen.frozen();
  const auto instruction = encode(ctx, ws, pieces, p.text);
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
    const auto in = take_pixels(ws, n), x = take_pixels(ws, n);
    for (Index k = 0; k < n; ++k) {
      const auto [x0, y0] = corner(begin + k);
      for (int y = 0; y < side; ++y)
        for (int c = 0; c < side * 3; ++c) {
          const int sx = std::min(x0 + c / 3, source.width - 1), sy = std::min(y0 + y, source.height - 1);
          in[(k * tile + y) * tile * 3 + c] = 2 * source.rgb[source.at(sx, sy, c % 3)] - 1;
        }
    }
    const auto features = ws.take<float, dyn, BackboneText::width>(n);
    for (Index i = 0; i < n; ++i) std::copy_n(instruction.pooled.data, BackboneText::width, features.row(i));
    Index* const which = ws.take_values<Index>(n);
    std::fill_n(which, n, 0);
    Adapters with;
    if (!adapters.empty())
      with = {Tokens::Tokens<const float>(adapters.data(), 1),
              {which, static_cast<std::size_t>(n)},
              alpha / static_cast<double>(rank)};
    with_step(options.path, [&](auto step) {
      using Step = decltype(step);
      const auto x_0 = start<Step>(ws, in, options.seed, static_cast<std::uint64_t>(begin));
      std::copy_n(x_0.data, n * tile_values, x.data);
      wu::diffusion::sample_euler(ctx, ws, x, options.steps, [&](auto v, auto x_t, double time) {
        const wu::Workspace::Scope step_scope(ws);
        const std::vector<double> times(static_cast<std::size_t>(n), time);
        const auto edit = take_pixels(ws, n);
        Backbone::forward<float>(ctx, ws, edit, x_t, in, times, features, p.backbone, with);
        Step::velocity(ctx, v, wu::as_const(edit), x_t, wu::as_const(in), times);
      });
    });
    for (Index k = 0; k < n; ++k) {
      const auto [x0, y0] = corner(begin + k);
      for (int y = 0; y < std::min(side, source.height - y0); ++y)
        for (int column = 0; column < std::min(side, source.width - x0); ++column) {
          const float w = window[static_cast<std::size_t>(y)] * window[static_cast<std::size_t>(column)];
          const std::size_t at = out.at(x0 + column, y0 + y);
          weight[at / 3] += w;
          for (std::size_t c = 0; c < 3; ++c)
            out.rgb[at + c] += w * (x[((k * tile + y) * tile + column) * 3 + static_cast<Index>(c)] + 1) / 2;
        }
    }
    if (options.progress) options.progress(static_cast<double>(begin + n) / static_cast<double>(count));
  }
  for (std::size_t k = 0; k < out.rgb.size(); ++k) out.rgb[k] = std::clamp(out.rgb[k] / weight[k / 3], 0.0f, 1.0f);
  return out;
}

std::uint64_t hash(const FrozenWeights& weights) {
  const auto flat = weights.flat();
  return wu::hash_name({reinterpret_cast<const char*>(flat.data()), flat.size_bytes()});
}

}  // namespace edit
