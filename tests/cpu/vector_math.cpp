// Functions of whole arrays: a value's result has the same bits wherever in an array it stands. (Their values: tests/ops.)
#include <boost/test/unit_test.hpp>

#include <vector>

#include "support/gradient_check.hpp"
#include "wu/cpu/vector_math.hpp"

using wu::Index;

namespace {

constexpr Index count = 37;

template <class T>
std::vector<T> values(const char* purpose) {
  const auto random = wu::test::random_values(count, purpose);
  return {random.begin(), random.end()};
}

/// All results for the values from `first` on, with `skip` unused values before each array.
template <class T>
std::vector<std::vector<T>> results(Index first, Index skip) {
  using Math = wu::cpu::kernel::VectorMath<T>;
  const Index n = count - first;
  const auto part = [&](const char* purpose) {
    const auto all = values<T>(purpose);
    std::vector<T> placed(static_cast<std::size_t>(skip), T(7));
    placed.insert(placed.end(), all.begin() + first, all.end());
    return placed;
  };
  const auto x = part("x"), dy = part("dy");
  std::vector<std::vector<T>> y(8, part("before"));
  for (T& square : y[6]) square *= square;
  Math::silu(y[0].data() + skip, x.data() + skip, n);
  Math::silu_backward(y[1].data() + skip, dy.data() + skip, x.data() + skip, n);
  Math::gelu(y[2].data() + skip, x.data() + skip, n);
  Math::gelu_backward(y[3].data() + skip, dy.data() + skip, x.data() + skip, n);
  const wu::AdamW rule{.weight_decay = 0.1, .gradient_scale = 0.5, .average_decay = 0.9};
  Math::adamw(y[4].data() + skip, y[5].data() + skip, y[6].data() + skip, y[7].data() + skip, dy.data() + skip, n,
              wu::detail::AdamWConstants<T>(rule, 2));
  for (auto& result : y) result.erase(result.begin(), result.begin() + skip);
  return y;
}

template <class T>
void check_places() {
  const auto all = results<T>(0, 0);
  for (Index first = 0; first < count; ++first)
    for (const Index skip : {Index{0}, Index{1}, Index{5}}) {
      const auto part = results<T>(first, skip);
      for (std::size_t k = 0; k < all.size(); ++k)
        BOOST_TEST(std::vector<T>(all[k].begin() + first, all[k].end()) == part[k],
                   "result " << k << " from value " << first << ", " << skip << " values into the memory");
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_value_s_result_does_not_depend_on_its_place_in_float) { check_places<float>(); }
BOOST_AUTO_TEST_CASE(a_value_s_result_does_not_depend_on_its_place_in_double) { check_places<double>(); }
