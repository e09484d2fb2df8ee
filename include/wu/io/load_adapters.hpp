// Adapters out of the files of other programs. Which format it is, the file says itself; docs/adapters.md has the rules. What a
// file holds and wu does not apply is refused by its name, for an adapter of which a part is left out is another adapter.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/io/adapter.hpp"
#include "wu/io/adapter_format.hpp"
#include "wu/io/adapter_key.hpp"
#include "wu/io/expert_parameters.hpp"
#include "wu/io/experts.hpp"
#include "wu/io/json.hpp"
#include "wu/io/mapped_file.hpp"
#include "wu/io/peft_scales.hpp"
#include "wu/io/safetensors.hpp"

namespace wu::io {

/// How adapters are read.
struct LoadAdapterOptions {
  /// The names of the model's linear layers. They undo the flattening of kohya's names, and a name that is not among them is an
  /// error. Empty: names are taken as they are, flattened ones too.
  std::vector<std::string> modules = {};
  /// The parameters that hold the weights of all experts of a group, for PEFT's adapters of such (target_parameters).
  std::vector<ExpertParameter> parameters = {};
  bool diffusers_compatible = false;  ///< beside lora_A and lora_B some versions of diffusers ignore an alpha; so do we then
  bool allow_non_finite = false;      ///< NaN and infinities are errors otherwise
  bool allow_unused = false;          ///< tensors that are no part of an adapter become notes; otherwise they are errors
  Index sample = 0;                   ///< the request, in a hy-wu file that holds several
  Access access = Access::map;
};

/// What a file holds.
template <class T>
struct LoadedAdapters {
  Adapters<T> adapters;  ///< in the order of their names
  AdapterFormat format = AdapterFormat::peft;
  std::vector<std::string> notes;  ///< sentences about what was ignored
};

namespace detail {

/// The tensors of one module, or of one part of it.
struct StoredPair {
  const StoredTensor* A = nullptr;
  const StoredTensor* B = nullptr;
};
struct StoredAdapter {
  std::map<int, StoredPair> parts;  ///< -1: the whole
  const StoredTensor* alpha = nullptr;
  bool down_up = false;
};
using StoredAdapters = std::map<std::string, StoredAdapter>;

/// Whether a module's adapters are of its parameters.
inline bool has_parameters(const LoadAdapterOptions& options, const std::string& module) {
  return std::any_of(options.parameters.begin(), options.parameters.end(),
                     [&](const ExpertParameter& parameter) { return module_of(parameter) == module; });
}

/// A module's name as the model spells it.
class ModuleNames {
 public:
  explicit ModuleNames(const std::vector<std::string>& modules) {
    for (const std::string& module : modules) {
      exact_.insert(module);
      std::string flat = module;
      std::replace(flat.begin(), flat.end(), '.', '_');
      const auto [at, fresh] = flattened_.emplace(flat, &module);
      if (!fresh && *at->second != module) at->second = nullptr;
    }
  }
  /// Throws FileError for a name that is none of them, or could be two.
  std::string resolve(const AdapterKey& key, const StoredTensor& tensor) const {
    if (exact_.empty() || exact_.contains(key.module)) return key.module;
    if (exact_.contains(key.prefix + key.module)) return key.prefix + key.module;
    const auto at = flattened_.find(key.module);
    if (at == flattened_.end())
      fail(tensor, "expected one of the model's ", exact_.size(), " modules, found ", printable(key.module));
    if (at->second == nullptr)
      fail(tensor, "expected the name of one module, found ", printable(key.module), ", flattened from two");
    return *at->second;
  }

 private:
  std::set<std::string> exact_;
  std::map<std::string, const std::string*> flattened_;
};

/// Reads one value that must be a scale's: a scalar, finite and not negative.
inline double scalar_of(const StoredTensor& tensor) {
  if (tensor.count() != 1 || tensor.shape.size() > 1)
    fail(tensor, "expected a scalar, found shape ", shape_text(tensor.shape));
  double value = 0;
  read_into(tensor, std::span<double>(&value, 1));
  if (!std::isfinite(value) || value < 0) fail(tensor, "expected a finite number of at least 0, found ", value);
  return value;
}

/// The values from `first` on, converted and checked.
template <class T>
std::vector<T> values_of(const StoredTensor& tensor, std::int64_t samples, std::int64_t sample,
                         const LoadAdapterOptions& options) {
  StoredTensor part = tensor;
  const std::size_t bytes = tensor.bytes.size() / static_cast<std::size_t>(samples);
  part.bytes = tensor.bytes.subspan(static_cast<std::size_t>(sample) * bytes, bytes);
  part.shape = {tensor.count() / samples};
  std::vector<T> values(static_cast<std::size_t>(part.count()));
  read_into(part, values);
  if (!options.allow_non_finite)
    for (std::size_t k = 0; k < values.size(); ++k)
      if (!std::isfinite(static_cast<accumulator_t<T>>(values[k])))
        fail(tensor, "expected finite values, found ", static_cast<double>(values[k]), " at position ", k);
  return values;
}

/// A (rank, in) and B (out, rank) of a pair; extents of 1 after the first two are those of a convolution that looks at one
/// position, which is a linear layer.
template <class T>
Adapter<T> read_pair(const std::string& module, const StoredPair& pair, const LoadAdapterOptions& options) {
  if (pair.A == nullptr || pair.B == nullptr) {
    const StoredTensor& there = pair.A ? *pair.A : *pair.B;
    fail(there, "expected ", pair.A ? "a B (up)" : "an A (down)", " of module ", printable(module), " too, found none");
  }
  for (const StoredTensor* tensor : {pair.A, pair.B}) {
    const auto& shape = tensor->shape;
    if (shape.size() < 2) fail(*tensor, "expected a matrix, found shape ", shape_text(shape));
    if (std::any_of(shape.begin() + 2, shape.end(), [](std::int64_t extent) { return extent != 1; }))
      fail(*tensor, "expected the adapter of a linear layer, found shape ", shape_text(shape),
           ": adapters of convolutions are not supported");
    if (shape[0] < 1 || shape[1] < 1) fail(*tensor, "expected extents of at least 1, found shape ", shape_text(shape));
  }
  if (pair.A->shape[0] != pair.B->shape[1])
    fail(*pair.A, "expected as many rows as B has columns (", pair.B->shape[1], "), the rank, found shape ",
         shape_text(pair.A->shape));
  return {module,
          static_cast<Index>(pair.A->shape[1]),
          static_cast<Index>(pair.B->shape[0]),
          static_cast<Index>(pair.A->shape[0]),
          0,
          1,
          values_of<T>(*pair.A, 1, 0, options),
          values_of<T>(*pair.B, 1, 0, options)};
}

/// The parts of a layer that was split, as one; or the layer itself. Its scale is not known yet. Then the rank of a part.
template <class T>
std::pair<Adapter<T>, Index> read_parts(const std::string& module, const StoredAdapter& stored,
                                        const LoadAdapterOptions& options) {
  std::vector<Adapter<T>> parts;
  for (const auto& [part, pair] : stored.parts) {
    parts.push_back(read_pair<T>(module, pair, options));
    const StoredTensor& tensor = *pair.A;
    if (parts.size() > 1 && stored.parts.begin()->first < 0)
      fail(tensor, "expected module ", printable(module), " whole or in parts, found both");
    if (part >= 0 && part != static_cast<int>(parts.size()) - 1)
      fail(tensor, "expected part ", parts.size() - 1, " of module ", printable(module), ", found part ", part);
    if (parts.back().rank != parts.front().rank || parts.back().in != parts.front().in)
      fail(tensor, "expected parts of one rank and input, found ", parts.front().describe(), " and ",
           parts.back().describe());
  }
  const Index rank = parts.front().rank;
  if (parts.size() == 1) return {std::move(parts.front()), rank};
  return {stacked_outputs(std::move(parts), module), rank};
}

/// What is left over: an error or a note.
inline void unused(const StoredTensor& tensor, const LoadAdapterOptions& options, std::vector<std::string>& notes,
                   const char* expected = "expected a part of an adapter, found a tensor that is none") {
  if (!options.allow_unused) fail(tensor, expected);
  notes.push_back(message(printable_path(*tensor.file), ": tensor ", printable(tensor.name), " was ignored"));
}

/// Takes the names apart. Gives the prefix in front of them too, which must be one for all where a configuration goes by it.
inline StoredAdapters sort_tensors(const SafeTensors& file, const LoadAdapterOptions& options, std::string& prefix,
                                   std::vector<std::string>& notes) {
  const ModuleNames names(options.modules);
  StoredAdapters modules;
  bool first = true;
  for (const StoredTensor& tensor : file.tensors()) {
    if (const std::string_view kind = unsupported_adapter_kind(tensor.name); !kind.empty())
      fail(tensor, "expected LoRA of linear layers, found ", kind, ", which is not supported");
    const auto key = parse_adapter_key(tensor.name);
    if (!key) {
      unused(tensor, options, notes);
      continue;
    }
    if (first) prefix = key->prefix;
    else if (prefix != key->prefix)
      fail(tensor, "expected all names to begin like the first one, ", printable(prefix), ", found ",
           printable(key->prefix));
    first = false;
    const bool deeper = key->module.ends_with(".base_layer");
    const bool parameter = has_parameters(options, without_base_layers(key->module));
    if (deeper && !parameter)
      fail(tensor, "expected LoRA of linear layers, found an adapter of an expert parameter; say what that is with ",
           "LoadAdapterOptions::parameters");
    const std::string module = parameter ? key->module : names.resolve(*key, tensor);
    StoredAdapter& adapter = modules[module];
    StoredPair* const pair = key->role == AdapterRole::alpha ? nullptr : &adapter.parts[key->part];
    const StoredTensor*& place = pair == nullptr ? adapter.alpha : key->role == AdapterRole::A ? pair->A : pair->B;
    if (place != nullptr)
      fail(tensor, "expected one tensor for each place, found ", printable(place->name), " for the same of module ",
           printable(module));
    place = &tensor;
    adapter.down_up = adapter.down_up || key->down_up;
  }
  return modules;
}

/// Where the scales come from: a configuration, or alphas in the file.
struct Scales {
  const PeftConfig* config = nullptr;
  bool ignore_alpha = false;  ///< beside A and B
};

/// The adapter of one parameter, which its widths must tell from the others of its module.
template <class T>
Adapter<T> read_parameter(const std::string& module, const StoredAdapter& stored, const Scales& scales,
                          const LoadAdapterOptions& options) {
  const Adapter<T> all = read_parts<T>(module, stored, options).first;
  const StoredTensor& tensor = *stored.parts.begin()->second.A;
  if (stored.alpha != nullptr) fail(*stored.alpha, "expected no alpha of an expert parameter, found one");
  const auto fits = parameters_that_fit(options.parameters, without_base_layers(module), all.in, all.out);
  if (fits.size() != 1)
    fail(tensor, "expected widths that fit one parameter of ", printable(without_base_layers(module)), " in one way, found ",
         all.in, " to ", all.out, fits.empty() ? ", which fit none" : ", which fit several",
         fits.empty() ? "" : "; ExpertParameter::exchanged may tell");
  const ExpertParameter& parameter = *fits.front().parameter;
  if (parameter.experts < 1 || all.rank % parameter.experts != 0)
    fail(tensor, "expected a multiple of ", parameter.experts, " rows, the experts of ", printable(parameter.name),
         ", found ", all.rank);
  Adapter<T> group = experts_of(all, fits.front());
  if (scales.config != nullptr) {
    if (!scales.config->targets_parameter(parameter.name))
      fail(tensor, "expected a parameter that the configuration names, found ", printable(parameter.name));
    group.scale = scales.config->scale_of(parameter.name, group.rank);
  }
  return group;
}

template <class T>
Adapters<T> read_modules(const StoredAdapters& modules, const Scales& scales, const LoadAdapterOptions& options,
                         std::vector<std::string>& notes) {
  Adapters<T> adapters;
  for (const auto& [module, stored] : modules) {
    if (stored.parts.empty()) {
      unused(*stored.alpha, options, notes, "expected A and B beside this alpha, found neither");
      continue;
    }
    if (has_parameters(options, without_base_layers(module))) {
      adapters.push_back(read_parameter<T>(module, stored, scales, options));
      const std::string& name = adapters.back().module;
      if (std::any_of(adapters.begin(), adapters.end() - 1, [&](const Adapter<T>& other) { return other.module == name; }))
        fail(*stored.parts.begin()->second.A, "expected each parameter once, found ", printable(name), " twice");
      continue;
    }
    auto [adapter, rank] = read_parts<T>(module, stored, options);
    const StoredTensor& tensor = *stored.parts.begin()->second.A;
    if (scales.config != nullptr) {
      if (stored.alpha != nullptr) fail(*stored.alpha, "expected scales from the configuration only, found an alpha too");
      if (scales.config->targets(module) == false)
        fail(tensor, "expected a module that the configuration names, found ", printable(module));
      adapter.scale *= scales.config->scale_of(module, rank);
    } else if (stored.alpha != nullptr) {
      const double alpha = scalar_of(*stored.alpha);
      const bool ignored = scales.ignore_alpha && !stored.down_up;
      if (alpha != 0 && !ignored) adapter.scale *= alpha / static_cast<double>(rank);
    }
    adapters.push_back(std::move(adapter));
  }
  if (scales.config != nullptr) notes.insert(notes.end(), scales.config->notes().begin(), scales.config->notes().end());
  return adapters;
}

/// Throws FileError where the configuration names a module of the model for which there is no adapter, or parameters of which
/// nothing is known.
inline void check_complete(const PeftConfig& config, const StoredAdapters& modules, const LoadAdapterOptions& options,
                           const std::string& file) {
  if (config.has_parameters() && options.parameters.empty())
    throw FileError(message(printable_path(file), ": expected LoRA of linear layers, found adapters of expert parameters ",
                            "(target_parameters); say what those are with LoadAdapterOptions::parameters"));
  for (const std::string& module : options.modules)
    if (config.targets(module) == true && !modules.contains(module))
      throw FileError(message(printable_path(file), ": expected an adapter of ", printable(module),
                              ", which the configuration names, found none"));
}

template <class T>
LoadedAdapters<T> load_peft_folder(const std::string& path, const LoadAdapterOptions& options) {
  LoadedAdapters<T> loaded{{}, AdapterFormat::peft, {}};
  const std::string config_path = path + "/adapter_config.json";
  const MappedFile text(config_path, options.access);
  const PeftConfig config(parse_json(text.text(), config_path), "", printable_path(config_path));
  const SafeTensors file = SafeTensors::open(path + "/adapter_model.safetensors", {.access = options.access});
  std::string prefix;
  const StoredAdapters modules = sort_tensors(file, options, prefix, loaded.notes);
  check_complete(config, modules, options, file.file());
  loaded.adapters = read_modules<T>(modules, {&config, false}, options, loaded.notes);
  return loaded;
}

template <class T>
LoadedAdapters<T> read_hy_wu(const SafeTensors& file, const LoadAdapterOptions& options) {
  LoadedAdapters<T> loaded{{}, AdapterFormat::hy_wu, {}};
  const double scale = scalar_of(file.at("scale"));
  std::map<std::string, StoredPair> modules;
  const ModuleNames names(options.modules);
  for (const StoredTensor& tensor : file.tensors()) {
    if (tensor.name == "scale") continue;
    const bool A = tensor.name.ends_with(".lora_A"), B = tensor.name.ends_with(".lora_B");
    if (!A && !B) {
      unused(tensor, options, loaded.notes);
      continue;
    }
    const std::string module = tensor.name.substr(0, tensor.name.size() - 7);
    StoredPair& pair = modules[names.resolve({"", module, AdapterRole::A, -1, false}, tensor)];
    const StoredTensor*& place = A ? pair.A : pair.B;
    if (place != nullptr)
      fail(tensor, "expected one tensor for each place, found ", printable(place->name), " for the same");
    place = &tensor;
  }
  for (const auto& [module, pair] : modules) {
    if (pair.A == nullptr || pair.B == nullptr)
      fail(pair.A ? *pair.A : *pair.B, "expected A and B of module ", printable(module), ", found one of them");
    const auto &a = pair.A->shape, &b = pair.B->shape;
    const bool group = a.size() == 4;
    if ((a.size() != 3 && !group) || std::find(a.begin(), a.end(), 0) != a.end())
      fail(*pair.A, "expected shape [batch, rank, in] or [batch, experts, rank, in], found ", shape_text(a));
    const std::size_t row = group ? 2 : 1;
    if (b.size() != a.size() || b[0] != a[0] || b[row + 1] != a[row] || b[row] < 1 || (group && b[1] != a[1]))
      fail(*pair.B, "expected a B that goes with A of shape ", shape_text(a), ", found shape ", shape_text(b));
    if (options.sample < 0 || options.sample >= a[0])
      fail(*pair.A, "expected a sample below ", a[0], ", the batch, found ", options.sample);
    loaded.adapters.push_back({module, static_cast<Index>(a[row + 1]), static_cast<Index>(b[row]),
                               static_cast<Index>(a[row]), group ? static_cast<Index>(a[1]) : 0, scale,
                               values_of<T>(*pair.A, a[0], options.sample, options),
                               values_of<T>(*pair.B, b[0], options.sample, options)});
  }
  return loaded;
}

template <class T>
LoadedAdapters<T> read_adapter_file(const SafeTensors& file, const LoadAdapterOptions& options) {
  if (file.find("scale") != nullptr) return read_hy_wu<T>(file, options);
  LoadedAdapters<T> loaded{{}, AdapterFormat::diffusers, {}};
  std::string prefix;
  const StoredAdapters modules = sort_tensors(file, options, prefix, loaded.notes);
  const auto metadata = file.metadata().find("lora_adapter_metadata");
  if (metadata != file.metadata().end()) {
    if (prefix.empty())
      throw FileError(message(printable_path(file.file()),
                              ": expected names under a component such as \"transformer.\", by which ",
                              "the metadata \"lora_adapter_metadata\" goes, found names without one"));
    const std::string where = message(printable_path(file.file()), ": metadata \"lora_adapter_metadata\"");
    const PeftConfig config(parse_json(metadata->second, file.file() + " (lora_adapter_metadata)"), prefix, where);
    check_complete(config, modules, options, file.file());
    loaded.adapters = read_modules<T>(modules, {&config, false}, options, loaded.notes);
    return loaded;
  }
  if (prefix == "base_model.model.")
    throw FileError(message(printable_path(file.file()),
                            ": expected the folder of this file instead, for PEFT writes the scales of ",
                            "its adapters into adapter_config.json, found the file alone"));
  const auto says_down = [](const auto& module) { return module.second.down_up; };
  if (prefix == "lora_unet_" || std::any_of(modules.begin(), modules.end(), says_down)) loaded.format = AdapterFormat::kohya;
  loaded.adapters = read_modules<T>(modules, {nullptr, options.diffusers_compatible}, options, loaded.notes);
  return loaded;
}

/// Throws FileError where there is nothing at all.
template <class T>
LoadedAdapters<T> checked(LoadedAdapters<T> loaded, const std::string& path) {
  if (loaded.adapters.empty()) throw FileError(message(printable_path(path), ": expected adapters, found none"));
  check_adapters(loaded.adapters);
  return loaded;
}

}  // namespace detail

/// Reads adapters as values of T from a file, or from a folder of PEFT. Throws FileError for everything that does not fit
/// together: A without B, ranks that disagree, two tensors for one place, names or kinds that are not known, values that are
/// not finite or beyond T's range, alphas that are no number.
template <class T>
LoadedAdapters<T> load_adapters(const std::string& path, const LoadAdapterOptions& options = {}) {
  if (detail::is_folder(path)) return detail::checked(detail::load_peft_folder<T>(path, options), path);
  return detail::checked(detail::read_adapter_file<T>(SafeTensors::open(path, {.access = options.access}), options), path);
}

/// The same for a file whose bytes are in memory; `name` stands for it in messages.
template <class T>
LoadedAdapters<T> read_adapters(std::span<const std::byte> bytes, const std::string& name,
                                const LoadAdapterOptions& options = {}) {
  return detail::checked(detail::read_adapter_file<T>(SafeTensors::from_bytes(bytes, name), options), name);
}

}  // namespace wu::io
