// core/buffer.hpp.
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "wu/core/buffer.hpp"
#include "wu/core/dtype.hpp"

namespace {

using wu::Buffer, wu::Index, wu::Tensor, wu::View, wu::dyn;

// Large memory is never copied by accident.
static_assert(!std::is_copy_constructible_v<Buffer<float>> && !std::is_copy_assignable_v<Buffer<float>>);
static_assert(std::is_nothrow_move_constructible_v<Buffer<float>> && std::is_nothrow_move_assignable_v<Buffer<float>>);
static_assert(!std::is_convertible_v<Index, Buffer<float>>);

// A const owner hands out read-only views.
static_assert(std::is_same_v<decltype(std::declval<Tensor<float, dyn, 3>&>().view()), View<float, dyn, 3>>);
static_assert(std::is_same_v<decltype(std::declval<const Tensor<float, dyn, 3>&>().view()), View<const float, dyn, 3>>);
static_assert(!std::is_convertible_v<const Tensor<float, dyn, 3>&, View<float, dyn, 3>>);
static_assert(std::is_same_v<decltype(std::declval<const Buffer<float>&>().data()), const float*>);

// One size for every wu::dyn.
static_assert(std::is_constructible_v<Tensor<float, dyn, 3, dyn>, int, Index>);

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % wu::alignment == 0; }

}  // namespace

BOOST_AUTO_TEST_CASE(buffer_is_aligned_and_zero) {
  for (const Index n : {0, 1, 7, 63, 4097}) {
    const Buffer<double> b(n);
    BOOST_CHECK_EQUAL(b.size(), n);
    BOOST_CHECK(aligned(b.data()));
    BOOST_CHECK_EQUAL(b.span().size(), static_cast<std::size_t>(n));
    for (const double v : b.span()) BOOST_REQUIRE_EQUAL(v, 0);
  }
  const Buffer<wu::bfloat16> half(33);
  BOOST_CHECK(aligned(half.data()));
  for (const wu::bfloat16 v : half.span()) BOOST_REQUIRE_EQUAL(v.bits, 0);
}

BOOST_AUTO_TEST_CASE(buffer_clone_is_another_memory) {
  Buffer<float> a(5);
  for (Index k = 0; k < 5; ++k) a[k] = static_cast<float>(k) + 0.5f;
  const Buffer<float> b = a.clone();
  a[3] = -1;
  BOOST_CHECK(a.data() != b.data());
  BOOST_CHECK_EQUAL(b.size(), 5);
  for (Index k = 0; k < 5; ++k) BOOST_CHECK_EQUAL(b[k], static_cast<float>(k) + 0.5f);
}

BOOST_AUTO_TEST_CASE(buffer_moves_and_leaves_nothing_behind) {
  Buffer<float> a(5);
  a[2] = 7;
  const float* const memory = a.data();
  Buffer<float> b(std::move(a));
  BOOST_CHECK(b.data() == memory);
  BOOST_CHECK_EQUAL(b.size(), 5);
  BOOST_CHECK(a.data() == nullptr);  // NOLINT(bugprone-use-after-move): it holds nothing
  BOOST_CHECK_EQUAL(a.size(), 0);    // or span() would reach through a null pointer
  BOOST_CHECK(a.span().empty());
  Buffer<float> c(3);
  c = std::move(b);
  BOOST_CHECK(c.data() == memory);
  BOOST_CHECK_EQUAL(c[2], 7);
  BOOST_CHECK_EQUAL(b.size(), 0);  // NOLINT(bugprone-use-after-move): it holds nothing
}

BOOST_AUTO_TEST_CASE(buffer_without_values) {
  const Buffer<float> none;
  BOOST_CHECK(none.data() == nullptr);
  BOOST_CHECK_EQUAL(none.size(), 0);
  BOOST_CHECK_EQUAL(none.clone().size(), 0);
}

BOOST_AUTO_TEST_CASE(tensor_has_extents_and_owns) {
  Tensor<double, dyn, 3, dyn> t(2, 5);
  BOOST_CHECK_EQUAL(t.size(), 30);
  BOOST_CHECK(aligned(t.data()));
  for (const double v : t.span()) BOOST_REQUIRE_EQUAL(v, 0);
  const auto v = t.view();
  BOOST_CHECK_EQUAL(v.extent(0), 2);
  BOOST_CHECK_EQUAL(v.extent(2), 5);
  v[17] = 4;
  BOOST_CHECK_EQUAL(t[17], 4);
  const Tensor<double, dyn, 3, dyn>& frozen = t;
  BOOST_CHECK(frozen.view().data == t.data());
  const View<const double, dyn, 3, dyn> converted = frozen;
  BOOST_CHECK_EQUAL(converted[17], 4);
}

BOOST_AUTO_TEST_CASE(tensor_with_all_extents_in_its_type) {
  Tensor<float, 2, 3> t;
  BOOST_CHECK_EQUAL(t.view().size(), 6);
  BOOST_CHECK_EQUAL(t.size(), 6);
  BOOST_REQUIRE(t.data() != nullptr);
  t[5] = 1;
  BOOST_CHECK_EQUAL(t.view().row(1)[2], 1);
}

BOOST_AUTO_TEST_CASE(tensor_without_sizes_is_empty) {
  const Tensor<float, dyn, 3> t;
  BOOST_CHECK_EQUAL(t.size(), 0);
  BOOST_CHECK(t.view().data == nullptr);
}

BOOST_AUTO_TEST_CASE(memory_that_cannot_be_counted_is_refused) {
  constexpr Index huge = Index{1} << 61;
  const auto says = [](std::string sentence) {
    return [sentence](const wu::Error& e) {
      if (sentence != e.what()) BOOST_TEST_MESSAGE("found: " << e.what());
      return sentence == e.what();
    };
  };
  const std::string negative = "memory: expected extents from 0 on, found -1";
  const std::string doubles = "memory: expected at most 1152921504606846975 values of 8 bytes, found ";
  BOOST_CHECK_EXCEPTION(wu::Buffer<double>(-1), wu::Error, says(negative));
  BOOST_CHECK_EXCEPTION(wu::Buffer<double>{huge}, wu::Error, says(doubles + "1 times 2305843009213693952"));
  BOOST_CHECK_EXCEPTION((wu::Tensor<float, wu::dyn, 3>(-1)), wu::Error, says(negative));
  BOOST_CHECK_EXCEPTION((wu::Tensor<double, wu::dyn, 3, wu::dyn>(Index{1} << 32, Index{1} << 32)), wu::Error,
                        says(doubles + "12884901888 times 4294967296"));
  BOOST_CHECK_EQUAL((wu::checked_count<double>(3, std::array<Index, 2>{5, 7})), 105);
  BOOST_CHECK_EQUAL((wu::checked_count<double>(3, std::array<Index, 2>{0, 7})), 0);
  BOOST_CHECK_EQUAL(wu::checked_count<char>(std::numeric_limits<Index>::max()), std::numeric_limits<Index>::max());
}
