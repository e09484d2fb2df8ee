// The graphs that cmake/cudnn_attention.hpp gives to cuDNN, for an H100 that need not be there.
#define BOOST_TEST_MODULE cudnn
#include <boost/test/unit_test.hpp>
