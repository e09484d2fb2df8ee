// The files of a run: the condition that goes in and the adapters that come out.
#pragma once

#include <string>
#include <vector>

#include "command_line.hpp"
#include "wu/core/view.hpp"
#include "wu/io/adapter.hpp"
#include "wu/io/checkpoint.hpp"
#include "wu/io/generator_config.hpp"
#include "wu/io/safetensors.hpp"

namespace generate {

/// A file of one tensor, "condition" (batch, length, width).
class Condition {
 public:
  /// Throws wu::FileError where the file holds anything else.
  Condition(const std::string& path, wu::Index width);

  wu::Index batch() const { return tensor().shape[0]; }
  wu::Index length() const { return tensor().shape[1]; }
  /// T: float or wu::bfloat16. Throws wu::FileError for NaN, an infinity, and a value beyond T's range.
  template <class T>
  std::vector<T> values() const;

 private:
  const wu::io::StoredTensor& tensor() const { return file_.tensors().front(); }

  wu::io::SafeTensors file_;
};

/// What --dtype says, or the checkpoint's own type: bfloat16 where every tensor is, float32 otherwise.
Type type_for(const Options& options, const wu::io::Checkpoint& checkpoint);

/// The files, or for PEFT the folders, of a batch: --out itself, or NAME-0.safetensors, NAME-1.safetensors, ...
std::vector<std::string> outputs(const Options& options, wu::Index batch);

/// Throws wu::FileError where the results could not be written: better before the work than after it. Leaves nothing behind.
void check_writable(const Options& options, const std::vector<std::string>& outputs);

/// Throws wu::NonFiniteError if a value is NaN or infinite.
template <class T>
void check_finite(const std::vector<T>& tokens);

/// Writes one request's adapters in that format. Experts get HunyuanImage-3.0's names where every group has its w1, w2 and w3, and
/// keep their own otherwise.
template <class T>
void save(const std::string& path, wu::io::AdapterFormat format, wu::io::Adapters<T> adapters,
          const wu::io::GeneratorConfig& config);

}  // namespace generate
