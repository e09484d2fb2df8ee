// core/workspace.hpp.
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "wu/core/workspace.hpp"

namespace {

using wu::Index, wu::View, wu::Workspace, wu::dyn;

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % wu::alignment == 0; }

}  // namespace

BOOST_AUTO_TEST_CASE(workspace_hands_out_separate_aligned_memory) {
  Workspace ws(4096);
  const auto a = ws.take<float, dyn, 3>(5);
  const auto b = ws.take<double, 7>();
  const auto c = ws.take<float, 2, dyn, dyn>(3, 5);
  BOOST_CHECK_EQUAL(a.rows(), 5);
  BOOST_CHECK_EQUAL(b.size(), 7);
  BOOST_CHECK_EQUAL(c.size(), 30);
  BOOST_CHECK_EQUAL(c.extent(2), 5);
  BOOST_CHECK(aligned(a.data) && aligned(b.data) && aligned(c.data));
  for (float& v : a) v = 1;
  for (double& v : b) v = 2;
  for (float& v : c) v = 3;
  for (const float v : a) BOOST_CHECK_EQUAL(v, 1);
  for (const double v : b) BOOST_CHECK_EQUAL(v, 2);
}

BOOST_AUTO_TEST_CASE(workspace_scope_gives_memory_back) {
  Workspace ws(1 << 16);
  const auto kept = ws.take<float, 16>();
  const float* inside = nullptr;
  {
    const Workspace::Scope scope(ws);
    inside = ws.take<float, 16>().data;
    {
      const Workspace::Scope inner(ws);
      BOOST_CHECK(ws.take_values<float>(16) != inside);
    }
    BOOST_CHECK(ws.take_values<float>(16) == inside + 16);
  }
  BOOST_CHECK(ws.take_values<float>(16) == inside);
  BOOST_CHECK(kept.data != inside);
}

BOOST_AUTO_TEST_CASE(workspace_scope_gives_back_when_an_exception_passes) {
  Workspace ws(1 << 16);
  const float* inside = nullptr;
  try {
    const Workspace::Scope scope(ws);
    inside = ws.take_values<float>(100);
    throw wu::Error("test");
  } catch (const wu::Error&) {  // the scope is left
  }
  BOOST_CHECK(ws.take_values<float>(100) == inside);
}

BOOST_AUTO_TEST_CASE(workspace_growth_keeps_old_views_valid) {
  Workspace ws;
  std::vector<View<Index, dyn>> views;
  for (Index i = 0; i < 12; ++i) {  // the last alone is 16 MiB
    const auto v = ws.take<Index, dyn>(Index{1000} << i);
    v[0] = v[v.size() - 1] = i;
    views.push_back(v);
  }
  BOOST_CHECK_GT(ws.allocations(), 1u);
  for (Index i = 0; i < 12; ++i) {
    const auto& v = views[static_cast<std::size_t>(i)];
    BOOST_CHECK_EQUAL(v[0], i);
    BOOST_CHECK_EQUAL(v[v.size() - 1], i);
  }
}

BOOST_AUTO_TEST_CASE(workspace_moves_with_its_memory) {
  Workspace from;
  const auto v = from.take<Index, dyn>(1000);
  v[999] = 7;
  Workspace to(std::move(from));
  BOOST_CHECK_EQUAL(v[999], 7);
  BOOST_CHECK_EQUAL(to.allocations(), 1u);
  BOOST_CHECK_EQUAL(to.peak_bytes(), 8000u);
  BOOST_CHECK(to.take_values<Index>(1) == v.data + 1000);
}

BOOST_AUTO_TEST_CASE(workspace_repeats_a_step_in_the_same_places_without_allocating) {
  Workspace ws;
  /// Scopes inside scopes, and pieces that are larger than what is left of a chunk.
  auto step = [&] {
    std::vector<const void*> places;
    const Workspace::Scope scope(ws);
    for (const Index n : {1000, 300000, 7, 500000}) {
      const Workspace::Scope inner(ws);
      places.push_back(ws.take_values<double>(n));
      for (int i = 0; i < 3; ++i) places.push_back(ws.take_values<float>(n / 2 + i));
    }
    places.push_back(ws.take_values<double>(400000));
    return places;
  };
  const auto first = step();
  const auto allocations = ws.allocations(), peak = ws.peak_bytes();
  for (int i = 0; i < 10; ++i) {
    const auto again = step();
    BOOST_CHECK_EQUAL_COLLECTIONS(again.begin(), again.end(), first.begin(), first.end());
    BOOST_CHECK_EQUAL(ws.allocations(), allocations);
    BOOST_CHECK_EQUAL(ws.peak_bytes(), peak);
  }
}

BOOST_AUTO_TEST_CASE(workspace_with_its_memory_in_advance_allocates_once) {
  Workspace grown;
  auto step = [](Workspace& ws) {
    const Workspace::Scope scope(ws);
    for (const Index n : {100000, 3, 200000, 70001}) ws.take_values<float>(n);
  };
  step(grown);
  BOOST_CHECK_GT(grown.allocations(), 1u);
  Workspace ready(grown.peak_bytes());
  for (int i = 0; i < 3; ++i) step(ready);
  BOOST_CHECK_EQUAL(ready.allocations(), 1u);
  BOOST_CHECK_EQUAL(ready.peak_bytes(), grown.peak_bytes());
}

BOOST_AUTO_TEST_CASE(workspace_peak_is_the_most_that_was_out_at_once) {
  Workspace ws;
  BOOST_CHECK_EQUAL(ws.peak_bytes(), 0u);
  BOOST_CHECK_EQUAL(ws.allocations(), 0u);
  ws.take_values<float>(16);
  for (int i = 0; i < 2; ++i) {
    const Workspace::Scope scope(ws);
    ws.take_values<float>(32);
    ws.take_values<char>(1);  // a whole line of 64 bytes
  }
  BOOST_CHECK_EQUAL(ws.peak_bytes(), 64u + 128u + 64u);
  ws.take_values<float>(16);
  BOOST_CHECK_EQUAL(ws.peak_bytes(), 64u + 128u + 64u);
  {
    const Workspace::Scope scope(ws);
    ws.take_values<float>(1 << 20);
  }
  BOOST_CHECK_EQUAL(ws.peak_bytes(), 128u + (4u << 20));
}

BOOST_AUTO_TEST_CASE(workspace_takes_nothing) {
  Workspace ws;
  const auto none = ws.take<float, dyn, 3>(0);
  BOOST_CHECK_EQUAL(none.size(), 0);
  const auto one = ws.take<float, 1>();
  one[0] = 1;
  BOOST_CHECK_EQUAL(ws.peak_bytes(), wu::alignment);
}

BOOST_AUTO_TEST_CASE(workspace_refuses_what_cannot_be_counted_and_goes_on) {
  Workspace ws;
  constexpr Index huge = Index{1} << 61;
  for (const Index count : {huge, -huge, Index{-1}}) {
    BOOST_CHECK_THROW(ws.take_values<double>(count), wu::Error);
    BOOST_CHECK_THROW((ws.take<double, dyn, 1>(count)), wu::Error);
  }
  BOOST_CHECK_THROW((ws.take<float, dyn, dyn, 3>(Index{1} << 32, Index{1} << 32)), wu::Error);
  BOOST_CHECK_THROW(Workspace(std::size_t{1} << 63), wu::Error);
  BOOST_CHECK_EQUAL(ws.peak_bytes(), 0u);
  BOOST_CHECK_EQUAL((ws.take<double, 3>().size()), 3);
}
