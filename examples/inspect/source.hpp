// What a path on the command line stands for.
#pragma once

#include <optional>
#include <string>

#include "wu/io/checkpoint.hpp"
#include "wu/io/json.hpp"

namespace inspect {

struct Source {
  wu::io::Checkpoint checkpoint;
  std::optional<wu::io::Json> adapter_config;  ///< PEFT's, from the same folder, where the file is adapter_model.safetensors
};

/// A file, an index, or a folder: of a checkpoint, of an adapter by PEFT (adapter_model.safetensors) or diffusers
/// (pytorch_lora_weights.safetensors), or with a single file *.safetensors. Throws wu::FileError.
Source open_source(const std::string& path);

}  // namespace inspect
