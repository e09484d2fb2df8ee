// The optimiser's passes over flat buffers on the GPU, by cuda/kernels/optimiser.hpp.
#pragma once

#include <array>
#include <span>

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/optimiser.hpp"
#include "wu/ops/adamw.hpp"
#include "wu/ops/clip.hpp"

namespace wu::cuda {

/// ops/adamw.hpp's, on buffers in the GPU's memory.
template <class T>
void adamw_update(Context& ctx, const AdamWBuffers<T>& to, const AdamW& rule, Index step) {
  using S = typename AdamWBuffers<T>::Sum;
  detail::check_adamw(to, rule, step);
  const detail::AdamWConstants<S> c(rule, step);
  const std::span<S> weights = to.weights();
  T* values = nullptr;
  if constexpr (AdamWBuffers<T>::has_master) values = to.values.data();
  const Index count = static_cast<Index>(weights.size());
  ctx.run(kernel::AdamWUpdate<T>{values, weights.data(), to.first.data(), to.second.data(),
                                 to.average.empty() ? nullptr : to.average.data(), to.gradients.data(), count, c.scale,
                                 c.beta1, c.beta2, c.epsilon, c.decay, c.rate, c.correction, c.average},
          count);
}

/// ops/clip.hpp's. Waits for the result.
template <class T>
double squared_norm(Context& ctx, std::span<const T> values) {
  constexpr Index most = 256;
  using Body = kernel::SquaredNorm<T>;
  const Index count = static_cast<Index>(values.size()), blocks = std::clamp<Index>((count + 4095) / 4096, 1, most);
  std::array<double, most> parts;
  double* const partial = ctx.scratch<double>(most);
  ctx.run_blocks(Body{partial, values.data(), count}, {blocks, Body::threads, Body::shared_bytes});
  runtime::download(ctx.stream(), parts.data(), partial, static_cast<std::size_t>(blocks) * sizeof(double));
  double sum = 0;
  for (Index b = 0; b < blocks; ++b) sum += parts[static_cast<std::size_t>(b)];
  return sum;
}

}  // namespace wu::cuda
