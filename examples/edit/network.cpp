#include "edit/network.hpp"

#include <algorithm>
#include <iterator>

#include "edit/network_on.hpp"
#include "wu/cpu/cpu.hpp"

namespace edit {

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
  return NetworkOn(ctx, ws).pretrain_loss(weights, gradients, tiles, pieces, options);
}

double Network::memory_loss(const FrozenWeights& frozen, const MemoryWeights::Frozen& memory,
                            const MemoryWeights::Values& gradients, const std::vector<Request>& requests,
                            const LossOptions& options, Index& worst) {
  return NetworkOn(ctx, ws).memory_loss(frozen, memory, gradients, requests, options, worst);
}

wu::train::StepResult Network::advance(Run& run, const wu::train::Options& rule, const Compute& compute) {
  return run.advance(ctx, rule, compute);
}

wu::Buffer<float> Network::generate(const MemoryWeights& memory, const std::vector<Request>& requests) {
  return NetworkOn(ctx, ws).generate(memory, requests);
}

Image Network::sample(const FrozenWeights& frozen, std::span<const float> adapters, std::span<const std::int32_t> pieces,
                      const Image& source, const SampleOptions& options) {
  return NetworkOn(ctx, ws).sample(frozen, adapters, pieces, source, options);
}

std::uint64_t hash(const FrozenWeights& weights) {
  const auto flat = weights.flat();
  return wu::hash_name({reinterpret_cast<const char*>(flat.data()), flat.size_bytes()});
}

}  // namespace edit
