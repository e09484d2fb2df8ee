// cuda/linear.hpp.
#include "support.hpp"

namespace {
using wu::Index, wu::View, wu::dyn, wu::test::check;

template <class T, Index In, Index Out>
struct Layer {
  View<T, Out, In> weight;
  View<T, Out> bias;
};

template <Index In, Index Out>
void linear(Index rows) {
  check([rows](auto zero, auto& on) {
    using T = decltype(zero);
    using Sum = wu::accumulator_t<T>;
    const View<const T, dyn, In> x(on.template input<T>("x", rows * In), rows);
    const View<const T, dyn, Out> dy(on.template input<T>("dy", rows * Out), rows),
        residual(on.template input<T>("residual", rows * Out), rows);
    const View<const T, Out, In> W(on.template input<T>("W", Out * In)), V(on.template input<T>("V", Out * In));
    const View<const T, Out> b(on.template input<T>("b", Out)), no_bias;
    const auto y = [&](const char* name) { return View<T, dyn, Out>(on.template output<T>(name, rows * Out), rows); };
    const auto dx = [&](const char* name) { return View<T, dyn, In>(on.template output<T>(name, rows * In), rows); };
    const auto dW = [&](const char* name) { return View<Sum, Out, In>(on.template sum<Sum>(name, Out * In)); };
    const auto db = [&](const char* name) { return View<Sum, Out>(on.template sum<Sum>(name, Out)); };
    linear_forward(on.ctx, y("y"), x, W, b);
    linear_forward(on.ctx, y("y without bias"), x, W, no_bias);
    linear_backward(on.ctx, dx("dx"), dW("dW"), db("db"), dy, x, W);
    linear_backward(on.ctx, dx("dx alone"), View<Sum, Out, In>(), View<Sum, Out>(), dy, x, W);
    linear_residual_forward(on.ctx, y("y on residual"), residual, x, W, b);
    linear_silu_forward(on.ctx, y("up"), y("activated"), x, W, b);

    const std::array layers{Layer<const T, In, Out>{W, b}, Layer<const T, In, Out>{V, b}};
    const std::array both{y("joint 0"), y("joint 1")};
    joint_linear_forward(on.ctx, both, x, layers);
    const std::array dlayers{Layer<Sum, In, Out>{dW("dW 0"), db("db 0")}, Layer<Sum, In, Out>{dW("dW 1"), db("db 1")}};
    const std::array dboth{dy, residual};
    joint_linear_backward(on.ctx, on.ws, dx("joint dx"), false, dlayers, dboth, x, layers);
    joint_linear_backward(on.ctx, on.ws,
                          View<T, dyn, In>(on.template input_and_output<T>("joint dx added", rows * In), rows), true,
                          dlayers, dboth, x, layers);
  });
}
}  // namespace

BOOST_AUTO_TEST_CASE(linear_layers) {
  linear<7, 3>(5);
  linear<1, 1>(1);
  linear<33, 65>(131);
}
