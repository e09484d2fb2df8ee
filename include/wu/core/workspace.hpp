// The workspace: activations are handed out in order and given back all at once. It grows while the first step runs and
// allocates nothing after that.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>

#include "wu/core/buffer.hpp"
#include "wu/core/error.hpp"
#include "wu/core/view.hpp"

namespace wu {

/// Hands out memory from a list of chunks; a Scope gives back what was taken since it began. What the memory holds is left over
/// from earlier steps: write before reading.
/// Views stay valid when the workspace grows. One workspace serves one step at a time; it is not for sharing among threads.
class Workspace {
 public:
  /// `bytes` are allocated at once; a step that needs no more allocates nothing. memory: a device's, or null for the host's.
  explicit Workspace(std::size_t bytes = 0, const MemoryResource* memory = nullptr) : device_(memory) {
    if (bytes > 0) add_chunk(bytes);
  }

  /// (sizes...) values of T on a 64-byte boundary, until the enclosing Scope ends.
  template <class T, Index... E>
  View<T, E...> take(std::convertible_to<Index> auto... sizes) {
    View<T, E...> view(static_cast<T*>(nullptr), sizes...);
    view.data = take_values<T>(checked_count<T>(View<T, E...>::fixed_size, view.dynamic));
    return view;
  }

  /// count values of T, as take() gives them. Throws Error as checked_count does.
  template <class T>
  T* take_values(Index count) {
    return reinterpret_cast<T*>(take_bytes(bytes_of<T>(checked_count<T>(count))));
  }

  /// What `count` values of T take: whole lines of `alignment` bytes. Modules add these up to say what they keep.
  template <class T>
  static constexpr std::size_t bytes_of(Index count) {
    return (static_cast<std::size_t>(count) * sizeof(T) + alignment - 1) / alignment * alignment;
  }

  /// Everything taken after its construction is given back when it ends.
  class Scope {
   public:
    /// From here on.
    explicit Scope(Workspace& ws) : ws_(ws), chunk_(ws.chunk_), used_(ws.used_), total_(ws.total_) {}
    ~Scope() { ws_.chunk_ = chunk_, ws_.used_ = used_, ws_.total_ = total_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Workspace& ws_;
    std::size_t chunk_, used_, total_;
  };

  /// The bytes that are out now.
  std::size_t taken_bytes() const { return total_; }
  /// The most bytes that were ever out at once.
  std::size_t peak_bytes() const { return peak_; }
  /// How many times memory was asked of the system.
  std::size_t allocations() const { return chunks_; }

 private:
  std::byte* take_bytes(std::size_t bytes) {
    while (chunk_ < chunks_ && used_ + bytes > size_of(chunk_)) ++chunk_, used_ = 0;
    if (chunk_ == chunks_) {
      const std::size_t twice = chunks_ > 0 ? 2 * size_of(chunks_ - 1) : 0,
                        least = twice > first_chunk ? twice : first_chunk;
      add_chunk(bytes > least ? bytes : least);
    }
    std::byte* memory = memory_[chunk_].data() + used_;
    used_ += bytes;
    total_ += bytes;
    if (total_ > peak_) peak_ = total_;
    return memory;
  }
  std::size_t size_of(std::size_t chunk) const { return static_cast<std::size_t>(memory_[chunk].size()); }
  void add_chunk(std::size_t bytes) {
    if (chunks_ == most_chunks) throw Error("workspace: expected to be left alone after its memory was moved to another");
    memory_[chunks_] = Buffer<std::byte>::uninitialised(static_cast<Index>(bytes), device_);
    ++chunks_;
  }

  static constexpr std::size_t first_chunk = std::size_t{1} << 20;
  // One that was asked for in advance and then each at least twice the one before, from first_chunk on: no machine has
  // memory for more than this many.
  static constexpr std::size_t most_chunks = 48;

  const MemoryResource* device_;
  std::array<Buffer<std::byte>, most_chunks> memory_;
  std::size_t chunks_ = 0;
  std::size_t chunk_ = 0, used_ = 0, total_ = 0, peak_ = 0;
};

}  // namespace wu
