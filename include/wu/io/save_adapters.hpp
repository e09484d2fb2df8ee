// Adapters as files of other programs, which then apply exactly the same update; docs/adapters.md says which reads what.
#pragma once

#include <sys/stat.h>  // mkdir
#include <unistd.h>    // unlink, rmdir

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/io/adapter.hpp"
#include "wu/io/adapter_format.hpp"
#include "wu/io/atomic_file.hpp"
#include "wu/io/experts.hpp"
#include "wu/io/peft_config.hpp"
#include "wu/io/safetensors.hpp"

namespace wu::io {

/// How adapters are saved.
struct SaveAdapterOptions {
  std::optional<DType> dtype = std::nullopt;         ///< F32, BF16, F16 or F64; nothing: as they are in memory
  ExpertNames experts = ExpertNames::hunyuan_image;  ///< for the formats that know no groups: all but hy-wu
  std::string component = "transformer";             ///< of the pipeline, for diffusers
  Metadata metadata = {};                            ///< goes into the file beside what the format asks for
};

namespace detail {

/// A negative scale moves into B, exactly; a scale of 0 becomes a B of zeros. For alpha must be positive: to some readers an
/// alpha of 0 means that there is none.
template <class T>
void make_scale_positive(Adapter<T>& adapter) {
  if (adapter.scale > 0) return;
  for (T& b : adapter.B) b = adapter.scale < 0 ? static_cast<T>(-b) : T(0);
  adapter.scale = adapter.scale < 0 ? -adapter.scale : 1;
}

/// The tensors of a file that is being made. Values that need another type are converted; the others are viewed.
template <class T>
struct TensorList {
  std::optional<DType> dtype;
  std::vector<TensorToSave> tensors;

  /// `values` are left empty once they have been converted.
  void add(std::string name, std::vector<std::int64_t> shape, std::vector<T>& values) {
    if (!dtype || *dtype == dtype_of<T>()) {
      tensors.push_back(tensor_to_save(std::move(name), std::move(shape), values));
      return;
    }
    tensors.push_back(tensor_to_save_as(*dtype, std::move(name), std::move(shape), values));
    values = {};
  }
  void add_scalar(DType scalar, std::string name, double value) {
    tensors.push_back(tensor_to_save_as(scalar, std::move(name), {}, std::vector<double>{value}));
  }
};

/// The tensors of a pair under a module's names. leading: extents before those of one pair.
template <class T>
void add_pair(TensorList<T>& list, Adapter<T>& adapter, const std::string& A, const std::string& B,
              std::vector<std::int64_t> leading = {}) {
  const auto shape = [&](Index rows, Index columns) {
    std::vector<std::int64_t> all = leading;
    if (adapter.experts > 0) all.push_back(adapter.experts);
    all.insert(all.end(), {rows, columns});
    return all;
  };
  list.add(A, shape(adapter.rank, adapter.in), adapter.A);
  list.add(B, shape(adapter.out, adapter.rank), adapter.B);
}

/// One scale for all, that of the first; and a batch of one.
template <class T>
TensorList<T> hy_wu_tensors(Adapters<T>& adapters, const std::optional<DType>& dtype) {
  TensorList<T> list{dtype, {}};
  const double scale = adapters.front().scale;
  for (Adapter<T>& adapter : adapters) {
    rescale(adapter, scale);
    add_pair(list, adapter, adapter.module + ".lora_A", adapter.module + ".lora_B", {1});
  }
  list.add_scalar(DType::F64, "scale", scale);
  return list;
}

template <class T>
TensorList<T> peft_tensors(Adapters<T>& adapters, const std::optional<DType>& dtype, const std::string& prefix) {
  TensorList<T> list{dtype, {}};
  for (Adapter<T>& adapter : adapters)
    add_pair(list, adapter, prefix + adapter.module + ".lora_A.weight", prefix + adapter.module + ".lora_B.weight");
  return list;
}

/// alpha = scale * rank is a float in these files; what it cannot hold goes into B.
template <class T>
TensorList<T> kohya_tensors(Adapters<T>& adapters, const std::optional<DType>& dtype, const std::string& path) {
  TensorList<T> list{dtype, {}};
  std::map<std::string, std::string> flattened;
  for (Adapter<T>& adapter : adapters) {
    std::string name = adapter.module;
    std::replace(name.begin(), name.end(), '.', '_');
    const auto [at, fresh] = flattened.emplace(name, adapter.module);
    if (!fresh)
      throw FileError(message("could not save ", printable_path(path),
                              ": expected modules whose names differ when their points are ", "underscores, found ",
                              printable(at->second), " and ", printable(adapter.module)));
    const auto rank = static_cast<double>(adapter.rank);
    const double alpha = static_cast<double>(static_cast<float>(adapter.scale * rank));
    if (!std::isfinite(alpha) || alpha == 0)
      throw FileError(message("could not save ", printable_path(path), ": adapter of ", printable(adapter.module),
                              ": expected an alpha that F32 can hold, found ", adapter.scale * rank));
    if (std::abs(alpha / rank - adapter.scale) > 1e-12 * adapter.scale) rescale(adapter, alpha / rank);
    name.insert(0, "lora_unet_");
    add_pair(list, adapter, name + ".lora_down.weight", name + ".lora_up.weight");
    list.add_scalar(DType::F32, name + ".alpha", alpha);
  }
  return list;
}

/// What a PEFT configuration says about these adapters.
template <class T>
std::vector<PeftModule> peft_modules(const Adapters<T>& adapters) {
  std::vector<PeftModule> modules;
  for (const Adapter<T>& adapter : adapters)
    modules.push_back({adapter.module, adapter.rank, adapter.scale * static_cast<double>(adapter.rank)});
  return modules;
}

/// A folder that is made if there is none, and removed again if nothing came into it.
class NewFolder {
 public:
  explicit NewFolder(const std::string& path) : path_(path) {
    if (path.empty() || path.find('\0') != std::string::npos) fail("expected the path of a folder");
    made_ = ::mkdir(path.c_str(), 0777) == 0;
    if (!made_ && errno != EEXIST) fail(system_message(errno));
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder() {
    if (made_) ::rmdir(path_.c_str());  // does nothing to a folder that holds a file
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw FileError(message("could not save ", printable_path(path_), ": ", why));
  }
  std::string path_;
  bool made_ = false;
};

/// Both files are on the disk before either gets its name. Between the two there is no configuration, so that a program that
/// is stopped here leaves no folder in which the scale of one adapter stands beside the values of another.
inline void save_peft_folder(const std::string& path, std::vector<TensorToSave> tensors, const Metadata& metadata,
                             const std::string& config) {
  const NewFolder folder(path);
  const std::string weights_path = path + "/adapter_model.safetensors", config_path = path + "/adapter_config.json";
  const std::string header = arranged_header(tensors, metadata, weights_path);
  AtomicFile weights(weights_path), text(config_path);
  write_safetensors(weights, header, tensors);
  text.write(config);
  weights.flush();
  text.flush();
  if (::unlink(config_path.c_str()) != 0 && errno != ENOENT)
    throw FileError(message("could not save ", printable_path(config_path), ": ", system_message(errno)));
  weights.commit();
  text.commit();
}

}  // namespace detail

/// Saves adapters whole or not at all: a file at `path`, for peft a folder, which is made if it is not there. Equal input gives
/// equal bytes. Formats without groups of experts get single experts, as split_experts() makes them. hy-wu has one scale: where
/// those of the adapters differ, B is multiplied by the rest. diffusers has none: B is multiplied by all of it.
/// Pass adapters that are not needed any more with std::move: then no second copy of them is made.
/// Throws FileError where the file cannot be written or a name or number does not fit the format, and what check_adapters() and
/// split_experts() throw.
template <class T>
void save_adapters(const std::string& path, AdapterFormat format, Adapters<T> adapters,
                   const SaveAdapterOptions& options = {}) {
  check_adapters(adapters);
  if (adapters.empty())
    throw FileError(message("could not save ", printable_path(path), ": expected at least one adapter, found none"));
  for (const Adapter<T>& adapter : adapters)
    if (first_ill_formed(adapter.module) < adapter.module.size())
      throw FileError(message("could not save ", printable_path(path), ": expected names of modules in UTF-8, found ",
                              printable(adapter.module)));
  const auto grouped = [](const Adapter<T>& adapter) { return adapter.experts > 0; };
  if (format != AdapterFormat::hy_wu && std::any_of(adapters.begin(), adapters.end(), grouped))
    adapters = split_experts(std::move(adapters), options.experts);
  for (Adapter<T>& adapter : adapters) detail::make_scale_positive(adapter);

  Metadata metadata = options.metadata;
  switch (format) {
    case AdapterFormat::hy_wu:
      return save_safetensors(path, detail::hy_wu_tensors(adapters, options.dtype).tensors, metadata);
    case AdapterFormat::kohya:
      return save_safetensors(path, detail::kohya_tensors(adapters, options.dtype, path).tensors, metadata);
    case AdapterFormat::peft: {
      const std::string config = format_peft_config(detail::peft_modules(adapters), "", "\n  ");
      return detail::save_peft_folder(path, detail::peft_tensors(adapters, options.dtype, "base_model.model.").tensors,
                                      metadata, config);
    }
    case AdapterFormat::diffusers: {
      // Some of its loaders do not look at the metadata, and take alpha to be the rank: so it is, and B has the rest.
      const std::string prefix = options.component + ".";
      for (Adapter<T>& adapter : adapters) rescale(adapter, 1);
      if (!metadata.emplace("lora_adapter_metadata", format_peft_config(detail::peft_modules(adapters), prefix)).second)
        throw FileError(message("could not save ", printable_path(path),
                                ": expected metadata without \"lora_adapter_metadata\", which the format writes itself"));
      return save_safetensors(path, detail::peft_tensors(adapters, options.dtype, prefix).tensors, metadata);
    }
  }
}

}  // namespace wu::io
