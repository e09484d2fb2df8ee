// ops/activations.hpp and cpu/activations.hpp.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::View, wu::dyn, wu::test::Values;

/// dx is computed in the memory of dy, as the callers do.
template <bool Gelu>
Values run(auto zero, auto& ctx, const Values& in) {
  using T = decltype(zero);
  const Index rows = wu::test::length(in, "x") / 7;
  const auto x = wu::test::cast<T>(in.at("x"));
  auto y = wu::test::poison<T>(rows * 7), dx = wu::test::cast<T>(in.at("dy"));
  const View<const T, dyn, 7> vx(x.data(), rows);
  const View<T, dyn, 7> vy(y.data(), rows), vdx(dx.data(), rows);
  if constexpr (Gelu) gelu_forward(ctx, vy, vx), gelu_backward(ctx, vdx, as_const(vdx), vx);
  else silu_forward(ctx, vy, vx), silu_backward(ctx, vdx, as_const(vdx), vx);
  return {{"y", wu::test::widen(y)}, {"dx", wu::test::widen(dx)}};
}

Values sizes(Index rows, double scale) {
  auto in = wu::test::inputs({{"x", rows * 7}, {"dy", rows * 7}});
  for (double& v : in["x"]) v *= scale;
  return in;
}

constexpr auto silu = [](auto zero, auto& ctx, const Values& in) { return run<false>(zero, ctx, in); };
constexpr auto gelu = [](auto zero, auto& ctx, const Values& in) { return run<true>(zero, ctx, in); };

}  // namespace

BOOST_AUTO_TEST_CASE(silu_gradients) { wu::test::check_operation(silu, sizes(5, 3), sizes(3001, 3), {"x"}); }
BOOST_AUTO_TEST_CASE(gelu_gradients) { wu::test::check_operation(gelu, sizes(5, 3), sizes(3001, 3), {"x"}); }

BOOST_AUTO_TEST_CASE(activations_on_any_number_of_threads) {
  wu::test::check_threads(silu, sizes(3001, 3)), wu::test::check_threads(gelu, sizes(3001, 3));
}

BOOST_AUTO_TEST_CASE(activations_keep_their_limits_far_out) {
  Values in = sizes(5, 1);
  for (std::size_t k = 0; k < 35; ++k)
    in["x"][k] = (k % 2 ? 1 : -1) * std::pow(10, 5 * static_cast<double>(k % 7) + 1.5);  // up to 3e31
  auto check = [&](auto& ctx) {
    for (const auto& out : {silu(float{}, ctx, in), gelu(float{}, ctx, in)})
      for (std::size_t k = 0; k < 35; ++k) {
        const double x = in["x"][k];
        BOOST_CHECK_SMALL((out.at("y")[k] - (x > 0 ? x : 0)) / std::fabs(x), 1e-6);
        BOOST_CHECK_SMALL(out.at("dx")[k] - (x > 0 ? in["dy"][k] : 0), 1e-5);
      }
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

BOOST_AUTO_TEST_CASE(activations_do_not_hide_a_nan) {
  Values in = sizes(5, 1);
  for (const std::size_t at : {0u, 17u, 34u}) in["x"][at] = std::nan("");
  wu::cpu::Context ctx({.threads = 2});
  for (const auto& out : {silu(float{}, ctx, in), gelu(float{}, ctx, in), silu(double{}, ctx, in), gelu(double{}, ctx, in)})
    for (std::size_t k = 0; k < 35; ++k) {
      BOOST_CHECK_EQUAL(std::isnan(out.at("y")[k]), std::isnan(in["x"][k]));
      BOOST_CHECK_EQUAL(std::isnan(out.at("dx")[k]), std::isnan(in["x"][k]));
    }
}

BOOST_AUTO_TEST_CASE(gelu_is_the_tanh_form) {
  wu::reference ctx;
  Values in = sizes(5, 1);
  in["x"].assign(35, 1);
  BOOST_CHECK_CLOSE(gelu(double{}, ctx, in)["y"][0], 0.8411919906082768, 1e-10);  // the exact form gives 0.8413447
}

BOOST_AUTO_TEST_CASE(activations_refuse_another_size) {
  auto check = [](auto& ctx) {
    std::vector<double> memory(35);
    const View<double, dyn, 7> four(memory.data(), 4), five(memory.data(), 5);
    BOOST_CHECK_EXCEPTION(silu_forward(ctx, four, five), wu::ShapeError,
                          wu::test::says("silu: expected 35 values, found 28"));
    BOOST_CHECK_EXCEPTION(gelu_forward(ctx, four, five), wu::ShapeError,
                          wu::test::says("gelu: expected 35 values, found 28"));
    BOOST_CHECK_EXCEPTION(silu_backward(ctx, five, four, five), wu::ShapeError,
                          wu::test::says("silu backward: expected 35 values, found 28"));
    BOOST_CHECK_EXCEPTION(gelu_backward(ctx, five, four, five), wu::ShapeError,
                          wu::test::says("gelu backward: expected 35 values, found 28"));
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}
