// core/parameters.hpp.
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "wu/core/dtype.hpp"
#include "wu/core/parameters.hpp"

namespace {

using wu::Index, wu::View;

struct Norm {
  template <class T>
  struct Parameters {
    View<T, 7> weight;
    constexpr void visit(auto&& at) { at("weight", weight); }
  };
};

/// Sizes on both sides of a multiple of 32, and one in an array inside an array.
struct Model {
  template <class T>
  struct Block {
    typename Norm::Parameters<T> norm;
    View<T, 5, 13> weight;  // 65 values: one beyond two blocks of 32
    constexpr void visit(auto&& at) { at("norm", norm), at("weight", weight); }
  };
  template <class T>
  struct Parameters {
    View<T, 2, 2, 8> table;  // exactly 32
    std::array<Block<T>, 2> blocks;
    std::array<std::array<View<T, 3>, 2>, 1> scales;
    View<T> temperature;
    constexpr void visit(auto&& at) {
      at("table", table), at("blocks", blocks), at("scales", scales), at("temperature", temperature);
    }
  };
};

using Weights = wu::Weights<Model, float>;

// Known to the compiler: values, and values with padding (32 + 2 * (32 + 96) + 2 * 32 + 32).
static_assert(Weights::count == 32 + 2 * (7 + 65) + 2 * 3 + 1);
static_assert(Weights::extent == 384);
static_assert(wu::parameter_count<Model::Parameters<const wu::bfloat16>>() == Weights::count);

// Frozen: no path from a const Weights to a writable value.
static_assert(std::is_same_v<decltype(std::declval<const Weights&>().view()), Model::Parameters<const float>>);
static_assert(std::is_same_v<decltype(std::declval<Weights&>().frozen()), Model::Parameters<const float>>);
static_assert(std::is_same_v<decltype(std::declval<Weights&>().view()), Model::Parameters<float>>);
static_assert(std::is_same_v<decltype(std::declval<const Weights&>().view().blocks[1].norm.weight[0]), const float&>);
static_assert(std::is_same_v<decltype(std::declval<const Weights&>().flat()), std::span<const float>>);
static_assert(!std::is_copy_constructible_v<Weights> && !std::is_copy_assignable_v<Weights>);

struct Leaf {
  std::string name;
  Index offset, size;
};

template <class P, class T>
std::vector<Leaf> leaves(P p, const T* base, const std::string& prefix = "") {
  std::vector<Leaf> found;
  wu::for_each_parameter(
      p,
      [&](std::string_view name, const auto& view) { found.push_back({std::string(name), view.data - base, view.size()}); },
      prefix);
  return found;
}

}  // namespace

BOOST_AUTO_TEST_CASE(parameters_have_the_names_of_the_checkpoint) {
  Weights w;
  const std::vector<std::string> expected{
      "table",           "blocks.0.norm.weight", "blocks.0.weight", "blocks.1.norm.weight",
      "blocks.1.weight", "scales.0.0",           "scales.0.1",      "temperature"};
  const auto found = leaves(w.view(), w.flat().data());
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  for (std::size_t k = 0; k < found.size(); ++k) BOOST_CHECK_EQUAL(found[k].name, expected[k]);
  BOOST_CHECK_EQUAL(leaves(w.view(), w.flat().data(), "model")[1].name, "model.blocks.0.norm.weight");
}

BOOST_AUTO_TEST_CASE(parameters_with_names_that_are_too_long_are_refused) {
  Weights w;
  const std::string longest(255 - std::string(".blocks.0.norm.weight").size(), 'm');
  const auto found = leaves(w.view(), w.flat().data(), longest);
  BOOST_CHECK_EQUAL(found[1].name, longest + ".blocks.0.norm.weight");
  BOOST_CHECK_EXCEPTION(leaves(w.view(), w.flat().data(), longest + "m"), wu::Error, [&](const wu::Error& e) {
    return e.what() == "parameters: expected names of at most 255 characters, found " + longest + "m.blocks.0.norm.weight";
  });
  BOOST_CHECK_THROW(leaves(w.view(), w.flat().data(), std::string(256, 'm')), wu::Error);
}

BOOST_AUTO_TEST_CASE(parameters_lie_in_order_on_multiples_of_32_elements) {
  Weights w;
  const std::vector<Index> expected{0, 32, 64, 160, 192, 288, 320, 352};
  const auto found = leaves(w.view(), w.flat().data());
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  Index end = 0, count = 0;
  for (std::size_t k = 0; k < found.size(); ++k) {
    BOOST_CHECK_EQUAL(found[k].offset, expected[k]);
    BOOST_CHECK_EQUAL(found[k].offset % wu::parameter_alignment, 0);
    BOOST_CHECK_GE(found[k].offset, end);
    end = found[k].offset + found[k].size;
    count += found[k].size;
  }
  BOOST_CHECK_EQUAL(count, Weights::count);
  BOOST_CHECK_LE(end, Weights::extent);
  BOOST_CHECK_EQUAL(static_cast<Index>(w.flat().size()), Weights::extent);
}

BOOST_AUTO_TEST_CASE(parameters_are_aligned_for_every_scalar) {
  auto check = [](auto zero) {
    wu::Weights<Model, decltype(zero)> w;
    auto p = w.view();
    wu::for_each_parameter(p, [](std::string_view name, const auto& view) {
      BOOST_CHECK_MESSAGE(reinterpret_cast<std::uintptr_t>(view.data) % wu::alignment == 0, name << " is not aligned");
    });
  };
  check(wu::bfloat16{});
  check(float{});
  check(double{});
}

BOOST_AUTO_TEST_CASE(parameters_do_not_share_memory_and_cover_every_view) {
  Weights w;
  auto p = w.view();
  std::set<const float*> written;
  wu::for_each_parameter(p, [&](std::string_view, auto& view) {
    for (float& v : view) {
      v = 1;
      BOOST_CHECK(written.insert(&v).second);
    }
  });
  double sum = 0;
  for (const float v : w.flat()) sum += v;
  BOOST_CHECK_EQUAL(sum, static_cast<double>(Weights::count));  // and the padding is still zero
}

BOOST_AUTO_TEST_CASE(parameters_view_and_flat_are_the_same_values) {
  Weights w;
  w.view().blocks[1].weight[64] = 5;
  BOOST_CHECK_EQUAL(w.flat()[192 + 64], 5);
  BOOST_CHECK_EQUAL(w.frozen().blocks[1].weight[64], 5);
  const Weights& frozen = w;
  BOOST_CHECK_EQUAL(frozen.view().blocks[1].weight[64], 5);
  *w.view().temperature.data = 3;
  BOOST_CHECK_EQUAL(w.flat()[352], 3);
}

BOOST_AUTO_TEST_CASE(weights_begin_at_zero_and_clone_apart) {
  Weights w;
  for (const float v : w.flat()) BOOST_REQUIRE_EQUAL(v, 0);
  w.view().table[3] = 2;
  const Weights copy = w.clone();
  w.view().table[3] = 9;
  BOOST_CHECK_EQUAL(copy.view().table[3], 2);
  BOOST_CHECK(copy.flat().data() != w.flat().data());
}

BOOST_AUTO_TEST_CASE(gradients_and_moments_have_the_layout_of_the_values) {
  Weights w;
  wu::Weights<Model, double> gradients;
  const auto a = leaves(w.view(), w.flat().data());
  const auto b = leaves(gradients.view(), gradients.flat().data());
  BOOST_REQUIRE_EQUAL(a.size(), b.size());
  for (std::size_t k = 0; k < a.size(); ++k) BOOST_CHECK_EQUAL(a[k].offset, b[k].offset);
}
