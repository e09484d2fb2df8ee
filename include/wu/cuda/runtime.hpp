// What the GPU is asked for, as plain functions: whoever includes this needs neither nvcc nor CUDA's headers. They are in the
// library wu::cuda, which nvcc compiles; wu::cuda_on_host has the same functions for the host's own memory and processor, slow, for tests.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "wu/core/memory.hpp"
#include "wu/cuda/block.hpp"
#include "wu/cuda/fused_attention.hpp"
#include "wu/cuda/product.hpp"

namespace wu::cuda {

/// One stream of work on one device, with what its products need. Opaque.
struct Stream;

/// Work that was recorded, to be done again and again. Opaque.
struct Graph;

/// How large a launch is.
struct Launch {
  Index blocks = 1;
  int threads = 256;
  int shared_bytes = 0;
};

/// What a device is.
struct Device {
  std::string name;
  int capability = 0;  ///< 90 for sm_90; 0: the host in a GPU's place
  int multiprocessors = 1;
  std::size_t memory = 0;  ///< bytes
};

/// A device's memory, all programs that use it together.
struct MemoryUse {
  std::size_t free = 0, total = 0;  ///< bytes
};

/// How many devices there are; 0 where there is no driver, or none that fits. On wu::cuda_on_host 1.
int device_count() noexcept;
/// Throws Error if there is no such device.
Device describe_device(int device);
/// Throws Error likewise. On wu::cuda_on_host what Device::memory says is the total, and this program alone uses it.
MemoryUse memory_use(int device);
/// The memory of a device, which lives as long as the program. Its take() throws OutOfMemory.
const MemoryResource& device_memory(int device);

namespace runtime {
Stream* open(int device, bool tf32);
void close(Stream*) noexcept;
/// In the stream's order; the host goes on at once, but for what it reads.
void zero(Stream&, void* memory, std::size_t bytes);
void copy(Stream&, void* to, const void* from, std::size_t bytes);
/// Waits until `to` is there.
void download(Stream&, void* to, const void* from, std::size_t bytes);
void synchronise(Stream&);
/// A number in the host's memory, at first 0, that kernels on the stream may write; it lives as long as the stream. What they wrote is
/// there when the stream was waited for.
int* note(Stream&);
void multiply(Stream&, const Product&);
/// By cuDNN. False where this build has none, or it does not take this device or these sizes; nothing is done then.
bool attend(Stream&, const FusedAttention&);
/// What work() puts on the stream, which is not done then. It may not wait, download or take memory of the device.
Graph* record(Stream&, const std::function<void()>& work);
void replay(Stream&, Graph&);
void forget(Graph*) noexcept;

/// Runs a body on every block of the grid. Defined and instantiated in the libraries alone, for the bodies of wu/cuda/instances.hpp.
template <class Body>
void launch(Stream&, const Body& body, Launch how);
}  // namespace runtime

}  // namespace wu::cuda
