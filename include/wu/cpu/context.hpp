// The CPU device: a pool of threads. Operations that cpu/ does not overload are answered by the
// reference loops, since a cpu::Context is a wu::reference.
#pragma once

#include <memory>
#include <thread>

#include "wu/core/buffer.hpp"
#include "wu/cpu/target.hpp"
#include "wu/cpu/threads.hpp"
#include "wu/ops/reference.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
using namespace wu::detail;

/// All views hold values of one type. What mixes types is answered by the reference.
template <class First, class... More>
inline constexpr bool one_type = (std::is_same_v<value_of<First>, value_of<More>> && ...);
/// And the type is one that products are compiled for: float, double or bfloat16. The reference answers for others.
template <class First, class... More>
inline constexpr bool one_product_type =
    one_type<First, More...> && (std::is_same_v<value_of<First>, float> || std::is_same_v<value_of<First>, double> ||
                                 std::is_same_v<value_of<First>, bfloat16>);
/// What Sums hold is the type in which values of X are summed: float for bfloat16.
template <class X, class... Sums>
inline constexpr bool summed_as = (std::is_same_v<value_of<Sums>, sum_of<X>> && ...);
}  // namespace detail

/// What so many multiply-adds of a matrix product weigh in Context::split.
constexpr Index product_work(Index multiply_adds) { return multiply_adds < 4 ? 1 : multiply_adds / 4; }

/// How a Context is made.
struct Options {
  int threads = 0;  ///< 0: as many as the machine has
};

/// Who computes: wu::cpu::Context cpu({.threads = 2}). Not for use by two threads at once; make one for each.
class Context : public reference {
 public:
  /// Throws Error if the number is negative, or if the system does not give that many threads.
  explicit Context(Options options = {}) : threads_(std::make_unique<Threads>(wanted(options.threads))) {}
  /// How many threads work, the caller's included.
  int threads() const { return threads_->count(); }

  /// work(thread, begin, end) over 0..n-1 on all threads; on the caller alone where that is no slower. work_per_item: how many
  /// values of a simple loop (y += x) take as long as one item does.
  template <class Work>
  void split(Index n, Index work_per_item, Work&& work) {
    // About 2.5 microseconds of work. Starting and joining two threads takes 0.5, and as much again goes for the values that lie
    // in the other core's cache.
    constexpr Index grain = 32768;
    if (n * work_per_item < grain) {
      if (n > 0) work(0, Index{0}, n);
    } else threads_->split(n, work);
  }

  /// work(begin, end) likewise, in parts of whole blocks: which values share a vector register, and so their last bits, then does
  /// not depend on the number of threads.
  template <class Work>
  void split_blocks(Index n, Index work_per_item, Work&& work) {
    constexpr Index block = 512;
    split((n + block - 1) / block, block * work_per_item,
          [&](int, Index begin, Index end) { work(begin * block, end * block < n ? end * block : n); });
  }

  /// Scratch memory for one operation: what it held is lost at the next call. Grows to the largest that was asked for.
  template <class T>
  T* scratch(Index count) {
    const Index bytes = checked_count<T>(count) * static_cast<Index>(sizeof(T));
    if (scratch_.size() < bytes) scratch_ = Buffer<std::byte>::uninitialised(bytes);
    return reinterpret_cast<T*>(scratch_.data());
  }

  /// How large that has grown, in bytes.
  std::size_t scratch_bytes() const { return static_cast<std::size_t>(scratch_.size()); }

 private:
  static int wanted(int threads) {
    if (threads < 0) throw Error(message("cpu: expected a number of threads from 0 on, found ", threads));
    return threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency());
  }

  std::unique_ptr<Threads> threads_;
  Buffer<std::byte> scratch_;
};

}  // namespace wu::cpu::inline WU_CPU_TARGET
