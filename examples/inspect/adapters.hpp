// Adapters in a file, found by the names of their tensors, with the scale that wu::io::load_adapters() would give them. Unlike it,
// this reads one pair at a time, goes on after what it cannot measure, and takes convolutions and batches too.
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

/// A module, or a tensor that is part of no pair, and the reason.
struct NotMeasured {
  std::string module, why;
};

struct AdapterReport {
  std::string scale_from;  ///< where the scale comes from, in words
  std::vector<Module> modules;
  std::vector<NotMeasured> not_measured;

  bool empty() const { return modules.empty() && not_measured.empty(); }
};

/// Measures every pair that can be, and says why the others cannot. Empty for a file without adapters.
AdapterReport measure_adapters(const Source& source);

}  // namespace inspect
