// cuda/depthwise.hpp, cuda/resample.hpp and cuda/modulate.hpp.
#include "support.hpp"

namespace {
using wu::Columns, wu::Index, wu::View, wu::dyn, wu::test::check;

template <Index K>
void depthwise(Index height, Index width) {
  constexpr Index b = 2, C = 3;
  const Index n = b * height * width * C;
  check([=](auto zero, auto& on) {
    using T = decltype(zero);
    using Sum = wu::accumulator_t<T>;
    using Picture = View<T, dyn, dyn, dyn, C>;
    const View<const T, dyn, dyn, dyn, C> x(on.template input<T>("x", n), b, height, width),
        dy(on.template input<T>("dy", n), b, height, width);
    const View<const T, K * K, C> W(on.template input<T>("W", K * K * C));
    depthwise_forward(on.ctx, Picture(on.template output<T>("y", n), b, height, width), x, W);
    depthwise_backward(on.ctx, Picture(on.template output<T>("dx", n), b, height, width),
                       View<Sum, K * K, C>(on.template sum<Sum>("dW", K * K * C)), dy, x, W);
    depthwise_backward(on.ctx, Picture(nullptr, b, height, width), View<Sum, K * K, C>(), dy, x, W);
  });
}

void resample(Index F, Index height, Index width) {
  constexpr Index b = 2, C = 3;
  const Index few = b * height * width * C, many = few * F * F;
  check([=](auto zero, auto& on) {
    using T = decltype(zero);
    const auto fine = [&](T* data) { return View<T, dyn, dyn, dyn, C>(data, b, height * F, width * F); };
    const auto coarse = [&](T* data) { return View<T, dyn, dyn, dyn, C>(data, b, height, width); };
    const View<const T, dyn, dyn, dyn, C> from_fine(on.template input<T>("fine", many), b, height * F, width * F),
        from_coarse(on.template input<T>("coarse", few), b, height, width);
    pool_forward(on.ctx, coarse(on.template output<T>("pool", few)), from_fine);
    pool_backward(on.ctx, fine(on.template output<T>("dpool", many)), from_coarse);
    upsample_forward(on.ctx, fine(on.template output<T>("upsample", many)), from_coarse);
    upsample_backward(on.ctx, coarse(on.template output<T>("dupsample", few)), from_fine);
  });
}
}  // namespace

BOOST_AUTO_TEST_CASE(depthwise_convolutions) {
  depthwise<3>(5, 7);
  depthwise<5>(2, 3);
  depthwise<5>(1, 1);
  depthwise<5>(7, 1);
  depthwise<7>(4, 13);
}

BOOST_AUTO_TEST_CASE(resampling) {
  resample(4, 3, 5);
  resample(3, 2, 1);
  resample(1, 2, 3);
  resample(2, 1, 1);
}

BOOST_AUTO_TEST_CASE(modulations) {
  constexpr Index C = 37, groups = 3, k = 9, rows = groups * k;
  check([](auto zero, auto& on) {
    using T = decltype(zero);
    const View<const T, dyn, C> x(on.template input<T>("x", rows * C), rows), dy(on.template input<T>("dy", rows * C), rows);
    // shift, scale and gate are columns of one matrix, as are their gradients.
    const View<const T, dyn, 3 * C> joint(on.template input<T>("joint", groups * 3 * C), groups);
    const View<T, dyn, 3 * C> djoint(on.template output<T>("djoint", groups * 3 * C), groups);
    const auto shift = columns<0, C>(joint), scale = columns<C, C>(joint), gate = columns<2 * C, C>(joint);
    modulate_forward(on.ctx, View<T, dyn, C>(on.template output<T>("y", rows * C), rows), x, shift, scale);
    modulate_backward(on.ctx, View<T, dyn, C>(on.template output<T>("dx", rows * C), rows), columns<0, C>(djoint),
                      columns<C, C>(djoint), dy, x, scale);
    gated_add_forward(on.ctx, View<T, dyn, C>(on.template input_and_output<T>("added", rows * C), rows), x, gate);
    gated_add_backward(on.ctx, View<T, dyn, C>(on.template output<T>("dh", rows * C), rows), columns<2 * C, C>(djoint), dy,
                       x, gate);
    gated_add_backward(on.ctx, View<T, dyn, C>(nullptr, rows), Columns<T, C>(), dy, x, gate);
  });
}
