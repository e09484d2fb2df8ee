// Linear layers and what is fused with them on the CPU, in every type, against the reference loops in double on the same numbers.
#include <boost/test/unit_test.hpp>

#include <array>
#include <vector>

#include "support/gradient_check.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/cpu/library_product.hpp"

using wu::Index, wu::Tensor, wu::View, wu::bfloat16, wu::dyn;

namespace {

template <class T>
constexpr double tolerance = std::is_same_v<T, double>  ? 1e-14
                             : std::is_same_v<T, float> ? 2e-6
                                                        : 0x1p-8;

/// Random values as T has them.
template <class T, Index... E>
Tensor<T, E...> values(const char* purpose, auto... sizes) {
  Tensor<T, E...> t(sizes...);
  const auto random = wu::test::random_values(t.size(), purpose);
  for (Index k = 0; k < t.size(); ++k) t[k] = static_cast<T>(random[static_cast<std::size_t>(k)]);
  return t;
}
template <Index... E>
Tensor<double, E...> wide(const auto& from, auto... sizes) {
  Tensor<double, E...> t(sizes...);
  for (Index k = 0; k < t.size(); ++k) t[k] = static_cast<double>(from[k]);
  return t;
}

template <class T, Index Out, Index In>
struct Layer {
  View<T, Out, In> weight;
  View<T, Out> bias;
};

/// Everything that comes out of the layers and their gradients, one value after the other.
template <class T, Index In, Index Out>
std::vector<double> run(auto& ctx, Index rows, const auto& x, const auto& W, const auto& b, const auto& dy) {
  using Sum = wu::accumulator_t<T>;
  std::vector<double> all;
  wu::Workspace ws;
  const auto keep = [&](const auto& tensor) {
    for (const auto& v : tensor.span()) all.push_back(static_cast<double>(v));
  };
  const auto poisoned = [](auto tensor) {
    for (auto& v : tensor.span()) v = static_cast<std::remove_reference_t<decltype(v)>>(std::nanf(""));
    return tensor;
  };
  const auto out = [&] { return poisoned(Tensor<T, dyn, Out>(rows)); };
  const auto in = [&] { return poisoned(Tensor<T, dyn, In>(rows)); };
  const auto X = as_const(x.view());
  const std::array<Layer<const T, Out, In>, 3> layers{
      {{W[0].view(), b.view()}, {W[1].view(), View<const T, Out>()}, {W[2].view(), b.view()}}};

  auto y = out(), summed = out(), up = out(), activated = out();
  linear_forward(ctx, y.view(), X, layers[0].weight, layers[0].bias), keep(y);
  linear_residual_forward(ctx, summed.view(), as_const(dy[0].view()), X, layers[0].weight, layers[1].bias), keep(summed);
  linear_silu_forward(ctx, up.view(), activated.view(), X, layers[0].weight, layers[0].bias), keep(up), keep(activated);
  std::array<Tensor<T, dyn, Out>, 3> each{out(), out(), out()};
  joint_linear_forward(ctx, std::array{each[0].view(), each[1].view(), each[2].view()}, X, layers);
  for (const auto& one : each) keep(one);

  auto dx = in();
  Tensor<Sum, Out, In> dW;
  Tensor<Sum, Out> db;
  const auto no_dW = View<Sum, Out, In>();
  const auto no_db = View<Sum, Out>();
  const auto dY = as_const(dy[0].view());
  linear_backward(ctx, dx.view(), dW.view(), db.view(), dY, X, layers[0].weight), keep(dx);
  linear_backward(ctx, View<T, dyn, In>(), no_dW, db.view(), dY, X, layers[0].weight), keep(db);  // += a second time
  const std::array<Layer<Sum, Out, In>, 3> dlayers{{{dW.view(), db.view()}, {dW.view(), no_db}, {no_dW, no_db}}};
  const std::array dys{as_const(dy[0].view()), as_const(dy[1].view()), as_const(dy[2].view())};
  for (const bool add : {true, false}) joint_linear_backward(ctx, ws, dx.view(), add, dlayers, dys, X, layers), keep(dx);
  keep(dW), keep(db);
  // X and another input stand for the values before and after an activation.
  linear_silu_backward(ctx, dx.view(), dW.view(), db.view(), dY, X, X, layers[1].weight), keep(dx), keep(dW), keep(db);
  return all;
}

template <class T, Index In, Index Out>
void check(Index rows) {
  const auto x = values<T, dyn, In>("x", rows);
  const std::array W{values<T, Out, In>("W"), values<T, Out, In>("V"), values<T, Out, In>("U")};
  const auto b = values<T, Out>("b");
  const std::array dy{values<T, dyn, Out>("dy", rows), values<T, dyn, Out>("dz", rows), values<T, dyn, Out>("dw", rows)};
  wu::reference reference;
  const auto expected = run<double, In, Out>(
      reference, rows, wide<dyn, In>(x, rows), std::array{wide<Out, In>(W[0]), wide<Out, In>(W[1]), wide<Out, In>(W[2])},
      wide<Out>(b), std::array{wide<dyn, Out>(dy[0], rows), wide<dyn, Out>(dy[1], rows), wide<dyn, Out>(dy[2], rows)});
  std::vector<double> first;
  for (const int threads : {1, 2, 3}) {
    wu::cpu::Context cpu({.threads = threads});
    const auto found = run<T, In, Out>(cpu, rows, x, W, b, dy);
    BOOST_CHECK_LE(wu::test::relative_error(found, expected), tolerance<T>);
    if (threads == 1) first = found;
    else if (!wu::cpu::kernel::LibraryProduct<T>::available) BOOST_CHECK(found == first);  // for any number of threads
  }
}

template <class T>
void check_sizes() {
  check<T, 3, 5>(7);      // less than a group of rows, a panel and a register
  check<T, 35, 65>(129);  // tiles and panels with something left over
  check<T, 515, 37>(61);  // more than a slice of k
  check<T, 9, 1043>(20);  // more than a block of columns, and few rows
}

}  // namespace

BOOST_AUTO_TEST_CASE(linear_layers_of_no_width_or_no_rows) {
  wu::cpu::Context cpu({.threads = 2});
  const auto b = values<float, 5>("b");
  Tensor<float, dyn, 5> y(7);
  linear_forward(cpu, y.view(), View<const float, dyn, 0>(nullptr, 7), View<const float, 5, 0>(), b.view());
  for (Index k = 0; k < y.size(); ++k) BOOST_CHECK_EQUAL(y[k], b[k % 5]);
  linear_forward(cpu, View<float, dyn, 0>(nullptr, 7), as_const(y.view()), View<const float, 0, 5>(),
                 View<const float, 0>());
  const auto W = values<float, 5, 3>("W");
  Tensor<float, 5, 3> dW;
  const View<const float, dyn, 5> dy(nullptr, 0);
  linear_backward(cpu, View<float, dyn, 3>(nullptr, 0), dW.view(), View<float, 5>(), dy,
                  View<const float, dyn, 3>(nullptr, 0), W.view());
  for (const float v : dW.span()) BOOST_CHECK_EQUAL(v, 0);
}

BOOST_AUTO_TEST_CASE(linear_layers_are_the_reference_s_in_float) { check_sizes<float>(); }
BOOST_AUTO_TEST_CASE(linear_layers_are_the_reference_s_in_double) { check_sizes<double>(); }
BOOST_AUTO_TEST_CASE(linear_layers_are_the_reference_s_in_bfloat16) { check_sizes<bfloat16>(); }
