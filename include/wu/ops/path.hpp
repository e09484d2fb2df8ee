// Along a straight probability path, for b samples of equal size, one after the other.              Lipman et al. 2023, eq. 20
//     path_point:     x_t = (1 - t_s) x_0 + t_s x_1            edit_velocity:  v = factor_s (source + edit - x_t)
//     path_velocity:  u = factor_s (x_1 - x_0)                 path_step:      x += step v
// Times and factors are one a sample, in the host's memory. The chain back through them is diffusion/step.hpp's: one weight a sample.
#pragma once

#include <span>

#include "wu/ops/losses.hpp"

namespace wu {

namespace detail {
/// Values of a sample; throws unless all operands are of one size that the samples divide.
inline Index path_values(const char* what, std::span<const double> each, Index size, auto... others) {
  (check_sizes(what, size, others), ...);
  return sample_values(what, size, static_cast<Index>(each.size()));
}
}  // namespace detail

/// All views: (b, ...), b = t.size(). The sum is taken in double. Throws ShapeError on sizes that differ or do not divide.
void path_point(reference&, auto x_t, auto x_0, auto x_1, std::span<const double> t) {
  detail::check_contiguous(x_t, x_0, x_1);
  const Index n = detail::path_values("path point", t, x_t.size(), x_0.size(), x_1.size());
  for (std::size_t s = 0; s < t.size(); ++s)
    for (Index k = static_cast<Index>(s) * n; k < static_cast<Index>(s + 1) * n; ++k)
      x_t[k] = static_cast<value_of<decltype(x_t)>>((1 - t[s]) * static_cast<double>(x_0[k]) +
                                                    t[s] * static_cast<double>(x_1[k]));
}

/// The velocity from the edit of a source, and where the sample is. All views: (b, ...), b = factors.size(). Factors are rounded to
/// v's scalar. Throws ShapeError as path_point does.
void edit_velocity(reference&, auto v, auto edit, auto x_t, auto source, std::span<const double> factors) {
  detail::check_contiguous(v, edit, x_t, source);
  const Index n = detail::path_values("edit velocity", factors, v.size(), edit.size(), x_t.size(), source.size());
  using T = value_of<decltype(v)>;
  for (std::size_t s = 0; s < factors.size(); ++s) {
    const T factor = static_cast<T>(factors[s]);
    for (Index k = static_cast<Index>(s) * n; k < static_cast<Index>(s + 1) * n; ++k)
      v[k] = (source[k] + edit[k] - x_t[k]) * factor;
  }
}

/// A share of the path's own velocity. All views: (b, ...), b = factors.size(). Factors are rounded to u's scalar. Throws
/// ShapeError as path_point does.
void path_velocity(reference&, auto u, auto x_0, auto x_1, std::span<const double> factors) {
  detail::check_contiguous(u, x_0, x_1);
  const Index n = detail::path_values("path velocity", factors, u.size(), x_0.size(), x_1.size());
  using T = value_of<decltype(u)>;
  for (std::size_t s = 0; s < factors.size(); ++s) {
    const T factor = static_cast<T>(factors[s]);
    for (Index k = static_cast<Index>(s) * n; k < static_cast<Index>(s + 1) * n; ++k) u[k] = (x_1[k] - x_0[k]) * factor;
  }
}

/// x, v: of equal size; throws ShapeError otherwise. The step is rounded to x's scalar.
void path_step(reference&, auto x /* += */, auto v, double step) {
  detail::check_contiguous(x, v);
  detail::check_sizes("path step", x.size(), v.size());
  const auto by = static_cast<value_of<decltype(x)>>(step);
  for (Index k = 0; k < x.size(); ++k) x[k] += by * v[k];
}

}  // namespace wu
