// cuda/norm.hpp.
#include "support.hpp"

namespace {
using wu::Index, wu::View, wu::dyn, wu::test::check;

template <Index C>
void rms_norm(Index rows) {
  check([rows](auto zero, auto& on) {
    using T = decltype(zero);
    using Sum = wu::accumulator_t<T>;
    const View<const T, dyn, C> x(on.template input<T>("x", rows * C), rows), dy(on.template input<T>("dy", rows * C), rows);
    const View<const T, C> gain(on.template input<T>("gain", C));
    const View<Sum, dyn> inverse(on.template output<Sum>("inverse", rows), rows);
    rms_norm_forward(on.ctx, View<T, dyn, C>(on.template output<T>("y", rows * C), rows), inverse, x, gain);
    rms_norm_backward(on.ctx, View<T, dyn, C>(on.template output<T>("dx", rows * C), rows),
                      View<Sum, C>(on.template sum<Sum>("dgain", C)), dy, x, as_const(inverse), gain);
    rms_norm_backward_add(on.ctx, View<T, dyn, C>(on.template input_and_output<T>("dx added", rows * C), rows),
                          View<Sum, C>(), dy, x, as_const(inverse), gain);
  });
}

template <Index C>
void layer_norm(Index rows, bool with_gain) {
  check([=](auto zero, auto& on) {
    using T = decltype(zero);
    using Sum = wu::accumulator_t<T>;
    const View<const T, dyn, C> x(on.template input<T>("x", rows * C), rows), dy(on.template input<T>("dy", rows * C), rows);
    const View<const T, C> gain(with_gain ? on.template input<T>("gain", C) : nullptr),
        bias(with_gain ? on.template input<T>("bias", C) : nullptr);
    const View<Sum, dyn> mean(on.template output<Sum>("mean", rows), rows),
        inverse(on.template output<Sum>("inverse", rows), rows);
    layer_norm_forward(on.ctx, View<T, dyn, C>(on.template output<T>("y", rows * C), rows), mean, inverse, x, gain, bias);
    layer_norm_backward(on.ctx, View<T, dyn, C>(on.template output<T>("dx", rows * C), rows),
                        View<Sum, C>(on.template sum<Sum>("dgain", C)), View<Sum, C>(on.template sum<Sum>("dbias", C)), dy,
                        x, as_const(mean), as_const(inverse), gain);
    layer_norm_backward_add(on.ctx, View<T, dyn, C>(on.template input_and_output<T>("dx added", rows * C), rows),
                            View<Sum, C>(), View<Sum, C>(), dy, x, as_const(mean), as_const(inverse), gain);
  });
}
}  // namespace

BOOST_AUTO_TEST_CASE(rms_norms) {
  rms_norm<2>(3);
  rms_norm<7>(5);
  rms_norm<33>(130);
  rms_norm<300>(65);
  rms_norm<2051>(2);
}

BOOST_AUTO_TEST_CASE(layer_norms) {
  layer_norm<7>(5, true);
  layer_norm<33>(130, false);
  layer_norm<300>(65, true);
}
