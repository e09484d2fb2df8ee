// The embedding of times on the GPU, by cuda/kernels/time_embedding.hpp.
#pragma once

#include <span>

#include "wu/cuda/context.hpp"
#include "wu/cuda/factors.hpp"
#include "wu/cuda/kernels/time_embedding.hpp"
#include "wu/ops/time_embedding.hpp"

namespace wu::cuda {

/// ops/time_embedding.hpp's. The times are the host's, and may change when it returns.
void time_embedding_forward(Context& ctx, auto y, std::span<const double> t) {
  detail::check_contiguous(y);
  constexpr Index C = y.width;
  static_assert(detail::WavePairs<C>::value);
  using T = value_of<decltype(y)>;
  detail::check_types<T>();
  detail::check_sizes("time embedding", static_cast<Index>(t.size()) * C, y.size());
  detail::each_factors<double>(
      t, [](double at) { return at; },
      [&](const auto& times, Index first) {
        ctx.run(kernel::TimeEmbedding<T>{y.data + first * C, C, times}, times.count * (C / 2));
      });
}

}  // namespace wu::cuda
