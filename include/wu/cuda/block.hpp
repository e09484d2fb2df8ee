// What a kernel's body is written against: the threads of a block between barriers, and values that a thread keeps across them.
// Compiled by nvcc the threads are real; compiled by any other compiler they are loops, so that a body's indexing and arithmetic
// can be tested on a machine without a GPU. A body is a struct of plain values with
//     WU_BODY void operator()(Block block) const
// and is run by wu/cuda/context.hpp's run() and run_blocks().
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "wu/core/dtype.hpp"

#ifdef __CUDACC__
#define WU_BODY __host__ __device__
#define WU_UNROLL _Pragma("unroll")  // a thread's own array is in registers only where every position in it is a constant
#else
#define WU_BODY
#define WU_UNROLL
#endif

namespace wu::cuda {

/// Extents and positions in kernels; the same type as wu::Index, whose header nvcc need not read.
using Index = std::ptrdiff_t;

/// Threads of a warp: those that a GPU runs together.
inline constexpr int warp_size = 32;
/// The most threads of a block.
inline constexpr int most_threads = 1024;

/// One block of threads out of a grid of blocks.
struct Block {
  Index index = 0;  ///< this block's number
  Index blocks = 1;
  int threads = 1;  ///< in a block; a multiple of warp_size
  std::byte* shared = nullptr;

  /// work(thread) for every thread, and a barrier.
  template <class Work>
  WU_BODY void each(Work&& work) const {
#ifdef __CUDA_ARCH__
    work(static_cast<int>(threadIdx.x));
    __syncthreads();
#else
    for (int thread = 0; thread < threads; ++thread) work(thread);
#endif
  }

  /// work(thread) for every thread, and no barrier: for what each thread does with values of its own.
  template <class Work>
  WU_BODY void alone(Work&& work) const {
#ifdef __CUDA_ARCH__
    work(static_cast<int>(threadIdx.x));
#else
    for (int thread = 0; thread < threads; ++thread) work(thread);
#endif
  }
  /// A barrier.
  WU_BODY void wait() const {
#ifdef __CUDA_ARCH__
    __syncthreads();
#endif
  }

  /// work(k) for all k of 0 .. count-1, which all threads of all blocks share out among them; no barrier. For kernels
  /// whose threads have nothing to say to each other.
  template <class Work>
  WU_BODY void share_out(Index count, Work&& work) const {
#ifdef __CUDA_ARCH__
    for (Index k = index * threads + static_cast<Index>(threadIdx.x); k < count; k += blocks * threads) work(k);
#else
    for (Index k = index * threads; k < count; k += blocks * threads)
      for (Index t = k; t < k + threads && t < count; ++t) work(t);
#endif
  }
};

/// A value of each thread that outlives a barrier: a register on the GPU. value[thread] is for that thread alone. Threads: as many
/// as a block has at most.
template <class T, int Threads = most_threads>
struct PerThread {
#ifdef __CUDA_ARCH__
  T value{};
  __device__ T& operator[](int) { return value; }
  __device__ const T& operator[](int) const { return value; }
#else
  T value[Threads]{};
  ///@{
  /// The thread's own.
  T& operator[](int thread) { return value[thread]; }
  const T& operator[](int thread) const { return value[thread]; }
  ///@}
#endif
};

namespace detail {
/// value[thread] of every thread = op over all threads of its warp, or of each Lanes of them, in the order of a butterfly.
template <int Lanes = warp_size, class T, int Threads, class Op>
WU_BODY void reduce_warps([[maybe_unused]] Block block, PerThread<T, Threads>& value, Op op) {
#ifdef __CUDA_ARCH__
  for (int offset = Lanes / 2; offset > 0; offset /= 2)
    value[0] = op(value[0], __shfl_xor_sync(0xffffffffu, value[0], offset));
#else
  for (int offset = Lanes / 2; offset > 0; offset /= 2) {
    const PerThread<T, Threads> before = value;
    for (int t = 0; t < block.threads; ++t) value[t] = op(before[t], before[t ^ offset]);
  }
#endif
}

/// The same over all threads of the block; uses the first warp_size values of T in shared memory.
template <class T, class Op>
WU_BODY void reduce_block(Block block, PerThread<T>& value, Op op, T neutral) {
  T* const of_warp = reinterpret_cast<T*>(block.shared);
  const int warps = block.threads / warp_size;
  reduce_warps(block, value, op);
  block.each([&](int t) {
    if (t % warp_size == 0) of_warp[t / warp_size] = value[t];
  });
  block.each([&](int t) { value[t] = t % warp_size < warps ? of_warp[t % warp_size] : neutral; });
  reduce_warps(block, value, op);
}

struct Plus {
  template <class T>
  WU_BODY T operator()(T a, T b) const {
    return a + b;
  }
};
struct Larger {
  template <class T>
  WU_BODY T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};
}  // namespace detail

/// The shared memory that block_sum takes, in bytes.
template <class T>
inline constexpr int sum_bytes = warp_size * static_cast<int>(sizeof(T));

/// Every thread's value becomes the sum over the block. Needs sum_bytes<T> of shared memory, which are free again afterwards.
template <class T>
WU_BODY void block_sum(Block block, PerThread<T>& value) {
  detail::reduce_block(block, value, detail::Plus(), T(0));
}

///@{
/// Every thread's value becomes the sum, or the largest, over the Lanes threads beside each other that it is one of.
template <int Lanes = warp_size, class T, int Threads>
WU_BODY void warp_sum(Block block, PerThread<T, Threads>& value) {
  detail::reduce_warps<Lanes>(block, value, detail::Plus());
}
template <int Lanes = warp_size, class T, int Threads>
WU_BODY void warp_maximum(Block block, PerThread<T, Threads>& value) {
  detail::reduce_warps<Lanes>(block, value, detail::Larger());
}
///@}

}  // namespace wu::cuda
