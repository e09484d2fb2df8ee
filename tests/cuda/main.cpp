// wu/cuda against the reference. Linked to wu::cuda_on_host this runs everywhere; linked to wu::cuda it needs a GPU, and says so with
// the status that CTest takes for "skipped".
#define BOOST_TEST_MODULE cuda
#define BOOST_TEST_NO_MAIN
#ifdef WU_BOOST_HEADERS_ALONE  // the framework itself is compiled here
#include <boost/test/included/unit_test.hpp>
#else
#include <boost/test/unit_test.hpp>
#endif

#include <cstdio>

#include "wu/cuda/context.hpp"

int main(int argc, char** argv) {
  if (!wu::cuda::available()) {
    std::puts("skipped: no CUDA device");
    return 77;
  }
  return boost::unit_test::unit_test_main(init_unit_test, argc, argv);
}
