// The optimiser's passes over flat buffers on the GPU, by cuda/kernels/optimiser.hpp.
#pragma once

#include <array>
#include <span>

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/optimiser.hpp"
#include "wu/ops/adamw.hpp"
#include "wu/ops/clip.hpp"

namespace wu::cuda {

namespace detail {
/// clip: on the GPU, as kernel::AdamWUpdate has it.
template <class T>
void launch_adamw(Context& ctx, const AdamWBuffers<T>& to, const AdamW& rule, Index step, const double* clip) {
  using S = typename AdamWBuffers<T>::Sum;
  const detail::AdamWConstants<S> c(rule, step);
  const std::span<S> weights = to.weights();
  T* values = nullptr;
  if constexpr (AdamWBuffers<T>::has_master) values = to.values.data();
  const Index count = static_cast<Index>(weights.size());
  ctx.run(kernel::AdamWUpdate<T>{values, weights.data(), to.first.data(), to.second.data(),
                                 to.average.empty() ? nullptr : to.average.data(), to.gradients.data(), count, c.scale,
                                 c.beta1, c.beta2, c.epsilon, c.decay, c.rate, c.correction, c.average, clip},
          count);
}

constexpr Index most_norm_parts = 256;
/// partial: most_norm_parts on the GPU. Returns how many of them it fills.
template <class T>
Index launch_squared_norm(Context& ctx, double* partial, std::span<const T> values) {
  using Body = kernel::SquaredNorm<T>;
  const Index count = static_cast<Index>(values.size()),
              blocks = std::clamp<Index>((count + 4095) / 4096, 1, most_norm_parts);
  ctx.run_blocks(Body{partial, values.data(), count}, {blocks, Body::threads, Body::shared_bytes});
  return blocks;
}
}  // namespace detail

/// ops/adamw.hpp's, on buffers in the GPU's memory.
template <class T>
void adamw_update(Context& ctx, const AdamWBuffers<T>& to, const AdamW& rule, Index step) {
  detail::check_adamw(to, rule, step);
  detail::launch_adamw(ctx, to, rule, step, nullptr);
}

/// ops/clip.hpp's. Waits for the result.
template <class T>
double squared_norm(Context& ctx, std::span<const T> values) {
  std::array<double, detail::most_norm_parts> parts;
  double* const partial = ctx.scratch<double>(detail::most_norm_parts);
  const Index count = detail::launch_squared_norm(ctx, partial, values);
  ctx.download(parts.data(), partial, static_cast<std::size_t>(count) * sizeof(double));
  double sum = 0;
  for (Index k = 0; k < count; ++k) sum += parts[static_cast<std::size_t>(k)];
  return sum;
}

/// ops/adamw.hpp's. The GPU clips by itself; only when all is on the stream is it waited for, for the norm. Throws what was noted before,
/// as Context::synchronise() does, and then nothing is changed either.
template <class T>
double clipped_adamw_update(Context& ctx, const AdamWBuffers<T>& to, const AdamW& rule, Index step, double limit) {
  detail::check_adamw(to, rule, step);
  double* const factor = ctx.scratch<double>(2 + detail::most_norm_parts);
  const Index parts = detail::launch_squared_norm(ctx, factor + 2, to.gradients);
  ctx.run_blocks(kernel::ClipFactor{factor, factor + 2, ctx.note(), parts, rule.gradient_scale, limit},
                 {.blocks = 1, .threads = 32});
  detail::launch_adamw(ctx, to, rule, step, factor);
  double norm = 0;
  ctx.download(&norm, factor + 1, sizeof(norm));
  return norm;
}

}  // namespace wu::cuda
