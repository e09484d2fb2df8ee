#define BOOST_TEST_MODULE condition
#include <boost/test/unit_test.hpp>
