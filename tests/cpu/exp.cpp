// cpu/exp.hpp against the functions of the standard library in a wider type.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>

#include "wu/cpu/exp.hpp"

namespace {

using wu::Index;

/// In all lanes of a register of W; the last of them.
template <class T, Index W>
T exp_of(T x) {
  return wu::cpu::detail::exp_lanes<T, W>(x - typename wu::cpu::detail::Lanes<T, W>::type{})[W - 1];
}
template <class T, Index W>
T exp2_of(T x) {
  return wu::cpu::detail::exp2_lanes<T, W>(x - typename wu::cpu::detail::Lanes<T, W>::type{})[W - 1];
}

/// Error in units of the last place.
template <class T>
double units_off(T found, long double expected) {
  int exponent = 0;
  std::frexp(expected, &exponent);
  return static_cast<double>(std::abs(static_cast<long double>(found) - expected) /
                             std::ldexp(1.0L, exponent - std::numeric_limits<T>::digits));
}

template <class T, Index W>
void check(T lowest, T highest) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  double worst = 0, worst2 = 0;
  for (int k = 0; k <= 40000; ++k) {
    const T share = static_cast<T>(k) / 40000, wide = lowest + share * (highest - lowest), x = k % 2 == 0 ? wide : wide / 64;
    worst = std::max(worst, units_off(exp_of<T, W>(x), std::exp(static_cast<long double>(x))));
    worst2 = std::max(worst2, units_off(exp2_of<T, W>(x), std::exp2(static_cast<long double>(x))));
  }
  BOOST_CHECK_LE(worst, 2.5);
  BOOST_CHECK_LE(worst2, 2.5);
  for (const auto function : {exp_of<T, W>, exp2_of<T, W>}) {
    BOOST_CHECK_EQUAL(function(T(0)), T(1));
    BOOST_CHECK_EQUAL(function(-infinity), T(0));
    BOOST_CHECK_EQUAL(function(std::numeric_limits<T>::lowest()), T(0));
    BOOST_CHECK_EQUAL(function(infinity), infinity);
    BOOST_CHECK_EQUAL(function(std::numeric_limits<T>::max()), infinity);
    BOOST_CHECK(std::isnan(function(std::numeric_limits<T>::quiet_NaN())));
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(exponentials_in_registers) {
  check<float, wu::cpu::detail::lanes<float>>(-87, 88);
  check<double, wu::cpu::detail::lanes<double>>(-708, 709);
  check<float, 2>(-87, 88);  // narrower than any register: written without its instructions
  check<double, 2>(-708, 709);
}
