#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/report.hpp"
#include "inspect/text.hpp"
#include "wu/io/json_header.hpp"
#include "wu/io/printable.hpp"

namespace inspect {
namespace {

/// Rows of cells in columns: numbers to the right, texts to the left, and the last column as long as it likes.
class Columns {
 public:
  explicit Columns(std::vector<std::string> headings, std::string_view alignment) : alignment_(alignment) {
    rows_.push_back(std::move(headings));
  }
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  std::string text() const {
    constexpr std::size_t widest = 28;  // a longer cell, such as a shape of many axes, moves the rest of its line
    std::vector<std::size_t> widths(alignment_.size());
    for (const auto& row : rows_)
      for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::min(widest, std::max(widths[c], row[c].size()));
    std::string text;
    for (const auto& row : rows_) {
      for (std::size_t c = 0; c < row.size(); ++c) {
        const std::string space(widths[c] - std::min(widths[c], row[c].size()), ' ');
        const bool last = c + 1 == row.size();
        text += alignment_[c] == '>' ? space + row[c] : row[c] + (last ? "" : space);
        text += last ? "\n" : "  ";
      }
    }
    return text;
  }

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

std::string number_or_dash(const std::optional<Values>& values, double Values::* member) {
  return values && values->finite > 0 ? short_number((*values).*member) : "-";
}

std::string tensors(const Report& report) {
  Columns table({"dtype", "shape", "bytes", "norm", "min", "max", "NaN", "inf", "name"}, "<<>>>>>><");
  for (const auto& [tensor, values] : report.rows)
    table.add({std::string(name_of(tensor->dtype)), wu::io::shape_text(tensor->shape), grouped(tensor->bytes.size()),
               values ? short_number(values->norm) : "-", number_or_dash(values, &Values::smallest),
               number_or_dash(values, &Values::largest), values ? grouped(values->nan) : "-",
               values ? grouped(values->infinite) : "-", shortened(tensor->name)});
  return report.rows.empty() ? "" : table.text() + "\n";
}

std::string tensors_without_values(const Report& report) {
  Columns table({"dtype", "shape", "bytes", "name"}, "<<><");
  for (const auto& [tensor, values] : report.rows)
    table.add({std::string(name_of(tensor->dtype)), wu::io::shape_text(tensor->shape), grouped(tensor->bytes.size()),
               shortened(tensor->name)});
  return report.rows.empty() ? "" : table.text() + "\n";
}

std::string totals(const Report& report) {
  std::string text = counted(report.rows.size(), "tensor") + ", " + counted(report.value_count, "value") + ", " +
                     counted(report.bytes, "byte") + (report.bytes >= 1000 ? " (" + in_units(report.bytes) + ")" : "");
  if (report.by_dtype.size() > 1)
    for (const auto& [type, count] : report.by_dtype)
      text += "\n  " + type + ": " + counted(count.first, "tensor") + ", " + counted(count.second, "byte");
  if (report.values_read) text += "\nNaN: " + grouped(report.total.nan) + ", infinite: " + grouped(report.total.infinite);
  const auto claimed = report.source->checkpoint.claimed_bytes();
  if (claimed && *claimed != static_cast<double>(report.bytes))
    text +=
        "\nthe index claims " +
        (*claimed >= 0 && *claimed < 1e18 && *claimed == std::floor(*claimed) ? grouped(static_cast<std::uint64_t>(*claimed))
                                                                              : short_number(*claimed)) +
        " bytes in all";
  return text + "\n";
}

std::string heading(const Report& report) {
  const auto& checkpoint = report.source->checkpoint;
  std::string text = shown(checkpoint.file()) + "\n";
  if (checkpoint.claimed_bytes() || checkpoint.files().size() != 1)
    text += "  of " + counted(checkpoint.files().size(), "file") + "\n";
  constexpr std::size_t most = 20;
  std::size_t count = 0;
  for (const auto& [key, value] : checkpoint.metadata()) {
    if (count++ == most) {
      text += "  and " + grouped(checkpoint.metadata().size() - most) + " more; --json has all of them\n";
      break;
    }
    text += "  " + shortened(key, 40) + ": " + shortened(value) + "\n";
  }
  return text + "\n";
}

std::string adapters(const AdapterReport& report) {
  if (report.empty()) return "";
  std::string text = "\nAdapters, y += scale * B (A x); scale is " + report.scale_from + "\n\n";
  Columns table({"rank", "in", "out", "scale", "norm", "eff. rank", "module"}, ">>>>>><");
  double norm = 0;
  bool finite = true;
  for (const Module& module : report.modules) {
    table.add({std::to_string(module.rank), std::to_string(module.in), std::to_string(module.out),
               short_number(module.scale), module.finite ? short_number(module.update.norm) : "-",
               module.finite ? short_number(module.update.effective_rank) : "-", shortened(module.name)});
    norm = std::hypot(norm, module.update.norm);
    finite = finite && module.finite;
  }
  if (!report.modules.empty())
    text += table.text() + "\n" + counted(report.modules.size(), "update") + ", norm of all " +
            (finite ? short_number(norm) : "-") + "\n";
  for (const NotMeasured& one : report.not_measured)
    text += "not measured: " + shortened(one.module) + ": " + one.why + "\n";
  return text;
}

}  // namespace

std::string as_table(const Report& report) {
  return heading(report) + (report.values_read ? tensors(report) : tensors_without_values(report)) + totals(report) +
         adapters(report.adapters);
}

}  // namespace inspect
