// A checkpoint as it is published: one safetensors file, or several (shards) and an index that says which tensor lies in which.
//     const Checkpoint checkpoint = Checkpoint::open("folder");
//     read_into(checkpoint.at("model.norm.weight"), gain);
// The index comes with the files and is trusted no more than they are: it names files of its own folder, and what it says of them
// must be so.                            Format: transformers and diffusers, model-00001-of-00003.safetensors and its kind
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/core/error.hpp"
#include "wu/io/json.hpp"
#include "wu/io/mapped_file.hpp"
#include "wu/io/printable.hpp"
#include "wu/io/safetensors.hpp"

namespace wu::io {

/// What an index says: names of tensors and, for each, the file that holds it.
struct ShardIndex {
  /// A tensor and the position of its file among `files`.
  struct Place {
    std::string name;
    std::size_t file = 0;
  };
  std::vector<Place> places;          ///< sorted by name; each name once
  std::vector<std::string> files;     ///< plain names, in the order in which the index first names them
  std::optional<double> total_bytes;  ///< of all tensors, as the index claims; nobody checks it
};

namespace detail {

/// Whether this names a file in a folder and cannot lead anywhere else, on any system.
inline bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\:\0", 4)) == name.npos;
}

}  // namespace detail

/// Reads the text of an index (*.safetensors.index.json). `file` is named in messages. Throws FileError where it is no JSON text,
/// has no object "weight_map" of strings, or names a file that is no plain name ending in ".safetensors".
inline ShardIndex parse_shard_index(std::string_view text, const std::string& file) {
  const auto fail = [&](const auto&... what) { throw FileError(message(printable_path(file), ": ", what...)); };
  const Json json = parse_json(text, file);
  const Json* const map = json.find("weight_map");
  if (map == nullptr) fail("expected the member \"weight_map\", found none");
  if (!map->is(Json::Kind::object)) fail("expected an object as \"weight_map\", found ", map->describe());

  ShardIndex index;
  std::vector<std::pair<std::string_view, std::size_t>> known;  // the files, sorted
  for (const JsonMember& member : map->members) {
    const std::string& shard = member.value.text;
    if (!member.value.is(Json::Kind::string))
      fail("tensor ", printable(member.name), ": expected the name of a file, found ", member.value.describe());
    if (!detail::is_plain_file_name(shard))
      fail("tensor ", printable(member.name), ": expected the name of a file in the same folder, found ", printable(shard));
    if (!shard.ends_with(".safetensors"))
      fail("tensor ", printable(member.name), ": expected a file *.safetensors, found ", printable(shard));
    const auto at = std::lower_bound(known.begin(), known.end(), std::pair<std::string_view, std::size_t>(shard, 0));
    if (at != known.end() && at->first == shard) index.places.push_back({member.name, at->second});
    else {
      index.places.push_back({member.name, index.files.size()});
      known.insert(at, {shard, index.files.size()});
      index.files.push_back(shard);
    }
  }
  std::sort(index.places.begin(), index.places.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  if (const Json* metadata = json.find("metadata"))
    if (const Json* total = metadata->find("total_size")) index.total_bytes = total->number();
  return index;
}

/// What a checkpoint's file or index is called in a folder, the first that is there.
inline constexpr std::array<const char*, 4> checkpoint_file_names{"model.safetensors", "model.safetensors.index.json",
                                                                  "diffusion_pytorch_model.safetensors",
                                                                  "diffusion_pytorch_model.safetensors.index.json"};

/// An open checkpoint, whose tensors are found by name wherever they lie. Each of its files keeps the rules that SafeTensors
/// checks, and with an index, every tensor of the files is one that the index names. The metadata are what all files say alike.
class Checkpoint : public StoredTensors {
 public:
  /// Opens a file *.safetensors, an index *.safetensors.index.json with the files that it names, or a folder: of
  /// checkpoint_file_names the first that is there.
  /// header_limit also bounds the index.
  /// Throws FileError where a file cannot be opened or breaks a rule of its format, where a tensor is not in the file that the
  /// index names, and where a file holds a tensor that the index does not name. Of a tensor that lies in two files, the one
  /// in the file that the index names is taken.
  static Checkpoint open(const std::string& path, const ReadOptions& options = {}) {
    Checkpoint checkpoint(detail::is_folder(path) ? file_in(path) : path);
    if (checkpoint.file().ends_with(".json")) checkpoint.open_shards(options);
    else {
      checkpoint.files_.push_back(SafeTensors::open(checkpoint.file(), options));
      checkpoint.hold(checkpoint.files_.front().tensors(), checkpoint.files_.front().metadata());
    }
    return checkpoint;
  }

  /// The files that hold the tensors, in the order in which the index first names them.
  const std::vector<SafeTensors>& files() const { return files_; }
  /// The bytes of all tensors as the index claims; nothing without an index. Nobody has checked it.
  std::optional<double> claimed_bytes() const { return claimed_bytes_; }

 private:
  using StoredTensors::StoredTensors;

  static std::string file_in(const std::string& folder) {
    for (const char* name : checkpoint_file_names) {
      std::string path = folder + "/" + name;
      struct stat status{};
      if (::lstat(path.c_str(), &status) == 0) return path;  // a link that leads nowhere is an error, not another name
    }
    throw FileError(message(printable_path(folder),
                            ": expected model.safetensors, diffusion_pytorch_model.safetensors, or one of these names with "
                            ".index.json behind it in the folder, found none"));
  }

  void open_shards(const ReadOptions& options) {
    ShardIndex index;
    {
      const MappedFile text(file(), options.access);
      if (text.bytes().size() > options.header_limit)
        throw FileError(message(printable_path(file()), ": expected an index of at most ", options.header_limit,
                                " bytes, found ", text.bytes().size()));
      index = parse_shard_index(text.text(), file());
    }
    claimed_bytes_ = index.total_bytes;
    const std::string folder = file().substr(0, file().rfind('/') + 1);  // with its slash, or empty

    std::vector<StoredTensor> tensors;
    std::vector<bool> found(index.places.size());
    for (std::size_t k = 0; k < index.files.size(); ++k) {
      files_.push_back(SafeTensors::open(folder + index.files[k], options));
      for (const StoredTensor& tensor : files_.back().tensors()) {
        const auto at = std::lower_bound(index.places.begin(), index.places.end(), tensor.name,
                                         [](const auto& place, const std::string& name) { return place.name < name; });
        if (at == index.places.end() || at->name != tensor.name)
          detail::fail(tensor, "expected a tensor that the index ", printable_path(file()), " names, found another");
        if (at->file != k) continue;  // the index takes it from another file
        found[static_cast<std::size_t>(at - index.places.begin())] = true;
        tensors.push_back(tensor);
      }
    }
    for (std::size_t k = 0; k < found.size(); ++k)
      if (!found[k])
        throw FileError(message(printable_path(file()), ": tensor ", printable(index.places[k].name),
                                ": expected it in the file ", printable(index.files[index.places[k].file]),
                                ", found none of that name there"));
    hold(std::move(tensors), common_metadata());
  }

  Metadata common_metadata() const {
    if (files_.empty()) return {};
    Metadata common = files_.front().metadata();
    for (const SafeTensors& shard : files_)
      std::erase_if(common, [&](const auto& entry) {
        const auto same = shard.metadata().find(entry.first);
        return same == shard.metadata().end() || same->second != entry.second;
      });
    return common;
  }

  std::vector<SafeTensors> files_;
  std::optional<double> claimed_bytes_;
};

}  // namespace wu::io
