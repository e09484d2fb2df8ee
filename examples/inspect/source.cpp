#include "inspect/source.hpp"

#include <filesystem>
#include <system_error>
#include <vector>

#include "wu/io/mapped_file.hpp"
#include "wu/io/printable.hpp"

namespace inspect {
namespace {

namespace fs = std::filesystem;
using wu::io::printable_path;

/// The file that a folder stands for; the folder itself where wu::io::Checkpoint knows better.
std::string file_of(const fs::path& folder) {
  for (const char* name : wu::io::checkpoint_file_names)
    if (fs::exists(fs::symlink_status(folder / name))) return folder.string();
  for (const char* name : {"adapter_model.safetensors", "pytorch_lora_weights.safetensors"})
    if (fs::exists(folder / name)) return (folder / name).string();
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") found.push_back(entry.path().string());
  if (found.size() == 1) return found.front();
  throw wu::FileError(wu::message(printable_path(folder.string()), ": expected a checkpoint, an adapter or one file ",
                                  "*.safetensors in the folder, found ", found.size(), " files *.safetensors",
                                  found.empty() ? "" : "; name the one that is meant"));
}

}  // namespace

Source open_source(const std::string& path) {
  std::error_code unreadable;
  const std::string file = fs::is_directory(path, unreadable) ? file_of(path) : path;
  Source source{wu::io::Checkpoint::open(file), std::nullopt};
  const fs::path config = fs::path(file).parent_path() / "adapter_config.json";
  if (fs::path(file).filename() == "adapter_model.safetensors" && fs::exists(config, unreadable)) {
    const wu::io::MappedFile text(config.string(), wu::io::Access::copy);
    source.adapter_config = wu::io::parse_json(text.text(), config.string());
  }
  return source;
}

}  // namespace inspect
