// Everything that is found in a file, as a table for people or as JSON for programs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "inspect/adapters.hpp"
#include "inspect/source.hpp"
#include "inspect/values.hpp"

namespace inspect {

struct Row {
  const wu::io::StoredTensor* tensor = nullptr;
  std::optional<Values> values;  ///< nothing where they were not read, or are no numbers
};

struct Report {
  const Source* source = nullptr;
  bool values_read = true;
  std::vector<Row> rows;  ///< by name, numbers in names as numbers
  std::uint64_t value_count = 0, bytes = 0;
  std::vector<std::pair<std::string, std::pair<std::uint64_t, std::uint64_t>>> by_dtype;  ///< tensors and bytes of each type
  Values total;
  AdapterReport adapters;
};

/// Reads every value once, and those of adapters twice; with read_values false only headers. `source` must outlive the report.
Report inspect(const Source& source, bool read_values);

/// Lines of a table. Nothing from the file reaches it unescaped.
std::string as_table(const Report& report);

/// One JSON object, in ASCII. What is no number is null.
std::string as_json(const Report& report);

}  // namespace inspect
