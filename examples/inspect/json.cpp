#include <cmath>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "inspect/report.hpp"
#include "wu/io/json_header.hpp"

namespace inspect {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

void put(Json& json, const Values& values) {
  json["finite"] = values.finite;
  json["norm"] = number_or_null(values.norm);
  json["min"] = values.finite > 0 ? Json(values.smallest) : Json();
  json["max"] = values.finite > 0 ? Json(values.largest) : Json();
  json["nan"] = values.nan;
  json["inf"] = values.infinite;
}

Json tensor(const Row& row) {
  Json json;
  json["name"] = row.tensor->name;
  json["dtype"] = std::string(name_of(row.tensor->dtype));
  json["shape"] = row.tensor->shape;
  json["bytes"] = row.tensor->bytes.size();
  json["file"] = *row.tensor->file;
  if (row.values) put(json, *row.values);
  return json;
}

Json adapters(const AdapterReport& report) {
  Json json;
  json["scale_from"] = report.scale_from;
  json["modules"] = Json::array();
  for (const Module& module : report.modules) {
    Json one;
    one["module"] = module.name;
    one["rank"] = module.rank;
    one["in"] = module.in;
    one["out"] = module.out;
    one["scale"] = number_or_null(module.scale);
    one["norm"] = module.finite ? number_or_null(module.update.norm) : Json();
    one["effective_rank"] = module.finite ? number_or_null(module.update.effective_rank) : Json();
    one["singular_values"] = Json::array();
    for (const double value : module.update.values) one["singular_values"].push_back(number_or_null(value));
    json["modules"].push_back(std::move(one));
  }
  json["not_measured"] = Json::array();
  for (const NotMeasured& one : report.not_measured)
    json["not_measured"].push_back({{"module", one.module}, {"why", one.why}});
  return json;
}

}  // namespace

std::string as_json(const Report& report) {
  const wu::io::Checkpoint& checkpoint = report.source->checkpoint;
  Json json;
  json["file"] = checkpoint.file();
  json["files"] = Json::array();
  for (const auto& file : checkpoint.files()) json["files"].push_back(file.file());
  json["metadata"] = Json::object();
  for (const auto& [key, value] : checkpoint.metadata()) json["metadata"][key] = value;
  json["tensors"] = Json::array();
  for (const Row& row : report.rows) json["tensors"].push_back(tensor(row));
  Json& total = json["total"];
  total["tensors"] = report.rows.size();
  total["values"] = report.value_count;
  total["bytes"] = report.bytes;
  if (report.values_read) put(total, report.total);
  if (const auto claimed = checkpoint.claimed_bytes()) json["claimed_bytes"] = *claimed;
  if (!report.adapters.empty()) json["adapters"] = adapters(report.adapters);
  // Paths may be no UTF-8; everything else has been checked to be.
  return json.dump(2, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace) + "\n";
}

}  // namespace inspect
