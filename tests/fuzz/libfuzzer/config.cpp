// libFuzzer's way in; scripts/fuzz.sh builds and runs it.
#include "fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wu::fuzz::config({reinterpret_cast<const char*>(data), size});
  return 0;
}
