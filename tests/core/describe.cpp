// core/describe.hpp and core/text.hpp: numbers, tables, and types with and without a description of their own.
#include "wu/core/describe.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <limits>

namespace described {

using namespace wu;

/// A user's module with parameters and no more.
struct Pair {
  template <class T>
  struct Parameters {
    View<T, 3, 5> weight;
    std::array<View<T, 7>, 2> shift;
    constexpr void visit(auto&& at) { at("weight", weight), at("shift", shift); }
  };
};

/// One that says what it is, also for a batch.
struct Spoken : Pair {
  static std::string describe(Index batch = 1) { return "two shifts for " + text::counted(batch, "sample"); }
};

struct Plain {};

}  // namespace described

using namespace described;

BOOST_AUTO_TEST_SUITE(descriptions)

BOOST_AUTO_TEST_CASE(numbers) {
  BOOST_CHECK_EQUAL(text::grouped(0), "0");
  BOOST_CHECK_EQUAL(text::grouped(9999), "9999");
  BOOST_CHECK_EQUAL(text::grouped(10'000), "10 000");
  BOOST_CHECK_EQUAL(text::grouped(176'512), "176 512");
  BOOST_CHECK_EQUAL(text::grouped(1'000'000), "1 000 000");
  BOOST_CHECK_EQUAL(text::grouped(8'096'647'168), "8 096 647 168");
  BOOST_CHECK_EQUAL(text::counted(1, "head") + ", " + text::counted(2, "head"), "1 head, 2 heads");

  BOOST_CHECK_EQUAL(text::bytes(0), "0 B");
  BOOST_CHECK_EQUAL(text::bytes(640), "640 B");
  BOOST_CHECK_EQUAL(text::bytes(999), "999 B");
  BOOST_CHECK_EQUAL(text::bytes(1000), "1.00 kB");
  BOOST_CHECK_EQUAL(text::bytes(9994), "9.99 kB");
  BOOST_CHECK_EQUAL(text::bytes(9996), "10.0 kB");
  BOOST_CHECK_EQUAL(text::bytes(99'960), "100 kB");
  BOOST_CHECK_EQUAL(text::bytes(999'499), "999 kB");
  BOOST_CHECK_EQUAL(text::bytes(999'500), "1.00 MB");
  BOOST_CHECK_EQUAL(text::bytes(2 * std::size_t{8'096'647'168}), "16.2 GB");
  BOOST_CHECK_EQUAL(text::bytes(std::numeric_limits<std::size_t>::max()), "18.4 EB");
  BOOST_CHECK_EQUAL(text::operations(1.207e12), "1.21 TFLOP");
}

BOOST_AUTO_TEST_CASE(tables_count_characters_not_bytes) {
  BOOST_CHECK_EQUAL(text::table({{"a", "·", "1"}, {"bcd", "x", "20"}, {"e", ""}}, 2), "\n  a    ·   1\n  bcd  x  20\n  e");
  BOOST_CHECK_EQUAL(text::indented("a\nb\n"), "a\n  b\n  ");
}

BOOST_AUTO_TEST_CASE(views_tensors_and_scalars) {
  BOOST_CHECK_EQUAL((describe<View<float, dyn, 3>>()), "float (·, 3)");
  BOOST_CHECK_EQUAL((describe<View<const bfloat16, dyn, dyn, 12'000>>()), "const bfloat16 (·, ·, 12 000)");
  BOOST_CHECK_EQUAL((describe<Tensor<double, 4>>()), "double (4)");
  BOOST_CHECK_EQUAL((describe<View<std::int32_t>>()), "int32 ()");
  BOOST_CHECK_EQUAL((describe<Columns<const float, 3>>()), "const float (·, 3), columns of a wider matrix");
  BOOST_CHECK_EQUAL(describe<std::uint8_t>() + " " + describe<float>() + " " + describe<bool>(), "uint8 float bool");
  Tensor<float, dyn, 3> tensor(5);
  BOOST_CHECK_EQUAL(describe(tensor), "float (5, 3)");
  BOOST_CHECK_EQUAL(describe(tensor.view()), "float (5, 3)");
  BOOST_CHECK_EQUAL(describe(as_const(tensor.view())), "const float (5, 3)");
}

BOOST_AUTO_TEST_CASE(modules_of_a_user) {
  BOOST_CHECK_EQUAL(describe<Pair>(),
                    "described::Pair: 29 parameters in 3 tensors\n"
                    "  weight   (3, 5)  15\n"
                    "  shift.0  (7)      7\n"
                    "  shift.1  (7)      7");
  BOOST_CHECK_EQUAL(text::parts<Pair>(), "\n  weight  15  (3, 5)\n  shift   14   2 × 7");
  BOOST_CHECK_EQUAL(describe<Spoken>(), "two shifts for 1 sample");
  BOOST_CHECK_EQUAL(describe<Spoken>(3), "two shifts for 3 samples");
  BOOST_CHECK_EQUAL(describe<Plain>(), "described::Plain");
}

BOOST_AUTO_TEST_CASE(weights_count_their_padding_in_bytes) {
  using W = Weights<Spoken, double>;
  static_assert(W::count == 29 && W::extent == 96);
  BOOST_CHECK_EQUAL(describe<W>(), "29 parameters in double, 768 B, of\ntwo shifts for 1 sample");
  BOOST_CHECK_EQUAL(text::weights<Spoken>(), "29 parameters: 384 B in float, 192 B in bfloat16");
}

BOOST_AUTO_TEST_SUITE_END()
