// A small pool of threads that splits a range into equal contiguous parts. The split depends only on the range and the number
// of threads, so that the same thread count gives the same bits.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "wu/core/view.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

/// `count` threads, the caller's included. One caller at a time; work must not start further work on the same pool.
class Threads {
 public:
  /// Throws Error if the system does not give that many.
  explicit Threads(int count) {
    try {
      for (int i = 1; i < count; ++i) workers_.emplace_back([this, i] { serve(i); });
    } catch (const std::exception& e) {  // no destructor follows: those that already run must be sent home from here
      const auto found = workers_.size() + 1;
      stop();
      throw Error(message("threads: expected ", count, ", but the system gave only ", found, " (", e.what(), ")"));
    }
  }
  ~Threads() { stop(); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  /// How many threads there are, the caller's included.
  int count() const { return static_cast<int>(workers_.size()) + 1; }

  /// Runs work(thread, begin, end) on every thread with its part of 0..n-1; returns when all are done. The first exception
  /// that a part throws is thrown again here.
  template <class Work>
  void split(Index n, Work&& work) {
    if (workers_.empty() || n <= 1) {
      if (n > 0) work(0, Index{0}, n);
      return;
    }
    const Index parts = count();
    auto part = [&work, n, parts](int thread) {
      const Index begin = n * thread / parts, end = n * (thread + 1) / parts;
      if (begin < end) work(thread, begin, end);
    };
    run(&part, [](void* p, int thread) { (*static_cast<decltype(part)*>(p))(thread); });
  }

 private:
  using Call = void (*)(void*, int);

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  void run(void* work, Call call) {
    {
      const std::lock_guard lock(mutex_);
      work_ = work, call_ = call, error_ = nullptr;
      pending_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    attempt(0);
    if (!soon([this] { return pending_.load(std::memory_order_acquire) == 0; })) {
      std::unique_lock lock(mutex_);
      done_.wait(lock, [this] { return pending_.load(std::memory_order_acquire) == 0; });
    }
    if (error_) std::rethrow_exception(error_);
  }

  void serve(int thread) {
    unsigned seen = 0;
    for (;;) {
      if (!soon([&] { return generation_.load(std::memory_order_acquire) != seen; })) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_) return;
      attempt(thread);
      if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        const std::lock_guard lock(mutex_);
        done_.notify_one();
      }
    }
  }

  void attempt(int thread) {
    try {
      call_(work_, thread);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }

  /// Whether ready() within some hundreds of microseconds: first without a pause in looking, then giving way to whoever else wants
  /// the processor. A wake-up from sleep costs about 20 microseconds where the processor is free and far more where it is
  /// not; this bridges what a step does on one thread between two operations on all.
  template <class Ready>
  static bool soon(const Ready& ready) {
    for (int spin = 0; spin < spins; ++spin, pause())
      if (ready()) return true;
    for (int turn = 0; turn < turns; ++turn, std::this_thread::yield())
      if (ready()) return true;
    return ready();
  }
  static constexpr int spins = 2000, turns = 1000;

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<unsigned> generation_{0};
  std::atomic<int> pending_{0};
  bool stop_ = false;
  void* work_ = nullptr;
  Call call_ = nullptr;
  std::exception_ptr error_;
};

}  // namespace wu::cpu::inline WU_CPU_TARGET
