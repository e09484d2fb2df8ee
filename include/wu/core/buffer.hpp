// Memory that is owned: 64-byte aligned, sized once, zero at first. The host's, or that of a device.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <limits>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "wu/core/fits.hpp"
#include "wu/core/memory.hpp"
#include "wu/core/view.hpp"

namespace wu {

/// The alignment of every buffer, in bytes: one cache line, one AVX-512 register.
inline constexpr std::size_t alignment = 64;

/// The product of extents, for which memory of T is about to be taken. Throws Error if one is negative or if the bytes cannot
/// be counted: an extent read from a file may be anything.
template <class T>
constexpr Index checked_count(Index first, std::span<const Index> more = {}) {
  constexpr Index most = std::numeric_limits<Index>::max() / static_cast<Index>(sizeof(T));
  Index count = 1;
  const auto times = [&](Index extent) {
    if (extent < 0) throw Error(message("memory: expected extents from 0 on, found ", extent));
    if (extent > 0 && count > most / extent)
      throw Error(
          message("memory: expected at most ", most, " values of ", sizeof(T), " bytes, found ", count, " times ", extent));
    count *= extent;
  };
  times(first);
  for (const Index extent : more) times(extent);
  return count;
}

/// A fixed number of values of T on a 64-byte boundary, zero-initialised. Moves but does not copy by accident: use clone().
template <class T>
class Buffer {
 public:
  static_assert(std::is_nothrow_default_constructible_v<T> && std::is_trivially_copyable_v<T>,
                "Buffer: expected a type of plain values, for memory is copied and freed as it lies");

  Buffer() = default;
  /// count values, all zero, in the host's memory or in that of a device. Throws Error as checked_count does.
  explicit Buffer(Index count, const MemoryResource* memory = nullptr) : Buffer(uninitialised(count, memory)) {
    if (memory) memory->zero(data_, bytes());
    else
      for (Index k = 0; k < count; ++k) ::new (static_cast<void*>(data_ + k)) T();
  }
  /// count values that are whatever the memory held: write before reading. The system gives pages of it when they are first used.
  static Buffer uninitialised(Index count, const MemoryResource* memory = nullptr) {
    Buffer buffer;
    const std::size_t bytes = static_cast<std::size_t>(checked_count<T>(count)) * sizeof(T);
    buffer.data_ = static_cast<T*>(memory ? memory->take(bytes) : ::operator new(bytes, std::align_val_t{alignment}));
    buffer.size_ = count;
    buffer.memory_ = memory;
    return buffer;
  }
  /// What is moved from is empty.
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), memory_(other.memory_) {}
  /// What is moved from is empty.
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer old(std::move(other));
    std::swap(data_, old.data_);
    std::swap(size_, old.size_);
    std::swap(memory_, old.memory_);
    return *this;
  }
  ~Buffer() {
    if (memory_) memory_->give_back(data_);
    else ::operator delete(data_, std::align_val_t{alignment});
  }

  /// A copy in memory of its own, of the same kind.
  Buffer clone() const { return in(memory_); }
  /// A copy in a device's memory, or in the host's where that is null; from one device to another only by way of the host.
  Buffer in(const MemoryResource* memory) const {
    Buffer copy = uninitialised(size_, memory);
    copy.assign(*this);
    return copy;
  }
  /// The values of another of the same size, wherever each of them lies.
  void assign(const Buffer& other) {
    if (const MemoryResource* const device = memory_ ? memory_ : other.memory_) device->copy(data_, other.data_, bytes());
    else
      for (Index k = 0; k < size_; ++k) data_[k] = other.data_[k];
  }

  /// Whose memory it is; null: the host's.
  const MemoryResource* memory() const { return memory_; }

  ///@{
  /// The values and how many there are; positions are not checked. In a device's memory they are for its operations alone.
  T* data() { return data_; }
  const T* data() const { return data_; }
  Index size() const { return size_; }
  T& operator[](Index k) { return data_[k]; }
  const T& operator[](Index k) const { return data_[k]; }
  std::span<T> span() { return {data(), static_cast<std::size_t>(size_)}; }
  std::span<const T> span() const { return {data(), static_cast<std::size_t>(size_)}; }
  ///@}

 private:
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

  T* data_ = nullptr;
  Index size_ = 0;
  const MemoryResource* memory_ = nullptr;
};

/// A buffer with extents: Tensor<float, dyn, 3> t(5) owns (5, 3) values. view() hands them to operations.
template <class T, Index... E>
class Tensor {
 public:
  static constexpr std::size_t dynamic_count = View<T, E...>::dynamic_count;

  /// Empty until it is assigned to; where all extents stand in the type, Tensor() owns its values as below.
  Tensor()
    requires(dynamic_count > 0)
  = default;
  /// One run-time extent for every wu::dyn, in order; all values zero. Throws Error as checked_count does.
  explicit Tensor(std::convertible_to<Index> auto... sizes)
    requires(sizeof...(sizes) == dynamic_count)
      : dynamic_{static_cast<Index>(sizes)...}, buffer_(checked_count<T>(View<T, E...>::fixed_size, dynamic_)) {}
  /// The same in a device's memory; null: in the host's.
  static Tensor in(const MemoryResource* memory, std::convertible_to<Index> auto... sizes)
    requires(sizeof...(sizes) == dynamic_count)
  {
    const std::array<Index, dynamic_count> dynamic{static_cast<Index>(sizes)...};
    return Tensor(dynamic, Buffer<T>(checked_count<T>(View<T, E...>::fixed_size, dynamic), memory));
  }
  /// Another number of run-time extents: it does not compile, and says why.
  template <std::convertible_to<Index>... Sizes, std::size_t Found = sizeof...(Sizes), std::size_t Expected = dynamic_count>
    requires(Found != Expected && Found > 0)
  explicit Tensor(Sizes...) {
    static_assert(fits<(Expected == Found), "Tensor: expected one number for every wu::dyn among the extents, ", Expected,
                       ", found ", Found>);
  }

  ///@{
  /// The values as operations take them.
  View<T, E...> view() { return {buffer_.data(), dynamic_}; }
  View<const T, E...> view() const { return {buffer_.data(), dynamic_}; }
  operator View<T, E...>() { return view(); }
  operator View<const T, E...>() const { return view(); }
  ///@}

  ///@{
  /// The values in row-major order, how many there are, and the extents; positions are not checked.
  T* data() { return buffer_.data(); }
  const T* data() const { return buffer_.data(); }
  Index size() const { return buffer_.size(); }
  Index extent(std::size_t axis) const { return view().extent(axis); }
  T& operator[](Index k) { return buffer_[k]; }
  const T& operator[](Index k) const { return buffer_[k]; }
  std::span<T> span() { return buffer_.span(); }
  std::span<const T> span() const { return buffer_.span(); }
  ///@}

 private:
  Tensor(const std::array<Index, dynamic_count>& dynamic, Buffer<T> buffer)
      : dynamic_(dynamic), buffer_(std::move(buffer)) {}

  std::array<Index, dynamic_count> dynamic_{};
  Buffer<T> buffer_;
};

}  // namespace wu
