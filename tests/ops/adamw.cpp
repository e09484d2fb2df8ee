// AdamW by hand: two steps whose numbers can be followed on paper. More of it is in optimiser.cpp.
#include "support.hpp"

#include "wu/cpu/optimiser.hpp"

namespace {

using wu::Index;

/// beta1 = beta2 = 1/2, rate 0.1, epsilon 2, weight decay 0.5, from w = 1, m = v = 0:
///   g =  2:  m = 1     v = 2   m / (1 - 1/2) =  2      v / (1 - 1/2) = 4   w = 1   - 0.1 ( 2   / (2 + 2) + 0.5 * 1  ) = 0.9
///   g = -2:  m = -1/2  v = 3   m / (1 - 1/4) = -2/3    v / (1 - 1/4) = 4   w = 0.9 - 0.1 (-2/3 / (2 + 2) + 0.5 * 0.9) = 0.9 + 1/60 - 0.045
/// No other order of bias correction, epsilon and decay gives these.
template <class T, class M>
void check(auto& ctx, std::size_t n, double tolerance) {
  const wu::AdamW rule{.rate = 0.1, .beta1 = 0.5, .beta2 = 0.5, .epsilon = 2, .weight_decay = 0.5};
  std::vector<T> w(n, T(1)), g(n, T(2));
  std::vector<M> m(n), v(n);
  auto all = [&](const auto& values, double expected) {
    return wu::test::relative_error(values, std::vector<double>(n, expected)) <= tolerance;
  };
  adamw_update(ctx, std::span<T>(w), std::span<M>(m), std::span<M>(v), std::span<const T>(g), rule, 1);
  BOOST_CHECK(all(m, 1) && all(v, 2) && all(w, 0.9));
  std::fill(g.begin(), g.end(), T(-2));
  adamw_update(ctx, std::span<T>(w), std::span<M>(m), std::span<M>(v), std::span<const T>(g), rule, 2);
  BOOST_CHECK(all(m, -0.5) && all(v, 3) && all(w, 0.9 + 1. / 60 - 0.045));
}

void check_scalars(auto& ctx) {
  for (const std::size_t n : {1u, 5u, 20011u}) {
    check<double, double>(ctx, n, 1e-14);
    check<float, float>(ctx, n, 1e-6);
    check<float, double>(ctx, n, 1e-6);
    check<wu::bfloat16, float>(ctx, n, 1e-2);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(adamw_two_steps_by_hand) {
  wu::reference reference;
  check_scalars(reference);
  wu::cpu::Context cpu({.threads = 2});
  check_scalars(cpu);
}

BOOST_AUTO_TEST_CASE(adamw_gives_the_same_bits_on_any_number_of_threads) {
  // In buffers of the library, which begin on 64-byte boundaries: elsewhere vectors begin at other values, and their last bits differ.
  auto buffer = [](const std::vector<double>& values) {
    wu::Buffer<float> b(static_cast<Index>(values.size()));
    std::ranges::transform(values, b.data(), [](double x) { return static_cast<float>(x); });
    return b;
  };
  auto run = [&](int threads) {
    wu::cpu::Context ctx({.threads = threads});
    auto w = buffer(wu::test::random_values(20011, "w"));
    const auto g = buffer(wu::test::random_values(20011, "g"));
    wu::Buffer<float> m(w.size()), v(w.size());
    for (Index step = 1; step <= 3; ++step) adamw_update(ctx, w.span(), m.span(), v.span(), g.span(), wu::AdamW{}, step);
    return std::vector<float>(w.data(), w.data() + w.size());
  };
  const auto once = run(1);
  BOOST_CHECK(run(2) == once);
  BOOST_CHECK(run(3) == once);
}

BOOST_AUTO_TEST_CASE(adamw_refuses_large_buffers_of_another_size_too) {
  wu::cpu::Context ctx({.threads = 2});  // a size that would be split
  std::vector<float> w(20011, 1), m(20011), v(20010), g(20011, 1);
  BOOST_CHECK_EXCEPTION(
      adamw_update(ctx, std::span(w), std::span(m), std::span(v), std::span<const float>(g), wu::AdamW{}, 1), wu::ShapeError,
      wu::test::says(
          "adamw: expected moments and gradients for 20011 values and a step from 1, found 20011, 20010, 20011 and step 1"));
  BOOST_CHECK(w == std::vector<float>(20011, 1));
}

BOOST_AUTO_TEST_CASE(adamw_of_nothing) {
  wu::cpu::Context ctx({.threads = 2});
  std::span<float> none;
  adamw_update(ctx, none, none, none, std::span<const float>(), wu::AdamW{}, 1);
}
