// One program of two parts that are compiled for different instruction sets, with EIGEN_MAX_ALIGN_BYTES the same for both.
#define BOOST_TEST_MODULE march
#include <boost/test/unit_test.hpp>

#include "march/parts.hpp"

BOOST_AUTO_TEST_CASE(both_parts_compute_what_the_reference_computes) {
  BOOST_TEST(baseline_target() != native_target());  // or this test shows nothing
  for (int again = 0; again < 2; ++again) {
    check_baseline();
    check_native();
  }
}
