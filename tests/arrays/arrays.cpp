// Arrays of xtensor and tensors of wu: which share memory, which are copies, and what is refused.
#include "wu/io/arrays.hpp"

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>
#include <string>

#include <xtensor/xbroadcast.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xview.hpp>

#include "io/support.hpp"
#include "wu/io/npy.hpp"

namespace {

using namespace wu;
using namespace wu::io;
using test::contains, test::error_of;

template <class T, Index... E>
void count_up(const View<T, E...>& view) {
  for (Index k = 0; k < view.size(); ++k) view[k] = static_cast<T>(static_cast<float>(k));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(arrays)

BOOST_AUTO_TEST_CASE(a_tensor_and_its_array_are_the_same_memory) {
  Tensor<float, dyn, 3, dyn> tensor(5, 7);
  count_up(tensor.view());
  auto array = as_xtensor(tensor);
  static_assert(xt::get_rank<decltype(array)>::value == 3);
  BOOST_CHECK(array.shape() == (std::array<std::size_t, 3>{5, 3, 7}));
  BOOST_CHECK_EQUAL(array(4, 2, 6), 104);
  array(1, 2, 3) = -1;
  BOOST_CHECK_EQUAL(tensor[(1 * 3 + 2) * 7 + 3], -1);
  tensor[0] = 9;
  BOOST_CHECK_EQUAL(array(0, 0, 0), 9);
  array = xt::zeros_like(array);
  for (const float v : tensor.span()) BOOST_CHECK_EQUAL(v, 0);
  auto copied = array;  // a copy of the handle, not of the memory
  copied(0, 0, 1) = 2;
  BOOST_CHECK_EQUAL(tensor[1], 2);
}

BOOST_AUTO_TEST_CASE(extents_in_the_type_stay_there) {
  Tensor<double, 3, 5> tensor;
  count_up(tensor.view());
  auto array = as_xtensor(tensor.view());
  static_assert(std::is_same_v<decltype(array)::shape_type, xt::fixed_shape<3, 5>>);
  array(2, 4) = 100;
  BOOST_CHECK_EQUAL(tensor[14], 100);
  BOOST_CHECK_EQUAL(xt::sum(array)(), 14 * 13 / 2 + 100);
}

BOOST_AUTO_TEST_CASE(what_is_const_cannot_be_written) {
  Tensor<float, dyn, 3> tensor(2);
  const Tensor<float, dyn, 3>& frozen = tensor;
  auto array = as_xtensor(frozen);
  static_assert(std::is_same_v<decltype(array(0, 0)), const float&>);
  auto fixed = as_xtensor(View<const float, 2, 3>(tensor.data()));
  static_assert(std::is_same_v<decltype(fixed(0, 0)), const float&>);
  auto columns = as_xtensor(wu::columns<1, 2>(frozen.view()));
  static_assert(std::is_same_v<decltype(columns(0, 0)), const float&>);
  tensor[4] = 7;
  BOOST_CHECK_EQUAL(array(1, 1), 7);
  BOOST_CHECK_EQUAL(fixed(1, 1), 7);
  BOOST_CHECK_EQUAL(columns(1, 0), 7);
}

BOOST_AUTO_TEST_CASE(columns_are_strided_views) {
  Tensor<float, dyn, 7> joint(5);
  count_up(joint.view());
  auto middle = as_xtensor(columns<2, 3>(joint.view()));
  BOOST_CHECK(middle.shape() == (std::array<std::size_t, 2>{5, 3}));
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t c = 0; c < 3; ++c) BOOST_CHECK_EQUAL(middle(r, c), static_cast<float>(7 * r + 2 + c));
  middle += 100.0f;
  BOOST_CHECK_EQUAL(joint[2], 102);
  BOOST_CHECK_EQUAL(joint[1], 1);
  BOOST_CHECK_EQUAL(joint[5], 5);
  BOOST_CHECK_EQUAL(joint[4 * 7 + 4], 4 * 7 + 4 + 100);

  auto again = middle;
  again(1, 0) = -5;
  BOOST_CHECK_EQUAL(joint[7 + 2], -5);
  again(1, 0) = 7 + 2 + 100;

  const auto back = to_tensor<Tensor<float, dyn, 3>>(middle);
  BOOST_CHECK_EQUAL(back[4], 7 + 3 + 100);
  BOOST_CHECK(to_xtensor(columns<2, 3>(joint.view())) == middle);

  Tensor<float, 1, 7> row;  // one row, which xtensor may repeat
  count_up(row.view());
  const xt::xtensor<float, 2> sum = as_xtensor(columns<3, 2>(row.view())) + xt::zeros<float>({4, 2});
  BOOST_CHECK_EQUAL(sum(3, 1), 4);
  BOOST_CHECK_EQUAL(as_xtensor(Columns<float, 3>()).size(), 0u);
}

BOOST_AUTO_TEST_CASE(arrays_in_rows_are_views) {
  xt::xtensor<float, 2> tensor = xt::arange<float>(15).reshape({5, 3});
  const auto view = as_view<View<float, dyn, 3>>(tensor);
  BOOST_CHECK_EQUAL(view.extent(0), 5);
  view[14] = -1;
  BOOST_CHECK_EQUAL(tensor(4, 2), -1);
  tensor(0, 1) = 8;
  BOOST_CHECK_EQUAL(view[1], 8);

  xt::xarray<double> array = xt::ones<double>({2, 1, 3});
  array(1, 0, 2) = 5;
  BOOST_CHECK_EQUAL((as_view<View<double, 2, 1, 3>>(array)[5]), 5);
  const xt::xarray<double>& frozen = array;
  const auto read = as_view<View<const double, dyn, dyn, dyn>>(frozen);
  BOOST_CHECK_EQUAL(read.data, array.data());
  BOOST_CHECK_EQUAL((as_view<View<const double, dyn, 1, 3>>(array).data), array.data());

  xt::xtensor_fixed<float, xt::xshape<3, 2>> fixed = xt::ones<float>({3, 2});
  as_view<View<float, 3, 2>>(fixed)[5] = 4;
  BOOST_CHECK_EQUAL(fixed(2, 1), 4);
  BOOST_CHECK_EQUAL((as_view<View<float, dyn, 2>>(fixed).extent(0)), 3);

  auto rows = xt::view(tensor, xt::range(1, 4));
  const auto some = as_view<View<float, dyn, 3>>(rows);
  BOOST_CHECK_EQUAL(some.extent(0), 3);
  BOOST_CHECK_EQUAL(some.data, tensor.data() + 3);
  auto one = xt::strided_view(tensor, {2, xt::all()});
  BOOST_CHECK_EQUAL((as_view<View<float, 3>>(one).data), tensor.data() + 6);

  Tensor<float, dyn, 4> own(3);
  auto adapted = as_xtensor(own);
  BOOST_CHECK_EQUAL((as_view<View<float, dyn, 4>>(adapted).data), own.data());
  xt::xtensor<float, 2> none = xt::zeros<float>({0, 3});
  BOOST_CHECK_EQUAL((as_view<View<float, dyn, 3>>(none).size()), 0);
}

BOOST_AUTO_TEST_CASE(other_layouts_are_refused_and_copied) {
  xt::xtensor<float, 2> a = xt::arange<float>(15).reshape({5, 3});
  auto turned = xt::transpose(a);
  BOOST_CHECK_EQUAL(error_of<ShapeError>([&] { as_view<View<const float, dyn, dyn>>(turned); }),
                    "as_view: expected values in rows, one after the other, with strides [5, 1], found strides [1, 3]; "
                    "to_tensor copies them into rows");
  auto part = xt::view(a, xt::all(), xt::range(0, 2));
  BOOST_CHECK(contains(error_of<ShapeError>([&] { as_view<View<float, dyn, 2>>(part); }), "found strides [3, 1]"));
  auto backwards = xt::view(a, xt::range(4, 0, -1));
  BOOST_CHECK(contains(error_of<ShapeError>([&] { as_view<View<float, dyn, 3>>(backwards); }), "found strides [-3, 1]"));
  xt::xtensor<float, 2, xt::layout_type::column_major> tall = a;
  BOOST_CHECK(contains(error_of<ShapeError>([&] { as_view<View<float, dyn, 3>>(tall); }), "found strides [1, 5]"));

  const auto check = [&](const auto& tensor, auto&& at) {
    for (Index i = 0; i < tensor.view().extent(0); ++i)
      for (Index j = 0; j < tensor.view().extent(1); ++j)
        BOOST_CHECK_EQUAL(tensor[i * tensor.view().extent(1) + j],
                          at(static_cast<std::size_t>(i), static_cast<std::size_t>(j)));
  };
  check(to_tensor<Tensor<float, 3, dyn>>(turned), [&](auto i, auto j) { return a(j, i); });
  check(to_tensor<Tensor<float, dyn, 2>>(part), [&](auto i, auto j) { return a(i, j); });
  check(to_tensor<Tensor<float, dyn, 3>>(backwards), [&](auto i, auto j) { return a(4 - i, j); });
  check(to_tensor<Tensor<float, 5, 3>>(tall), [&](auto i, auto j) { return a(i, j); });
  check(to_tensor<Tensor<double, dyn, dyn>>(2 * a + 1), [&](auto i, auto j) { return 2 * a(i, j) + 1; });
  check(to_tensor<Tensor<float, 4, 3>>(xt::broadcast(xt::view(a, 1), {4, 3})), [&](auto, auto j) { return a(1, j); });
  xt::xarray<int> counts{{1, 2}, {3, 4}};
  check(to_tensor<Tensor<float, dyn, 2>>(counts), [&](auto i, auto j) { return counts(i, j); });
  check(to_tensor<Tensor<int, 2, 2>>(counts), [&](auto i, auto j) { return counts(i, j); });
}

BOOST_AUTO_TEST_CASE(other_extents_are_refused_by_axis) {
  xt::xtensor<float, 2> a = xt::zeros<float>({5, 3});
  BOOST_CHECK_EQUAL(error_of<ShapeError>([&] { as_view<View<float, dyn, 4>>(a); }),
                    "as_view: expected shape [any, 4], found [5, 3]: 4 along axis 1, not 3");
  BOOST_CHECK_EQUAL(error_of<ShapeError>([&] { to_tensor<Tensor<float, 6, dyn>>(a + 1); }),
                    "to_tensor: expected shape [6, any], found [5, 3]: 6 along axis 0, not 5");
  xt::xarray<float> any = a;
  BOOST_CHECK_EQUAL(error_of<ShapeError>([&] { to_tensor<Tensor<float, dyn>>(any); }),
                    "to_tensor: expected shape [any], found [5, 3]: 1 axis, not 2");
  BOOST_CHECK_EQUAL(error_of<Error>([] { as_xtensor(View<float, dyn, 3>(nullptr, 2)); }),
                    "as_xtensor: expected memory under a view of 6 values, found a null view");
  BOOST_CHECK_EQUAL(error_of<Error>([] { to_xtensor(View<float, dyn, 3>(nullptr, 2)); }),
                    "to_xtensor: expected memory under a view of 6 values, found a null view");
}

BOOST_AUTO_TEST_CASE(values_are_converted) {
  xt::xtensor<double, 1> a{1.0 / 3, -0x1p-160, std::numeric_limits<double>::infinity(), std::nan("")};
  const auto f = to_tensor<Tensor<float, 4>>(a);
  BOOST_CHECK_EQUAL(f[0], 1.0f / 3);
  BOOST_CHECK(std::signbit(f[1]) && f[1] == 0 && std::isinf(f[2]) && std::isnan(f[3]));
  a(0) = 1e300;
  BOOST_CHECK_EQUAL(error_of<Error>([&] { to_tensor<Tensor<float, 4>>(a); }),
                    "to_tensor: expected values that F32 can hold, found one beyond its range at [0]");

  xt::xtensor<float, 2> b{{1, 1.01f, -2.5f}};
  const auto half = to_tensor<Tensor<bfloat16, dyn, 3>>(b);
  BOOST_CHECK_EQUAL(half[1].bits, bfloat16(1.01f).bits);
  const auto back = to_xtensor(half);
  static_assert(std::is_same_v<decltype(back)::value_type, float>);
  BOOST_CHECK_EQUAL(back(0, 1), static_cast<float>(bfloat16(1.01f)));
  BOOST_CHECK_EQUAL(to_xtensor(columns<1, 2>(half.view()))(0, 1), -2.5f);
}

BOOST_AUTO_TEST_CASE(an_array_that_numpy_wrote) {
  const auto tensor = load_npy<Tensor<float, dyn, 3>>(std::string(WU_TEST_DATA) + "/npy/rows_f4.npy");
  const xt::xtensor<float, 2> expected = xt::arange<float>(12).reshape({4, 3}) / 4;
  BOOST_CHECK(as_xtensor(tensor) == expected);
  const test::Folder folder;
  save_npy(folder / "turned.npy", to_tensor<Tensor<float, dyn, dyn>>(xt::transpose(as_xtensor(tensor))));
  BOOST_CHECK_EQUAL((load_npy<Tensor<float, 3, 4>>(folder / "turned.npy")[4 + 1]), 4 / 4.0f);
}

BOOST_AUTO_TEST_SUITE_END()
