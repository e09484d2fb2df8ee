// cuda/losses.hpp, cuda/optimiser.hpp and cuda/graph.hpp.
#include "support.hpp"

namespace {
using wu::Index, wu::View, wu::dyn, wu::test::check;
}

BOOST_AUTO_TEST_CASE(mean_squared_errors) {
  for (const std::array<Index, 2> size : {std::array<Index, 2>{3, 35}, {131, 7}, {2, 20011}})
    check([size](auto zero, auto& on) {
      using T = decltype(zero);
      const Index samples = size[0], values = size[1];
      const Index n = samples * values;
      const View<const T, dyn> p(on.template input<T>("prediction", n), n), t(on.template input<T>("target", n), n);
      std::vector<double> errors(static_cast<std::size_t>(samples), std::nan(""));
      on.result("mean", mse_forward(on.ctx, View<double, dyn>(errors.data(), samples), p, t));
      for (std::size_t s = 0; s < errors.size(); ++s) on.result("error " + std::to_string(s), errors[s]);
      const auto weights = wu::test::random_values(samples, "weights");
      mse_backward(on.ctx, View<T, dyn>(on.template output<T>("d", n), n), p, t, std::span<const double>(weights));
    });
}

namespace {
constexpr std::size_t parameters = 5003;
const wu::AdamW rule{.rate = 0.01, .weight_decay = 0.1, .gradient_scale = 0.7, .average_decay = 0.9};

template <class T>
wu::AdamWBuffers<T> optimiser_buffers(auto& on) {
  using Sum = wu::accumulator_t<T>;
  constexpr std::size_t n = parameters;
  const auto span = [&](const char* name) { return std::span<Sum>(on.template input_and_output<Sum>(name, n), n); };
  const std::span<const Sum> gradients(on.template input<Sum>("gradients", n), n);
  wu::AdamWBuffers<T> to{.first = span("first"), .second = {}, .average = span("average"), .gradients = gradients};
  to.second = std::span<Sum>(on.template sum<Sum>("second", n), n);  // not negative
  if constexpr (wu::AdamWBuffers<T>::has_master)
    to.values = std::span<T>(on.template output<T>("rounded", n), n), to.master = span("weights");
  else {
    to.values = span("weights");
    on.template input_and_output<T>("rounded", 0);
  }
  return to;
}
}  // namespace

BOOST_AUTO_TEST_CASE(optimiser_steps) {
  check([](auto zero, auto& on) {
    const auto to = optimiser_buffers<decltype(zero)>(on);
    for (Index step = 1; step <= 3; ++step) adamw_update(on.ctx, to, rule, step);
    on.result("norm", squared_norm(on.ctx, to.gradients));
  });
}

BOOST_AUTO_TEST_CASE(clipped_optimiser_steps) {
  check([](auto zero, auto& on) {
    const auto to = optimiser_buffers<decltype(zero)>(on);
    for (Index step = 1; step <= 3; ++step)
      on.result("norm before clipping " + std::to_string(step),
                clipped_adamw_update(on.ctx, to, rule, step, step == 2 ? 1e9 : 0.5));
  });
}

BOOST_AUTO_TEST_CASE(a_gradient_that_is_not_finite_changes_nothing) {
  constexpr Index n = 5;
  auto& gpu = wu::test::gpu();
  for (const double wrong : {std::nan(""), HUGE_VAL}) {
    const auto on_gpu = [&](const std::vector<double>& values) {
      wu::Buffer<double> there(n, memory_of(gpu));
      wu::test::put(there, values);
      return there;
    };
    auto weights = on_gpu({1, 2, 3, 4, 5}), first = on_gpu({1, 1, 1, 1, 1}), second = on_gpu({1, 1, 1, 1, 1});
    const auto gradients = on_gpu({1, 2, wrong, 4, 5});
    const wu::AdamWBuffers<double> to{
        .values = weights.span(), .first = first.span(), .second = second.span(), .gradients = gradients.span()};
    BOOST_CHECK(!std::isfinite(clipped_adamw_update(gpu, to, rule, 1, 1)));
    BOOST_CHECK(wu::test::fetch(weights) == (std::vector<double>{1, 2, 3, 4, 5}));
    BOOST_CHECK(wu::test::fetch(first) == std::vector<double>(n, 1) && wu::test::fetch(second) == std::vector<double>(n, 1));
  }
}

BOOST_AUTO_TEST_CASE(a_recording_does_the_same_again) {
  constexpr Index n = 100;
  auto& gpu = wu::test::gpu();
  wu::test::On on(gpu);
  const View<const float, dyn> x(on.input<float>("x", n), n);
  const View<float, dyn> y(on.sum<float>("y", n), n);
  wu::cuda::Recording recording(gpu, [&] { add(gpu, y, x); });
  BOOST_CHECK(on.results().at("y") == std::vector<double>(n, 0.5));
  recording.run(gpu);
  recording.run(gpu);
  const auto results = on.results().at("y");
  const auto values = wu::test::random_values(n, "x");
  for (std::size_t k = 0; k < n; ++k)
    BOOST_CHECK_CLOSE_FRACTION(results[k], 0.5 + 2 * static_cast<double>(wu::bfloat16(values[k])), 1e-6);
}

BOOST_AUTO_TEST_CASE(a_recording_may_not_wait) {
  auto& gpu = wu::test::gpu();
  BOOST_CHECK_THROW(wu::cuda::Recording(gpu, [&] { gpu.synchronise(); }), wu::Error);
  gpu.synchronise();
}
