#define BOOST_TEST_MODULE arrays
#include <boost/test/unit_test.hpp>
