#include "files.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string_view>
#include <utility>

#include "wu/core/dtype.hpp"
#include "wu/core/error.hpp"
#include "wu/io/atomic_file.hpp"
#include "wu/io/printable.hpp"
#include "wu/io/save_adapters.hpp"

namespace generate {

using namespace wu;

Condition::Condition(const std::string& path, Index width) : file_(io::SafeTensors::open(path)) {
  const auto fail = [&](const auto&... what) { throw FileError(message(io::printable_path(path), ": ", what...)); };
  const io::StoredTensor& found = file_.at("condition");
  if (file_.tensors().size() != 1)
    fail("expected the tensor \"condition\" alone, found ", file_.tensors().size(), " tensors");
  if (found.shape.size() != 3 || found.shape[0] < 1 || found.shape[1] < 1 || found.shape[2] != width)
    fail("tensor \"condition\": expected shape [batch, length, ", width, "], batch and length at least 1, found ",
         io::shape_text(found.shape));
}

template <class T>
std::vector<T> Condition::values() const {
  std::vector<T> values(static_cast<std::size_t>(tensor().count()));
  io::read_into(tensor(), values);
  const auto bad = std::find_if(values.begin(), values.end(), [](T v) { return !std::isfinite(static_cast<float>(v)); });
  if (bad != values.end())
    throw FileError(message(io::printable_path(file_.file()), ": tensor \"condition\": expected finite values, found ",
                            static_cast<float>(*bad), " as value ", bad - values.begin()));
  return values;
}
template std::vector<float> Condition::values() const;
template std::vector<bfloat16> Condition::values() const;

Type type_for(const Options& options, const io::Checkpoint& checkpoint) {
  if (options.type != Type::of_the_checkpoint) return options.type;
  const auto& tensors = checkpoint.tensors();
  const bool all = std::all_of(tensors.begin(), tensors.end(), [](const auto& t) { return t.dtype == io::DType::BF16; });
  return all ? Type::bfloat16 : Type::float32;
}

std::vector<std::string> outputs(const Options& options, Index batch) {
  std::string path = options.out;
  while (options.format == io::AdapterFormat::peft && path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (batch == 1) return {path};
  constexpr std::string_view ending = ".safetensors";
  const std::size_t name = path.ends_with(ending) ? path.size() - ending.size() : path.size();
  std::vector<std::string> all;
  for (Index s = 0; s < batch; ++s) all.push_back(path.substr(0, name) + "-" + std::to_string(s) + path.substr(name));
  return all;
}

void check_writable(const Options& options, const std::vector<std::string>& outputs) {
  const auto begin_file = [](const std::string& path) { const io::AtomicFile begun_and_dropped(path); };
  if (!options.tokens.empty()) begin_file(options.tokens);
  for (const std::string& path : outputs) {
    if (path == options.tokens)
      throw Error(message("--tokens: expected another file than --out, found ", io::printable_path(path), " for both"));
    std::error_code ignored;
    if (options.format == io::AdapterFormat::peft && std::filesystem::exists(path, ignored))
      begin_file(path + "/adapter_model.safetensors");
    else begin_file(path);
  }
}

template <class T>
void check_finite(const std::vector<T>& tokens) {
  const auto bad = std::find_if(tokens.begin(), tokens.end(), [](T v) { return !std::isfinite(static_cast<float>(v)); });
  if (bad != tokens.end())
    throw NonFiniteError(message("expected finite tokens, found ", static_cast<float>(*bad), " as value ",
                                 bad - tokens.begin(), " of ", tokens.size(),
                                 ", so nothing was written; are the checkpoint's weights finite?"));
}
template void check_finite(const std::vector<float>&);
template void check_finite(const std::vector<bfloat16>&);

namespace {

bool has_experts_of_hunyuan_image(const io::GeneratorConfig& config) {
  for (const io::GeneratorEntry& entry : config.pg_mapping) {
    if (!entry.grouped) continue;
    std::vector<std::string> names;
    for (const io::GeneratorModule& module : entry.modules) names.push_back(module.name);
    std::sort(names.begin(), names.end());
    if (names != std::vector<std::string>{"w1", "w2", "w3"}) return false;
  }
  return true;
}

}  // namespace

template <class T>
void save(const std::string& path, io::AdapterFormat format, io::Adapters<T> adapters, const io::GeneratorConfig& config) {
  io::SaveAdapterOptions options;
  options.experts = has_experts_of_hunyuan_image(config) ? io::ExpertNames::hunyuan_image : io::ExpertNames::as_generated;
  io::save_adapters(path, format, std::move(adapters), options);
}
template void save(const std::string&, io::AdapterFormat, io::Adapters<float>, const io::GeneratorConfig&);
template void save(const std::string&, io::AdapterFormat, io::Adapters<bfloat16>, const io::GeneratorConfig&);

}  // namespace generate
