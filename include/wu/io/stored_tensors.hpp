// What an open file hands out: tensors by name, whose bytes lie in the file. A safetensors file and a checkpoint of several are
// both this, and what reads tensors asks for no more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/core/error.hpp"
#include "wu/io/json_header.hpp"
#include "wu/io/printable.hpp"

namespace wu::io {

/// A tensor in an open file. bytes point into the file: they live as long as its SafeTensors, and may lie at any address, so
/// they are read through read_into() or memcpy.
struct StoredTensor {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;  ///< row-major; empty for one scalar
  std::span<const std::byte> bytes;
  std::shared_ptr<const std::string> file;  ///< for messages

  /// The number of values.
  std::int64_t count() const {
    std::int64_t n = 1;
    for (const std::int64_t extent : shape) n = extent == 0 ? 0 : n * extent;
    return n;
  }
};

namespace detail {

/// Throws FileError about one tensor of a file.
template <class... What>
[[noreturn]] void fail(const StoredTensor& tensor, const What&... what) {
  throw FileError(
      message(printable_path(tensor.file ? *tensor.file : ""), ": tensor ", printable(tensor.name), ": ", what...));
}

}  // namespace detail

/// The tensors of an open file, or of several. Only what opens files makes one: SafeTensors, Checkpoint.
class StoredTensors {
 public:
  /// What is handed out.
  using Tensor = StoredTensor;

  /// The file's name, for messages.
  const std::string& file() const { return *file_; }
  /// All tensors, file after file and there in the order of their data.
  const std::vector<Tensor>& tensors() const { return tensors_; }
  /// Their names, in the same order.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Tensor& tensor : tensors_) names.push_back(tensor.name);
    return names;
  }
  /// Free text from the file: not checked, and as long as the header may be.
  const Metadata& metadata() const { return metadata_; }

  /// The tensor of that name, or null.
  const Tensor* find(std::string_view name) const {
    const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                     [&](std::size_t k, std::string_view wanted) { return tensors_[k].name < wanted; });
    return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
  }
  /// The tensor of that name; throws FileError where there is none.
  const Tensor& at(std::string_view name) const {
    if (const Tensor* tensor = find(name)) return *tensor;
    throw FileError(message(printable_path(file()), ": expected the tensor ", printable(name),
                            ", found none of that name among ", std::to_string(tensors_.size())));
  }

 protected:
  /// Holds nothing yet.
  explicit StoredTensors(const std::string& file) : file_(std::make_shared<const std::string>(file)) {}
  ///@{
  /// Moves only: a copy would view bytes that it does not keep.
  StoredTensors(StoredTensors&&) noexcept = default;
  StoredTensors& operator=(StoredTensors&&) noexcept = default;
  ///@}
  ~StoredTensors() = default;

  /// The file's name, for StoredTensor::file.
  const std::shared_ptr<const std::string>& shared_file() const { return file_; }
  /// What is handed out from now on, each name once.
  void hold(std::vector<StoredTensor> tensors, Metadata metadata) {
    tensors_ = std::move(tensors);
    metadata_ = std::move(metadata);
    by_name_.resize(tensors_.size());
    for (std::size_t k = 0; k < by_name_.size(); ++k) by_name_[k] = k;
    std::sort(by_name_.begin(), by_name_.end(),
              [&](std::size_t a, std::size_t b) { return tensors_[a].name < tensors_[b].name; });
  }

 private:
  std::shared_ptr<const std::string> file_;
  std::vector<StoredTensor> tensors_;
  std::vector<std::size_t> by_name_;
  Metadata metadata_;
};

}  // namespace wu::io
