// The CUDA device: one stream on one GPU. Operations return when they are on the stream, not when they are done. There is no
// reference behind it: what lies in a GPU's memory no loop of the host can read.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/core/buffer.hpp"
#include "wu/core/workspace.hpp"
#include "wu/cuda/float8.hpp"
#include "wu/cuda/runtime.hpp"
#include "wu/ops/reference.hpp"

namespace wu::cuda {

namespace detail {
using namespace wu::detail;

/// All views hold values of one type, one that kernels are compiled for. There is no other device to answer for the rest, so a
/// mixture is a mistake.
template <class T, class... V>
constexpr void check_types(const V&...) {
  static_assert(fits<(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, bfloat16>),
                     "wu::cuda: expected values of float, double or bfloat16, found ", type<T>>);
  static_assert(fits<(std::is_same_v<value_of<V>, T> && ...), "wu::cuda: expected operands of one type, ", type<T>,
                     ", found ", type<value_of<V>>...>);
}
/// What is summed over values of T lies in T's sums.
template <class T, class... V>
constexpr void check_sums(const V&...) {
  static_assert(fits<(std::is_same_v<value_of<V>, accumulator_t<T>> && ...), "wu::cuda: expected sums and gradients of ",
                     type<accumulator_t<T>>, " beside values of ", type<T>, ", found ", type<value_of<V>>...>);
}
}  // namespace detail

/// Whether there is a GPU that wu::cuda can use. On wu::cuda_on_host always.
inline bool available() noexcept { return device_count() > 0; }

/// How a Context is made.
struct Options {
  int device = 0;  ///< which GPU
  /// Attention in bfloat16 goes to cuDNN, where wu::cuda was built with it and it takes the sizes; else to wu's own kernels, whose bits
  /// are the same at every run.
  bool cudnn = true;
  /// Products of float32 may round their operands to 10 bits of mantissa, and are then several times as fast.
  bool tf32 = false;
};

/// A matrix of (rows, width) in FP8: codes, and what those of each row are multiplied by.
struct Float8Rows {
  float8* codes = nullptr;
  float* scales = nullptr;
  Index rows = 0, width = 0;
  bool fast_sums = false;  ///< as Float8Options has it
};

/// Who computes: wu::cuda::Context gpu({.device = 0}). Not for use by two threads at once; make one for each.
class Context : public device {
 public:
  /// Throws Error, in one sentence, where there is no such device.
  explicit Context(Options options = {})
      : number_(options.device),
        cudnn_(options.cudnn),
        about_(describe_device(options.device)),
        stream_(runtime::open(options.device, options.tf32)) {}

  ///@{
  /// Whether attention may go to cuDNN.
  bool cudnn() const { return cudnn_; }
  void cudnn(bool may) { cudnn_ = may; }
  ///@}
  ///@{
  /// Which kernel the last attention ran on: "cuDNN", "tensor cores" or "plain"; "none" before the first.
  const char* attention() const { return attention_; }
  void attention(const char* kernel) { attention_ = kernel; }
  ///@}
  /// What it runs on.
  const Device& about() const { return about_; }
  /// The GPU's memory.
  const MemoryResource* memory() const { return &device_memory(number_); }
  /// For wu/cuda's operations.
  Stream& stream() { return *stream_; }
  /// Waits until all that was asked for is done. Throws Error for what went wrong on the way, NonFiniteError for what was noted, once.
  void synchronise() {
    runtime::synchronise(*stream_);
    throw_noted();
  }
  /// The same, and what is then in the GPU's memory is copied to the host's.
  void download(void* to, const void* from, std::size_t bytes) {
    runtime::download(*stream_, to, from, bytes);
    throw_noted();
  }

  ///@{
  /// For wu/cuda's operations: a number of the host's that kernels write, to be looked at when this context next waits. 0, or the mark of
  /// a sentence, which is from 1 on and the same at every call.
  int* note() { return runtime::note(*stream_); }
  int mark_of(std::string_view sentence) {
    const auto found = std::ranges::find(sentences_, sentence);
    const auto mark = static_cast<int>(found - sentences_.begin()) + 1;
    if (found == sentences_.end()) sentences_.emplace_back(sentence);
    return mark;
  }
  ///@}

  /// Scratch memory for one operation: what it held is lost at the next call. Grows to the largest that was asked for; what it has
  /// outgrown is kept as long as the context, for a Recording may write there.
  template <class T>
  T* scratch(Index count) {
    const Index bytes = checked_count<T>(count) * static_cast<Index>(sizeof(T));
    if (scratch_.size() < bytes) {
      auto larger = Buffer<std::byte>::uninitialised(std::max(bytes, 2 * scratch_.size()), memory());
      outgrown_.push_back(std::exchange(scratch_, std::move(larger)));
    }
    return reinterpret_cast<T*>(scratch_.data());
  }

  /// The host's memory for what one operation downloads; grows as scratch() does.
  std::span<double> staging(Index count) {
    if (staging_.size() < count) staging_ = Buffer<double>::uninitialised(count);
    return staging_.span().first(static_cast<std::size_t>(count));
  }

  /// Runs a kernel's body for `count` values, of which each thread takes one or several.
  template <class Body>
  void run(const Body& body, Index count) {
    if (count == 0) return;
    constexpr int threads = 256;
    const Index most = Index{32} * about_.multiprocessors;
    runtime::launch(*stream_, body, {.blocks = std::min((count + threads - 1) / threads, most), .threads = threads});
  }
  /// Runs it on so many blocks.
  template <class Body>
  void run_blocks(const Body& body, Launch how) {
    if (how.blocks > 0) runtime::launch(*stream_, body, how);
  }

  /// What a Float8Weights has made of the weight at this address; null if there is none, or of another shape.
  const Float8Rows* float8_of(const void* weight, Index rows, Index width) const {
    if (float8_.empty()) return nullptr;
    const auto found = float8_.find(weight);
    return found != float8_.end() && found->second.rows == rows && found->second.width == width ? &found->second : nullptr;
  }

 private:
  friend class Float8Weights;
  struct Close {
    void operator()(Stream* stream) const noexcept { runtime::close(stream); }
  };

  void throw_noted() {
    if (const int mark = std::exchange(*note(), 0); mark > 0)
      throw NonFiniteError(sentences_[static_cast<std::size_t>(mark - 1)]);
  }

  int number_;
  bool cudnn_;
  const char* attention_ = "none";
  Device about_;
  std::unique_ptr<Stream, Close> stream_;
  std::vector<std::string> sentences_;
  Buffer<std::byte> scratch_;
  std::vector<Buffer<std::byte>> outgrown_;
  Buffer<double> staging_;
  std::map<const void*, Float8Rows> float8_;
};

/// Where what this context's operations read and write lies.
inline const MemoryResource* memory_of(const Context& ctx) { return ctx.memory(); }

}  // namespace wu::cuda
