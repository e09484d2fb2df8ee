// The four commands of wu-edit. Each throws wu::Error with a sentence for the user, or returns the exit code.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "edit/model.hpp"

namespace edit {

class Network;

namespace fs = std::filesystem;

/// "bridge" or "flow".
std::string path_name(Path path);

struct PretrainOptions {
  std::optional<fs::path> photos;
  fs::path out = "backbone.safetensors";
  Path path = Path::bridge;
  Index steps = 1600, batch = 24;
  double rate = 2e-3;
  std::uint64_t seed = 1;
  int threads = 0;
  bool resume = false;
};
int pretrain(const PretrainOptions& options);

struct TrainOptions {
  std::optional<fs::path> photos, held_out;
  fs::path backbone = "models/edit/backbone.safetensors", model = "out/model";
  Index steps = 0;  ///< 0: as many as fit into `minutes`, measured at the start
  double minutes = 5.8;
  Index requests = 24, crops = 1;
  double rate = 3e-3;
  std::uint64_t seed = 1;
  int threads = 0;
  std::string device = "cpu";  ///< or "cuda"
  bool resume = false;
};
/// The network's device trains; its threads draw the pictures.
int train(const TrainOptions& options, Network& network);

struct EditOptions {
  fs::path model, image, out;
  std::string instruction;
  std::uint64_t seed = 0;
  int threads = 0;
  std::string device = "cpu";  ///< or "cuda"
  bool base = false;           ///< the frozen backbone alone, to compare
};
int edit_image(const EditOptions& options, Network& network);

struct ReportOptions {
  fs::path model = "out/model", out = "out";
  std::optional<fs::path> photos, held_out;
  int side = 160, examples = 2, threads = 0;
  std::uint64_t seed = 1;
};
int report(const ReportOptions& options);

}  // namespace edit
