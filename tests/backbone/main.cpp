#define BOOST_TEST_MODULE backbone
#include <boost/test/unit_test.hpp>
