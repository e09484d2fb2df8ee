// RMSNorm and LayerNorm on the CPU: rows over threads, channels in the vector lanes. Sums over rows (dgain, dbias) are kept in
// one partial sum per thread and added in the order of the threads, so that a thread count always gives the same bits.
#pragma once

#include <algorithm>
#include <vector>

#include "wu/cpu/matrix.hpp"
#include "wu/ops/layer_norm.hpp"
#include "wu/ops/rms_norm.hpp"

namespace wu::cpu {

namespace detail {
using namespace wu::detail;

template <class T>
auto row_of(const T* data, Index C) { return matrix(data, 1, C, C).row(0).array(); }
template <class T>
auto row_of(T* data, Index C) { return matrix(data, 1, C, C).row(0).array(); }

/// partial(thread) is a zeroed row of C values; total() adds all of them to `into`.
template <class T, Index C>
class Partials {
 public:
  explicit Partials(const Context& ctx) : sums_(static_cast<std::size_t>(ctx.threads()) * C) {}
  T* operator[](int thread) { return sums_.data() + thread * C; }
  void add_to(T* into) const {
    for (std::size_t k = 0; k < sums_.size(); ++k) into[k % C] += sums_[k];
  }

 private:
  std::vector<T> sums_;
};
}  // namespace detail

void rms_norm_forward(Context& ctx, auto y, auto inv_rms, auto x, auto gain, double eps = 1e-6)
  requires has_product<value_of<decltype(x)>>
{
  constexpr Index C = detail::SameWidth<x.width, y.width>::value;
  using T = value_of<decltype(x)>;
  check_rows("rms norm", x, y);
  ctx.split(x.rows(), 2 * C, [&](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const auto in = detail::row_of(x.row(r), C);
      const T inverse = 1 / std::sqrt(in.square().sum() / T(C) + static_cast<T>(eps));
      inv_rms[r] = inverse;
      detail::row_of(y.row(r), C) = in * inverse * detail::row_of(gain.data, C);
    }
  });
}

void rms_norm_backward(Context& ctx, auto dx /* = */, auto dgain /* += */, auto dy, auto x, auto inv_rms, auto gain)
  requires has_product<value_of<decltype(x)>>
{
  constexpr Index C = detail::SameWidth<x.width, dy.width>::value;
  using T = value_of<decltype(x)>;
  check_rows("rms norm backward", x, dy);
  if (dx.data) check_rows("rms norm backward", x, dx);
  detail::Partials<T, C> partials(ctx);
  ctx.split(x.rows(), 4 * C, [&](int thread, Index begin, Index end) {
    auto sum = detail::row_of(partials[thread], C);
    for (Index r = begin; r < end; ++r) {
      const auto in = detail::row_of(x.row(r), C), g = detail::row_of(dy.row(r), C);
      const T inverse = inv_rms[r];
      if (dgain.data) sum += g * in * inverse;
      if (!dx.data) continue;
      const T along = (g * detail::row_of(gain.data, C) * in).sum() * inverse * inverse / T(C);
      detail::row_of(dx.row(r), C) = inverse * (g * detail::row_of(gain.data, C) - in * along);
    }
  });
  if (dgain.data) partials.add_to(dgain.data);
}

void layer_norm_forward(Context& ctx, auto y, auto mean, auto inv_std, auto x, auto gain, auto bias, double eps = 1e-6)
  requires has_product<value_of<decltype(x)>>
{
  constexpr Index C = detail::SameWidth<x.width, y.width>::value;
  using T = value_of<decltype(x)>;
  check_rows("layer norm", x, y);
  ctx.split(x.rows(), 3 * C, [&](int, Index begin, Index end) {
    for (Index r = begin; r < end; ++r) {
      const auto in = detail::row_of(x.row(r), C);
      const T m = in.sum() / T(C), inverse = 1 / std::sqrt((in - m).square().sum() / T(C) + static_cast<T>(eps));
      mean[r] = m, inv_std[r] = inverse;
      auto out = detail::row_of(y.row(r), C);
      out = (in - m) * inverse;
      if (gain.data) out *= detail::row_of(gain.data, C);
      if (bias.data) out += detail::row_of(bias.data, C);
    }
  });
}

void layer_norm_backward(Context& ctx, auto dx /* = */, auto dgain /* += */, auto dbias /* += */, auto dy, auto x, auto mean, auto inv_std, auto gain)
  requires has_product<value_of<decltype(x)>>
{
  constexpr Index C = detail::SameWidth<x.width, dy.width>::value;
  using T = value_of<decltype(x)>;
  using Row = Eigen::Array<T, 1, C>;
  check_rows("layer norm backward", x, dy);
  if (dx.data) check_rows("layer norm backward", x, dx);
  detail::Partials<T, C> gains(ctx), biases(ctx);
  ctx.split(x.rows(), 6 * C, [&](int thread, Index begin, Index end) {
    auto gain_sum = detail::row_of(gains[thread], C), bias_sum = detail::row_of(biases[thread], C);
    for (Index r = begin; r < end; ++r) {
      const Row normed = (detail::row_of(x.row(r), C) - T(mean[r])) * T(inv_std[r]);
      Row g = detail::row_of(dy.row(r), C);
      if (dgain.data) gain_sum += g * normed;
      if (dbias.data) bias_sum += g;
      if (!dx.data) continue;
      if (gain.data) g *= detail::row_of(gain.data, C);
      detail::row_of(dx.row(r), C) = T(inv_std[r]) * (g - g.sum() / T(C) - normed * ((g * normed).sum() / T(C)));
    }
  });
  if (dgain.data) gains.add_to(dgain.data);
  if (dbias.data) biases.add_to(dbias.data);
}

}  // namespace wu::cpu
