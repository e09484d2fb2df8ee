// Along a straight probability path on the GPU, by cuda/kernels/path.hpp. Times and factors are the host's, and may change when an
// operation returns.
#pragma once

#include <span>

#include "wu/cuda/context.hpp"
#include "wu/cuda/factors.hpp"
#include "wu/cuda/kernels/path.hpp"
#include "wu/ops/path.hpp"

namespace wu::cuda {

namespace detail {
/// As the reference rounds a factor to the values' scalar.
template <class T>
accumulator_t<T> rounded(double factor) {
  return static_cast<accumulator_t<T>>(static_cast<T>(factor));
}
}  // namespace detail

/// ops/path.hpp's.
void path_point(Context& ctx, auto x_t, auto x_0, auto x_1, std::span<const double> t) {
  detail::check_contiguous(x_t, x_0, x_1);
  using T = value_of<decltype(x_t)>;
  detail::check_types<T>(x_0, x_1);
  const Index n = detail::path_values("path point", t, x_t.size(), x_0.size(), x_1.size());
  detail::each_factors<double>(
      t, [](double at) { return at; },
      [&](const auto& times, Index first) {
        const Index from = first * n;
        ctx.run(kernel::PathPoint<T>{x_t.data + from, x_0.data + from, x_1.data + from, n, times}, times.count * n);
      });
}

/// ops/path.hpp's.
void edit_velocity(Context& ctx, auto v, auto edit, auto x_t, auto source, std::span<const double> factors) {
  detail::check_contiguous(v, edit, x_t, source);
  using T = value_of<decltype(v)>;
  detail::check_types<T>(edit, x_t, source);
  const Index n = detail::path_values("edit velocity", factors, v.size(), edit.size(), x_t.size(), source.size());
  detail::each_factors<accumulator_t<T>>(factors, detail::rounded<T>, [&](const auto& some, Index first) {
    const Index from = first * n;
    ctx.run(kernel::EditVelocity<T>{v.data + from, edit.data + from, x_t.data + from, source.data + from, n, some},
            some.count * n);
  });
}

/// ops/path.hpp's.
void path_velocity(Context& ctx, auto u, auto x_0, auto x_1, std::span<const double> factors) {
  detail::check_contiguous(u, x_0, x_1);
  using T = value_of<decltype(u)>;
  detail::check_types<T>(x_0, x_1);
  const Index n = detail::path_values("path velocity", factors, u.size(), x_0.size(), x_1.size());
  detail::each_factors<accumulator_t<T>>(factors, detail::rounded<T>, [&](const auto& some, Index first) {
    const Index from = first * n;
    ctx.run(kernel::PathVelocity<T>{u.data + from, x_0.data + from, x_1.data + from, n, some}, some.count * n);
  });
}

/// ops/path.hpp's.
void path_step(Context& ctx, auto x /* += */, auto v, double step) {
  detail::check_contiguous(x, v);
  using T = value_of<decltype(x)>;
  detail::check_types<T>(v);
  detail::check_sizes("path step", x.size(), v.size());
  ctx.run(kernel::PathStep<T>{x.data, v.data, x.size(), detail::rounded<T>(step)}, x.size());
}

}  // namespace wu::cuda
