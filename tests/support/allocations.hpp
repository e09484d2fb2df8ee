// Counts what is asked of the heap, by whomever: in a program that includes this in one of its files. With glibc and without
// sanitizers that is malloc and its like, which everything goes through; elsewhere operator new alone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace wu::test {
/// How often memory was asked for since the program began, on any thread.
inline std::atomic<std::size_t> allocations{0};
}  // namespace wu::test

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WU_TEST_OWN_MALLOC 0
#elif defined(__has_feature)
#define WU_TEST_OWN_MALLOC !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#else
#define WU_TEST_OWN_MALLOC 1
#endif

#if defined(__GLIBC__) && WU_TEST_OWN_MALLOC

extern "C" {
void* __libc_malloc(std::size_t);                 // NOLINT(bugprone-reserved-identifier): glibc's own
void* __libc_calloc(std::size_t, std::size_t);    // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void*, std::size_t);         // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(std::size_t, std::size_t);  // NOLINT(bugprone-reserved-identifier)

void* malloc(std::size_t bytes) noexcept { return ++wu::test::allocations, __libc_malloc(bytes); }
void* calloc(std::size_t count, std::size_t bytes) noexcept { return ++wu::test::allocations, __libc_calloc(count, bytes); }
void* realloc(void* old, std::size_t bytes) noexcept { return ++wu::test::allocations, __libc_realloc(old, bytes); }
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return ++wu::test::allocations, __libc_memalign(alignment, bytes);
}
}

#else

// NOLINTBEGIN(cppcoreguidelines-no-malloc)
void* operator new(std::size_t bytes) {
  ++wu::test::allocations;
  if (void* const memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  ++wu::test::allocations;
  const std::size_t to = static_cast<std::size_t>(alignment);
  if (void* const memory = std::aligned_alloc(to, (bytes / to + 1) * to)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
// NOLINTEND(cppcoreguidelines-no-malloc)

#endif
