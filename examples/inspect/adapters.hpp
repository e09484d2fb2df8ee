// Adapters in a file, found by the names of their tensors: pairs lora_A and lora_B (PEFT, diffusers, HY-WU) or lora_down and
// lora_up (kohya), with alpha where the file has it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inspect/source.hpp"
#include "inspect/update.hpp"

namespace inspect {

/// One pair A (rank, in), B (out, rank). A group of experts, or a batch, is several, told apart by "[i, j]" behind the name.
struct Module {
  std::string name;
  std::int64_t rank = 0, in = 0, out = 0;
  double scale = 1;
  Update update;
  bool finite = true;  ///< otherwise update is empty
};

struct NotMeasured {
  std::string module, why;
};

struct AdapterReport {
  std::string scale_from;  ///< where the scale comes from, in words
  std::vector<Module> modules;
  std::vector<NotMeasured> not_measured;

  bool empty() const { return modules.empty() && not_measured.empty(); }
};

/// Measures every pair. Empty for a file without adapters. Throws wu::FileError where adapter_config.json makes no sense.
AdapterReport measure_adapters(const Source& source);

}  // namespace inspect
