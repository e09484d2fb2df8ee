// Where memory comes from, for buffers that do not lie in the host's.
#pragma once

#include <cstddef>

namespace wu {

/// The memory of a device. Buffer, Weights and Workspace take theirs from one if they are given its address, and keep that
/// address, so it must outlive them; without one they take the host's. What they then point to is for that device's operations
/// alone: the host may not read it.
class MemoryResource {
 public:
  /// At least so many bytes on a 64-byte boundary. Throws Error where there are none.
  virtual void* take(std::size_t bytes) const = 0;
  /// What take() gave; null is nothing.
  virtual void give_back(void* memory) const noexcept = 0;
  /// All bits zero; done when it returns.
  virtual void zero(void* memory, std::size_t bytes) const = 0;
  /// From and to this memory; done when it returns.
  virtual void copy(void* to, const void* from, std::size_t bytes) const = 0;

 protected:
  ~MemoryResource() = default;
};

}  // namespace wu
