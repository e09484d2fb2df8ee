// cuda/elementwise.hpp.
#include "support.hpp"

namespace {
using wu::Index, wu::View, wu::dyn, wu::test::check;
}

BOOST_AUTO_TEST_CASE(activations) {
  for (const Index n : {Index{1}, Index{97}, Index{70001}}) {
    check([n](auto zero, auto& on) {
      using T = decltype(zero);
      const View<const T, dyn> x(on.template input<T>("x", n), n), dy(on.template input<T>("dy", n), n);
      silu_forward(on.ctx, View<T, dyn>(on.template output<T>("silu", n), n), x);
      silu_backward(on.ctx, View<T, dyn>(on.template output<T>("dsilu", n), n), dy, x);
      gelu_forward(on.ctx, View<T, dyn>(on.template output<T>("gelu", n), n), x);
      gelu_backward(on.ctx, View<T, dyn>(on.template output<T>("dgelu", n), n), dy, x);
      silu_backward(on.ctx, View<T, dyn>(nullptr, n), dy, x);  // not wanted
    });
  }
}

BOOST_AUTO_TEST_CASE(moving_and_adding) {
  [[maybe_unused]] constexpr Index n = 1001;
  check([](auto zero, auto& on) {
    using T = decltype(zero);
    const View<const T, dyn> x(on.template input<T>("x", n), n);
    add(on.ctx, View<T, dyn>(on.template input_and_output<T>("y", n), n), x);
    scale(on.ctx, View<T, dyn>(on.template input_and_output<T>("scaled", n), n), 0.3);
    copy(on.ctx, View<T, dyn>(on.template output<T>("copy", n), n), x);
    wu::test::set_to_zero(on.ctx, View<T, dyn>(on.template output<T>("zero", n), n));
  });
}

BOOST_AUTO_TEST_CASE(converting) {
  constexpr Index n = 301;
  auto& gpu = wu::test::gpu();
  wu::test::On on(gpu);
  const View<const float, dyn> x(on.input_and_output<float>("x", n), n);
  const View<wu::bfloat16, dyn> narrow(on.output<wu::bfloat16>("narrow", n), n);
  convert(gpu, narrow, x);
  convert(gpu, View<float, dyn>(on.output<float>("wide", n), n), as_const(narrow));
  const auto found = on.results();
  for (std::size_t k = 0; k < n; ++k)
    BOOST_REQUIRE_EQUAL(found.at("wide")[k], static_cast<double>(wu::bfloat16(static_cast<float>(found.at("x")[k]))));
}
