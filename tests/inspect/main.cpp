#define BOOST_TEST_MODULE inspect
#include <boost/test/unit_test.hpp>
