// ops/linear.hpp and cpu/linear.hpp.
#include <boost/test/unit_test.hpp>

#include "support/gradient_check.hpp"
#include "wu/cpu/linear.hpp"

namespace {

using wu::Index, wu::View, wu::dyn;
constexpr Index rows = 5, In = 7, Out = 3;

/// Forward, backward and gradient check of y = x W^T + b on the device of ctx.
void check(auto& ctx) {
  auto x = wu::test::random_values(rows * In, "x"), W = wu::test::random_values(Out * In, "W"),
       b = wu::test::random_values(Out, "b");
  const auto dy = wu::test::random_values(rows * Out, "dy");
  auto y = wu::test::poisoned(rows * Out), dx = wu::test::poisoned(rows * In);
  std::vector<double> dW(Out * In), db(Out);
  const View<const double, Out, In> vW(W.data());
  const View<const double, Out> vb(b.data());
  const View<const double, dyn, In> vx(x.data(), rows);
  auto loss = [&] {
    linear_forward(ctx, View<double, dyn, Out>(y.data(), rows), vx, vW, vb);
    return wu::test::dot(y, dy);
  };
  loss();
  linear_backward(ctx, View<double, dyn, In>(dx.data(), rows), View<double, Out, In>(dW.data()),
                  View<double, Out>(db.data()), View<const double, dyn, Out>(dy.data(), rows), vx, vW);
  wu::test::check_gradient("x", x, dx, loss);
  wu::test::check_gradient("W", W, dW, loss);
  wu::test::check_gradient("b", b, db, loss);
}

}  // namespace

BOOST_AUTO_TEST_CASE(linear_gradients) {
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

BOOST_AUTO_TEST_CASE(linear_adds_to_parameter_gradients_and_skips_unwanted_ones) {
  const auto check_one = [](auto& ctx) {
    const auto x = wu::test::random_values(rows * In, "x"), W = wu::test::random_values(Out * In, "W"),
               dy = wu::test::random_values(rows * Out, "dy");
    const View<const double, dyn, In> vx(x.data(), rows);
    const View<const double, dyn, Out> vdy(dy.data(), rows);
    const View<const double, Out, In> vW(W.data());
    // Null: not wanted.
    const auto backward = [&](double* dx, double* dW, double* db) {
      linear_backward(ctx, View<double, dyn, In>(dx, rows), View<double, Out, In>(dW), View<double, Out>(db), vdy, vx, vW);
    };
    auto dx = wu::test::poisoned(rows * In), dx_alone = dx;
    std::vector<double> dW(Out * In), db(Out), dW_alone(Out * In), db_alone(Out);
    backward(dx.data(), dW.data(), db.data());
    backward(dx_alone.data(), nullptr, nullptr);
    backward(nullptr, dW_alone.data(), nullptr);
    backward(nullptr, nullptr, db_alone.data());
    BOOST_CHECK_LE(wu::test::relative_error(dx_alone, dx), 1e-14);
    BOOST_CHECK_LE(wu::test::relative_error(dW_alone, dW), 1e-14);
    BOOST_CHECK_LE(wu::test::relative_error(db_alone, db), 1e-14);
    backward(dx.data(), dW.data(), db.data());
    for (double& v : dW_alone) v *= 2;
    for (double& v : db_alone) v *= 2;
    BOOST_CHECK_LE(wu::test::relative_error(dx, dx_alone), 1e-14);  // written over, where the others are added to
    BOOST_CHECK_LE(wu::test::relative_error(dW, dW_alone), 1e-14);
    BOOST_CHECK_LE(wu::test::relative_error(db, db_alone), 1e-14);
  };
  wu::reference reference;
  check_one(reference);
  wu::cpu::Context cpu({.threads = 2});
  check_one(cpu);
}

BOOST_AUTO_TEST_CASE(linear_refuses_another_number_of_rows) {
  const auto check_one = [](auto& ctx) {
    std::vector<double> x(rows * In), y(rows * Out), W(Out * In);
    BOOST_CHECK_EXCEPTION(
        linear_forward(ctx, View<double, dyn, Out>(y.data(), rows - 1), View<double, dyn, In>(x.data(), rows),
                       View<double, Out, In>(W.data()), View<double, Out>()),
        wu::ShapeError, [](const wu::ShapeError& e) { return std::string(e.what()) == "linear: expected 5 rows, found 4"; });
  };
  wu::reference reference;
  check_one(reference);
  wu::cpu::Context cpu({.threads = 2});
  check_one(cpu);
}

BOOST_AUTO_TEST_CASE(linear_backward_refuses_another_number_of_rows) {
  const auto check_one = [](auto& ctx) {
    std::vector<double> x(rows * In), dy(rows * Out), W(Out * In);
    const auto call = [&](Index dx_rows, Index dy_rows) {
      linear_backward(ctx, View<double, dyn, In>(x.data(), dx_rows), View<double, Out, In>(W.data()), View<double, Out>(),
                      View<double, dyn, Out>(dy.data(), dy_rows), View<double, dyn, In>(x.data(), rows),
                      View<double, Out, In>(W.data()));
    };
    const auto says = [](const wu::ShapeError& e) {
      return std::string(e.what()) == "linear backward: expected 5 rows, found 4";
    };
    BOOST_CHECK_EXCEPTION(call(rows, rows - 1), wu::ShapeError, says);
    BOOST_CHECK_EXCEPTION(call(rows - 1, rows), wu::ShapeError, says);
  };
  wu::reference reference;
  check_one(reference);
  wu::cpu::Context cpu({.threads = 2});
  check_one(cpu);
}

namespace {

/// All of the CPU's results on 1 to 3 threads against the reference's, from gradients that are not zero before.
template <class T, Index I, Index O>
void check_cpu_equals_reference(Index n, double tolerance) {
  const auto values = [](Index count, const char* purpose) {
    const auto v = wu::test::random_values(count, purpose);
    return std::vector<T>(v.begin(), v.end());
  };
  const auto x = values(n * I, "x"), W = values(O * I, "W"), b = values(O, "b"), dy = values(n * O, "dy");
  const auto run = [&](auto& ctx) {
    const auto nothing = [](Index count) { return std::vector<T>(static_cast<std::size_t>(count), static_cast<T>(NAN)); };
    std::vector<std::vector<T>> r{nothing(n * O), nothing(n * O), nothing(n * I), W, b};
    const View<const T, dyn, I> vx(x.data(), n);
    const View<const T, O, I> vW(W.data());
    linear_forward(ctx, View<T, dyn, O>(r[0].data(), n), vx, vW, View<const T, O>(b.data()));
    linear_forward(ctx, View<T, dyn, O>(r[1].data(), n), vx, vW, View<const T, O>());
    linear_backward(ctx, View<T, dyn, I>(r[2].data(), n), View<T, O, I>(r[3].data()), View<T, O>(r[4].data()),
                    View<const T, dyn, O>(dy.data(), n), vx, vW);
    return r;
  };
  wu::reference reference;
  const auto expected = run(reference);
  for (const int threads : {1, 2, 3})
    BOOST_TEST_CONTEXT(n << " rows, In " << I << ", Out " << O << ", " << threads << " threads") {
      wu::cpu::Context cpu({.threads = threads});
      const auto found = run(cpu);
      for (std::size_t k = 0; k < expected.size(); ++k)
        BOOST_CHECK_LE(wu::test::relative_error(found[k], expected[k]), tolerance);
    }
}

}  // namespace

// Each above the work that is split over threads; sums of more than one slice of 256 in forward, in dx and in dW.
BOOST_AUTO_TEST_CASE(linear_cpu_equals_reference) {
  check_cpu_equals_reference<double, 37, 53>(301, 1e-12);
  check_cpu_equals_reference<double, 523, 7>(11, 1e-12);
  check_cpu_equals_reference<double, 3, 771>(29, 1e-12);
  check_cpu_equals_reference<float, 37, 53>(301, 1e-5);
  check_cpu_equals_reference<float, 523, 64>(5, 1e-5);
  check_cpu_equals_reference<float, 16, 771>(29, 1e-5);
}
