// core/view.hpp.
#include <boost/test/unit_test.hpp>

#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#include "wu/core/view.hpp"

namespace {

using wu::Columns, wu::Index, wu::View, wu::dyn;

// What stands in the type.
static_assert(View<float, 2, 3, 5>::rank == 3);
static_assert(View<float, 2, 3, 5>::width == 5);
static_assert(View<float, 2, 3, 5>::fixed_size == 30);
static_assert(View<float, 2, 3, 5>::dynamic_count == 0);
static_assert(View<float, dyn, 3, dyn, 5>::dynamic_count == 2);
static_assert(View<float, dyn, 3, dyn, 5>::fixed_size == 15);
static_assert(View<float>::rank == 0 && View<float>::width == 1);
static_assert(sizeof(View<float, 2, 3>) <= 2 * sizeof(float*));

// Writable turns into read-only, never back; the extents never change on the way.
static_assert(std::is_convertible_v<View<float, dyn, 3>, View<const float, dyn, 3>>);
static_assert(!std::is_convertible_v<View<const float, dyn, 3>, View<float, dyn, 3>>);
static_assert(!std::is_convertible_v<View<float, dyn, 3>, View<const float, dyn, 5>>);
static_assert(!std::is_convertible_v<View<float, 2, 3>, View<float, 3, 2>>);
static_assert(!std::is_convertible_v<View<float, dyn, 3>, View<const double, dyn, 3>>);
static_assert(std::is_same_v<View<const float, 3>::value_type, float> &&
              std::is_same_v<View<const float, 3>::element_type, const float>);
static_assert(std::is_same_v<decltype(View<const float, 3>().begin()), const float*>);
static_assert(std::is_convertible_v<Columns<float, 3>, Columns<const float, 3>>);
static_assert(!std::is_convertible_v<Columns<const float, 3>, Columns<float, 3>>);
static_assert(std::is_convertible_v<View<float, dyn, 2, 3>, Columns<const float, 3>>);
static_assert(!std::is_convertible_v<View<const float, dyn, 3>, Columns<float, 3>>);
static_assert(!std::is_convertible_v<View<float, dyn, 3>, Columns<float, 5>>);

// One run-time extent for every wu::dyn; a pointer alone does not become a view by accident.
static_assert(std::is_constructible_v<View<float, dyn, 3, dyn>, float*, int, Index>);
static_assert(!std::is_convertible_v<float*, View<float, 3>>);

// Rows can only be counted off where their width is known.
template <class V>
concept HasRows = requires(V v) { v.row(0); };
template <class V>
concept Flattens = requires(V v) { v.flat(); };
static_assert(HasRows<View<float, dyn, 3>> && !HasRows<View<float, dyn>> && !HasRows<View<float, 3, dyn>>);
static_assert(Flattens<View<float, dyn, 2, 3>> && !Flattens<View<float, 3, dyn>>);

std::vector<double> count_to(std::size_t n) {
  std::vector<double> values(n);
  std::iota(values.begin(), values.end(), 0.0);
  return values;
}

auto says(std::string sentence) {
  return [sentence](const wu::Error& e) { return sentence == e.what(); };
}

}  // namespace

BOOST_AUTO_TEST_CASE(view_extents) {
  const View<double, 2, dyn, 3, dyn> v(nullptr, 5, 7);
  BOOST_CHECK_EQUAL(v.extent(0), 2);
  BOOST_CHECK_EQUAL(v.extent(1), 5);
  BOOST_CHECK_EQUAL(v.extent(2), 3);
  BOOST_CHECK_EQUAL(v.extent(3), 7);
  BOOST_CHECK_EQUAL(v.size(), 2 * 5 * 3 * 7);
  BOOST_CHECK_EQUAL(v.rows(), 2 * 5 * 3);
  BOOST_CHECK_EQUAL((View<double, 7>().rows()), 1);
  BOOST_CHECK_EQUAL((View<double, dyn, 7>(nullptr, 0).size()), 0);
  BOOST_CHECK_EQUAL(View<double>().size(), 1);
}

BOOST_AUTO_TEST_CASE(view_begins_empty) {
  const View<double, dyn, 7> v;
  BOOST_CHECK(v.data == nullptr);
  BOOST_CHECK_EQUAL(v.rows(), 0);
  BOOST_CHECK(v.begin() == v.end());
}

BOOST_AUTO_TEST_CASE(view_is_row_major) {
  auto memory = count_to(2 * 3 * 5);
  const View<double, dyn, 3, 5> v(memory.data(), 2);
  for (Index i = 0; i < 2; ++i)
    for (Index j = 0; j < 3; ++j)
      for (Index k = 0; k < 5; ++k) {
        const auto expected = static_cast<double>((i * 3 + j) * 5 + k);
        BOOST_CHECK_EQUAL(v[(i * 3 + j) * 5 + k], expected);
        BOOST_CHECK_EQUAL(v.row(i * 3 + j)[k], expected);
      }
  BOOST_CHECK_EQUAL(v.end() - v.begin(), v.size());
  v[7] = -1;
  BOOST_CHECK_EQUAL(memory[7], -1);
}

BOOST_AUTO_TEST_CASE(view_const_conversion_keeps_memory_and_extents) {
  auto memory = count_to(30);
  const View<double, dyn, 3, dyn> v(memory.data(), 2, 5);
  const View<const double, dyn, 3, dyn> c = v;
  BOOST_CHECK(c.data == v.data);
  BOOST_CHECK(c.dynamic == v.dynamic);
  const auto d = as_const(v);
  static_assert(std::is_same_v<decltype(d), const View<const double, dyn, 3, dyn>>);
  BOOST_CHECK(d.data == v.data && d.dynamic == v.dynamic);
}

BOOST_AUTO_TEST_CASE(view_flat_joins_all_axes_but_the_last) {
  auto memory = count_to(2 * 3 * 5 * 7);
  const View<double, dyn, 3, dyn, 7> v(memory.data(), 2, 5);
  const auto f = v.flat();
  static_assert(std::is_same_v<decltype(f), const View<double, dyn, 7>>);
  BOOST_CHECK(f.data == memory.data());
  BOOST_CHECK_EQUAL(f.rows(), 30);
  BOOST_CHECK_EQUAL(f.size(), v.size());
  BOOST_CHECK_EQUAL((View<double, 7>(memory.data()).flat().rows()), 1);
}

BOOST_AUTO_TEST_CASE(view_reshaping_reads_the_same_values) {
  auto memory = count_to(2 * 3 * 5);
  const View<double, dyn, 5> rows(memory.data(), 6);
  const View<double, 2, 3, 5> cube(rows.data);
  for (Index k = 0; k < rows.size(); ++k) BOOST_CHECK_EQUAL(rows[k], cube[k]);
  for (Index r = 0; r < 6; ++r) BOOST_CHECK(rows.row(r) == cube.row(r));
}

BOOST_AUTO_TEST_CASE(columns_cut_slices_out_of_a_joint_projection) {
  auto memory = count_to(2 * 3 * 7);
  const View<double, dyn, 3, 7> all(memory.data(), 2);
  const auto left = wu::columns<0, 2>(all);
  const auto right = wu::columns<2, 5>(all);
  static_assert(std::is_same_v<decltype(right), const Columns<double, 5>>);
  BOOST_CHECK_EQUAL(right.rows(), 6);
  BOOST_CHECK_EQUAL(right.size(), 30);
  BOOST_CHECK_EQUAL(right.stride, 7);
  for (Index r = 0; r < 6; ++r) {
    for (Index c = 0; c < 2; ++c) BOOST_CHECK_EQUAL(left.row(r)[c], static_cast<double>(7 * r + c));
    for (Index c = 0; c < 5; ++c) BOOST_CHECK_EQUAL(right.row(r)[c], static_cast<double>(7 * r + 2 + c));
  }
  const Columns<const double, 5> frozen = right;
  BOOST_CHECK(frozen.data == right.data && frozen.count == right.count && frozen.stride == right.stride);
}

BOOST_AUTO_TEST_CASE(columns_of_a_whole_view_are_its_rows) {
  auto memory = count_to(2 * 3 * 5);
  const View<double, 2, dyn, 5> all(memory.data(), 3);
  const Columns<const double, 5> c = all;
  BOOST_CHECK_EQUAL(c.rows(), 6);
  for (Index r = 0; r < 6; ++r) BOOST_CHECK(c.row(r) == all.row(r));
}

BOOST_AUTO_TEST_CASE(columns_of_a_null_view_are_null) {
  BOOST_CHECK((wu::columns<3, 2>(View<double, dyn, 7>()).data == nullptr));
}

BOOST_AUTO_TEST_CASE(check_rows_says_who_expected_what) {
  const View<double, dyn, 3> five(nullptr, 5);
  const View<double, 5, 7> also_five;
  const Columns<double, 2> four(nullptr, 4, 7);
  wu::check_rows("test", five, also_five);
  BOOST_CHECK_EXCEPTION(wu::check_rows("test", five, also_five, four), wu::ShapeError,
                        says("test: expected 5 rows, found 4"));
  BOOST_CHECK_EXCEPTION(wu::check_rows("test", four, five), wu::ShapeError, says("test: expected 4 rows, found 5"));
}
