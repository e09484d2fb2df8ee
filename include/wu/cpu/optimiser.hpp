// The optimiser's passes over the flat buffer on all threads.
#pragma once

#include <vector>

#include "wu/cpu/context.hpp"
#include "wu/ops/adamw.hpp"
#include "wu/ops/clip.hpp"

namespace wu::cpu {

template <class T, class M>
void adamw_update(Context& ctx, std::span<T> values, std::span<M> first, std::span<M> second, std::span<const T> gradients, const AdamW& rule, Index step) {
  ctx.split(static_cast<Index>(values.size()), 8, [&](int, Index begin, Index end) {
    const auto from = static_cast<std::size_t>(begin), n = static_cast<std::size_t>(end - begin);
    wu::adamw_update(static_cast<reference&>(ctx), values.subspan(from, n), first.subspan(from, n), second.subspan(from, n), gradients.subspan(from, n), rule, step);
  });
}

template <class T>
double squared_norm(Context& ctx, std::span<const T> values) {
  std::vector<double> sums(static_cast<std::size_t>(ctx.threads()));
  ctx.split(static_cast<Index>(values.size()), 2, [&](int thread, Index begin, Index end) {
    sums[static_cast<std::size_t>(thread)] = wu::squared_norm(static_cast<reference&>(ctx), values.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
  });
  double total = 0;
  for (const double s : sums) total += s;
  return total;
}

}  // namespace wu::cpu
