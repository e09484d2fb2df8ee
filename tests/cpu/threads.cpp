// cpu/threads.hpp and cpu/context.hpp. Checks are made by the caller alone: the parts only write down what they saw.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/resource.h>
#include <unistd.h>  // sysconf

#include <fstream>
#endif

#include "wu/cpu/context.hpp"

namespace {

using wu::Index, wu::cpu::Context, wu::cpu::Threads;

/// Who did each of 0 .. n-1, and how often: 1000 * times + thread.
std::vector<int> who_did(Threads& threads, Index n) {
  std::vector<std::atomic<int>> seen(static_cast<std::size_t>(n));
  threads.split(n, [&](int thread, Index begin, Index end) {
    for (Index k = begin; k < end; ++k) seen[static_cast<std::size_t>(k)] += 1000 + thread;
  });
  return {seen.begin(), seen.end()};
}

/// The sum of 0 .. n-1 through the pool.
Index sum(Threads& threads, Index n) {
  std::atomic<Index> total = 0;
  threads.split(n, [&](int, Index begin, Index end) {
    Index part = 0;
    for (Index k = begin; k < end; ++k) part += k;
    total += part;
  });
  return total;
}

}  // namespace

BOOST_AUTO_TEST_CASE(threads_do_every_index_exactly_once) {
  for (const int count : {1, 2, 3, 5}) {
    Threads threads(count);
    BOOST_REQUIRE_EQUAL(threads.count(), count);
    for (const Index n : {0, 1, 2, 3, 4, 5, 7, 100, 1001}) {
      const auto seen = who_did(threads, n);
      for (const int s : seen) {
        BOOST_REQUIRE_EQUAL(s / 1000, 1);
        BOOST_REQUIRE_LT(s % 1000, count);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(threads_split_evenly_in_order_and_always_alike) {
  Threads threads(3);
  const auto seen = who_did(threads, 100);
  std::vector<int> size(3);
  for (std::size_t k = 0; k < seen.size(); ++k) {
    ++size[static_cast<std::size_t>(seen[k] % 1000)];
    if (k > 0) BOOST_CHECK_LE(seen[k - 1], seen[k]);  // contiguous parts, lowest thread first
  }
  for (const int s : size) BOOST_CHECK(s == 33 || s == 34);
  for (int i = 0; i < 200; ++i) BOOST_REQUIRE(who_did(threads, 100) == seen);
  Threads others(3);
  BOOST_CHECK(who_did(others, 100) == seen);
}

BOOST_AUTO_TEST_CASE(threads_work_at_the_same_time) {
  Threads threads(2);
  std::atomic<int> there = 0;
  std::atomic<bool> met = true;
  threads.split(2, [&](int, Index, Index) {
    ++there;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (there < 2 && met) {
      if (std::chrono::steady_clock::now() > limit) met = false;
      std::this_thread::yield();
    }
  });
  BOOST_CHECK(met);
}

BOOST_AUTO_TEST_CASE(threads_run_thousands_of_times) {
  for (const int count : {2, 4}) {
    Threads threads(count);
    for (Index i = 0; i < 5000; ++i) BOOST_REQUIRE_EQUAL(sum(threads, i % 23), (i % 23) * (i % 23 - 1) / 2);
  }
}

BOOST_AUTO_TEST_CASE(threads_wake_after_a_rest) {
  Threads threads(3);
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(i % 3));  // longer than a worker looks for work before it sleeps
    BOOST_REQUIRE_EQUAL(sum(threads, 100), 4950);
  }
}

BOOST_AUTO_TEST_CASE(threads_pass_an_exception_on_and_work_afterwards) {
  for (const int count : {1, 2, 3}) {
    Threads threads(count);
    for (int i = 0; i < 100; ++i)
      for (int who = 0; who < count; ++who) {
        const auto fail = [&](int thread, Index, Index) {
          if (thread == who) throw std::runtime_error("part " + std::to_string(thread));
        };
        BOOST_REQUIRE_EXCEPTION(threads.split(10, fail), std::runtime_error,
                                [&](const auto& e) { return e.what() == "part " + std::to_string(who); });
        BOOST_REQUIRE_EQUAL(sum(threads, 10), 45);  // nothing of the old exception is left
      }
  }
}

BOOST_AUTO_TEST_CASE(threads_finish_every_part_before_an_exception_leaves) {
  Threads threads(3);
  for (int i = 0; i < 50; ++i) {
    std::atomic<int> finished = 0;
    const auto work = [&](int thread, Index, Index) {
      if (thread == 0) throw 7;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      ++finished;
    };
    BOOST_REQUIRE_THROW(threads.split(3, work), int);  // not only std::exception
    BOOST_REQUIRE_EQUAL(finished, 2);
  }
}

BOOST_AUTO_TEST_CASE(threads_throw_one_exception_when_all_parts_fail) {
  Threads threads(3);
  for (int i = 0; i < 100; ++i) {
    BOOST_REQUIRE_THROW(threads.split(3, [](int, Index, Index) { throw wu::Error("all"); }), wu::Error);
    BOOST_REQUIRE_EQUAL(sum(threads, 10), 45);
  }
}

BOOST_AUTO_TEST_CASE(threads_of_one_stay_with_the_caller) {
  for (const int count : {1, 0}) {
    Threads one(count);
    BOOST_CHECK_EQUAL(one.count(), 1);
    int calls = 0;
    const auto caller = std::this_thread::get_id();
    one.split(5, [&](int thread, Index begin, Index end) {
      ++calls;
      BOOST_CHECK(std::this_thread::get_id() == caller);
      BOOST_CHECK_EQUAL(thread, 0);
      BOOST_CHECK_EQUAL(begin, 0);
      BOOST_CHECK_EQUAL(end, 5);
    });
    BOOST_CHECK_EQUAL(calls, 1);
  }
}

BOOST_AUTO_TEST_CASE(threads_begin_and_end_without_work) {
  for (int i = 0; i < 50; ++i) Threads idle(4);
  Threads threads(4);
  bool called = false;
  threads.split(0, [&](int, Index, Index) { called = true; });
  BOOST_CHECK(!called);
}

BOOST_AUTO_TEST_CASE(several_pools_do_not_disturb_each_other) {
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 3; ++i)
    callers.emplace_back([&] {
      Threads threads(2);
      for (int k = 0; k < 500; ++k) wrong += sum(threads, 50) == 1225 ? 0 : 1;
    });
  for (std::thread& caller : callers) caller.join();
  BOOST_CHECK_EQUAL(wrong, 0);
}

BOOST_AUTO_TEST_CASE(context_splits_only_what_is_worth_it) {
  Context ctx({.threads = 2});
  BOOST_CHECK_EQUAL(ctx.threads(), 2);
  auto parts = [&](Index n, Index work) {
    std::atomic<int> calls = 0;
    std::atomic<Index> values = 0;
    ctx.split(n, work, [&](int, Index begin, Index end) { ++calls, values += end - begin; });
    BOOST_CHECK_EQUAL(values, n);
    return calls.load();
  };
  BOOST_CHECK_EQUAL(parts(0, 1 << 20), 0);
  BOOST_CHECK_EQUAL(parts(100, 1), 1);
  BOOST_CHECK_EQUAL(parts(32767, 1), 1);
  BOOST_CHECK_EQUAL(parts(32768, 1), 2);
  BOOST_CHECK_EQUAL(parts(2, 16384), 2);
  BOOST_CHECK_EQUAL(parts(2, wu::cpu::product_work(16384)),
                    1);  // a multiply-add of a product is a fraction of a value's loop
  BOOST_CHECK_EQUAL(parts(2, wu::cpu::product_work(4 * 16384)), 2);
}

BOOST_AUTO_TEST_CASE(context_has_a_thread_however_it_is_made) {
  BOOST_CHECK_GE(Context().threads(), 1);
  BOOST_CHECK_EQUAL(Context({.threads = 1}).threads(), 1);
  BOOST_CHECK_EXCEPTION(Context({.threads = -1}), wu::Error, [](const wu::Error& e) {
    return std::string_view(e.what()) == "cpu: expected a number of threads from 0 on, found -1";
  });
  Context from({.threads = 3});
  Context to(std::move(from));  // it moves, its pool stays where it was
  std::atomic<Index> values = 0;
  to.split(40000, 1, [&](int, Index begin, Index end) { values += end - begin; });
  BOOST_CHECK_EQUAL(values, 40000);
}

BOOST_AUTO_TEST_CASE(context_scratch_grows_and_stays) {
  Context ctx({.threads = 1});
  double* const large = ctx.scratch<double>(1000);
  BOOST_CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(large) % wu::alignment, 0u);
  large[999] = 1;
  BOOST_CHECK(ctx.scratch<double>(1000) == large);
  BOOST_CHECK(static_cast<void*>(ctx.scratch<float>(7)) == large);
  Context to(std::move(ctx));
  BOOST_CHECK(to.scratch<double>(1000) == large);
  // NOLINTNEXTLINE(bugprone-use-after-move): what was moved from holds nothing and asks for memory again
  ctx.scratch<double>(5)[4] = 1;
  to.scratch<double>(100000)[99999] = 1;
}

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // sanitizers reserve more than the limit
BOOST_AUTO_TEST_CASE(threads_that_the_system_does_not_give_are_an_error_and_no_wait) {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  rlimit tight = before;
  tight.rlim_cur =
      pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (rlim_t{128} << 20);  // some threads' stacks, not a thousand's
  setrlimit(RLIMIT_AS, &tight);
  std::string found;
  try {
    Threads threads(1000);
  } catch (const wu::Error& e) { found = e.what(); }
  setrlimit(RLIMIT_AS, &before);
  BOOST_CHECK_MESSAGE(found.starts_with("threads: expected 1000, but the system gave only "), "found: " << found);
  Threads threads(3);
  BOOST_CHECK_EQUAL(sum(threads, 100), 4950);
}
#endif
