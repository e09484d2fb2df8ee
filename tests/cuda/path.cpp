// cuda/path.hpp.
#include "support.hpp"

namespace {
using wu::Index, wu::View, wu::dyn, wu::test::check;

void straight_path(Index samples, Index values) {
  check([=](auto zero, auto& on) {
    using T = decltype(zero);
    const Index n = samples * values;
    const auto input = [&](const char* name) { return View<const T, dyn>(on.template input<T>(name, n), n); };
    const auto output = [&](const char* name) { return View<T, dyn>(on.template output<T>(name, n), n); };
    std::vector<double> numbers = wu::test::random_values(samples, "numbers");
    const std::span<const double> each(numbers);
    path_point(on.ctx, output("x_t"), input("x_0"), input("x_1"), each);
    edit_velocity(on.ctx, output("v"), input("edit"), input("at"), input("source"), each);
    path_velocity(on.ctx, output("u"), input("x_0"), input("x_1"), each);
    numbers.assign(numbers.size(), std::nan(""));  // an operation has read them when it returns
    path_step(on.ctx, View<T, dyn>(on.template input_and_output<T>("x", n), n), input("slope"), 0.3);
  });
}

}  // namespace

BOOST_AUTO_TEST_CASE(straight_paths) {
  straight_path(3, 35);
  straight_path(131, 7);
  straight_path(1, 1031);
}
