#include "inspect/report.hpp"

#include <algorithm>

#include "inspect/text.hpp"
#include "wu/io/json_header.hpp"

namespace inspect {

Report inspect(const Source& source, bool read_values) {
  Report report;
  report.source = &source;
  report.values_read = read_values;
  for (const wu::io::StoredTensor& tensor : source.checkpoint.tensors()) report.rows.push_back({&tensor, std::nullopt});
  std::sort(report.rows.begin(), report.rows.end(),
            [](const Row& a, const Row& b) { return comes_before(a.tensor->name, b.tensor->name); });
  for (Row& row : report.rows) {
    if (read_values) row.values = values_of(*row.tensor);
    if (row.values) add(report.total, *row.values);
    report.value_count += static_cast<std::uint64_t>(row.tensor->count());
    report.bytes += row.tensor->bytes.size();
    const std::string type(name_of(row.tensor->dtype));
    auto at =
        std::find_if(report.by_dtype.begin(), report.by_dtype.end(), [&](const auto& one) { return one.first == type; });
    if (at == report.by_dtype.end()) at = report.by_dtype.insert(at, {type, {0, 0}});
    at->second.first += 1;
    at->second.second += row.tensor->bytes.size();
  }
  if (read_values) report.adapters = measure_adapters(source);
  return report;
}

}  // namespace inspect
