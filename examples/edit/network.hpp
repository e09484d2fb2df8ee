// The demonstration's networks at work: adapters from a picture and an instruction, losses with their gradients, and edited
// pictures of any size. Everything that instantiates the networks is behind these functions, in network.cpp.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "edit/image.hpp"
#include "edit/model.hpp"
#include "wu/core/buffer.hpp"
#include "wu/cpu/context.hpp"
#include "wu/train/training.hpp"

namespace edit {

using FrozenWeights = wu::Weights<Frozen, float>;
using MemoryWeights = wu::Weights<Memory, float>;

/// Starting values. The generator's B projection starts at zero (paper section 3.5): the first step runs the frozen backbone.
void initialise(FrozenWeights& weights, std::uint64_t seed);
void initialise(MemoryWeights& weights, std::uint64_t seed);

/// Squares that the backbone edits: (count, side, side, 3) each, values in [-1, 1].
struct Tiles {
  Index count = 0, side = tile;
  std::vector<float> source, target;
  void add(const Image& source_picture, const Image& target_picture, int x, int y);
};

/// A request: what the generator reads, and the tiles that are edited with its answer.
struct Request {
  std::vector<float> view;           ///< (view_size, view_size, 3), the source picture resized, in [-1, 1]
  std::vector<std::int32_t> pieces;  ///< of the instruction, for the condition's text encoder
  Tiles tiles;
};
/// Fills view and pieces. Throws wu::Error if the instruction is no text.
void describe_request(Request& request, const Image& source, std::string_view instruction);
/// The instruction's word pieces. A short text is said again until the encoder's length is filled: padding would only dilute
/// it among the features that the generator attends to.
std::vector<std::int32_t> pieces_of(std::string_view instruction);
/// Repeats the pieces before the first 0 to the end.
void repeat_pieces(std::span<std::int32_t> pieces);

/// One training step's path, the time of every tile, what its noise is drawn from, and the floor of the loss's logarithm.
struct LossOptions {
  Path path = Path::bridge;
  std::span<const double> t;
  std::uint64_t noise_seed = 0;
  double floor = wu::diffusion::LogMeanSquared{}.floor;
};

/// How a picture is edited.
struct SampleOptions {
  Path path = Path::bridge;
  Index steps = 1;
  std::uint64_t seed = 0;
  std::function<void(double)> progress{};  ///< called with the fraction done
};

/// The networks' memory for one thread of work: a device context and a workspace. This one works on the CPU; cuda_network()'s on a
/// GPU. Weights, gradients and adapters lie in memory() of the network that they are given to.
class Network {
 public:
  using SampleOptions = edit::SampleOptions;
  /// A run of training, and what computes a step's loss and gradients.
  using Run = wu::train::Training<Memory, float>;
  using Compute = std::function<double(const MemoryWeights::Frozen& values, const MemoryWeights::Values& gradients,
                                       Index step, Index part)>;

  explicit Network(int threads) : ctx({.threads = threads}) {}
  virtual ~Network() = default;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  /// Whose memory it works in; null: the host's.
  virtual const wu::MemoryResource* memory() const { return nullptr; }

  /// Pre-training, on the CPU: the loss of the backbone alone, mean over tiles; pieces: (tiles, length). Adds to gradients.
  double pretrain_loss(const FrozenWeights& weights, FrozenWeights& gradients, const Tiles& tiles,
                       std::span<const std::int32_t> pieces, const LossOptions& options);

  /// Training: the loss over all requests' tiles, each request with its own adapters, the backbone frozen. Adds to gradients.
  /// When it is not finite, `worst` says which request was the first.
  virtual double memory_loss(const FrozenWeights& frozen, const MemoryWeights::Frozen& memory,
                             const MemoryWeights::Values& gradients, const std::vector<Request>& requests,
                             const LossOptions& options, Index& worst);
  /// One optimiser step.
  virtual wu::train::StepResult advance(Run& run, const wu::train::Options& rule, const Compute& compute);

  /// The adapters for requests (views and pieces only are read).
  virtual wu::Buffer<float> generate(const MemoryWeights& memory, const std::vector<Request>& requests);

  /// The picture edited in overlapping tiles. adapters: one request's tokens, empty for the frozen backbone alone. The
  /// instruction's pieces go to the backbone's own text encoder.
  virtual Image sample(const FrozenWeights& frozen, std::span<const float> adapters, std::span<const std::int32_t> pieces,
                       const Image& source, const SampleOptions& options);

  std::size_t peak_bytes() const { return ws.peak_bytes(); }

  wu::cpu::Context ctx;  ///< of the CPU, which makes the batches of any device
  wu::Workspace ws;
};

/// The networks on the first GPU. Throws wu::Error where there is none, or where wu-edit was built without CUDA.
std::unique_ptr<Network> cuda_network(int threads);

/// FNV-1a over the weights' bytes: a frozen backbone's must be the same before and after training.
std::uint64_t hash(const FrozenWeights& weights);

}  // namespace edit
