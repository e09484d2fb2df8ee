// The memory of a device.
#include "support.hpp"

BOOST_AUTO_TEST_CASE(memory_in_use) {
  const wu::MemoryResource* const memory = memory_of(wu::test::gpu());
  constexpr std::size_t bytes = std::size_t{64} << 20;
  const auto before = wu::cuda::memory_use(0);
  BOOST_CHECK_GT(before.total, 0);
  BOOST_CHECK_LE(before.total, wu::cuda::describe_device(0).memory);
  BOOST_CHECK_LE(before.free, before.total);
  void* const block = memory->take(bytes);
  const auto during = wu::cuda::memory_use(0);
  memory->give_back(block);
  const auto after = wu::cuda::memory_use(0);
  BOOST_CHECK_GE(before.free - during.free, bytes);
  BOOST_CHECK_GE(after.free - during.free, bytes);
  BOOST_CHECK_THROW(wu::cuda::memory_use(1000), wu::Error);
}
