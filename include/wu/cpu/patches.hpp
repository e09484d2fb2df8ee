// Patches on the CPU: lines of the pictures over threads.
#pragma once

#include <algorithm>

#include "wu/cpu/context.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/patches.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

/// ops/patches.hpp's, on all threads.
void patches_forward(Context& ctx, auto y, auto x)
  requires detail::one_type<decltype(y), decltype(x)>
{
  detail::check_contiguous(x);
  constexpr Index P = detail::PatchSide<y.width, x.width>::value;
  detail::check_patches<P>(y, x);
  ctx.split(x.extent(0) * x.extent(1), x.extent(2) * x.width, [=](int, Index begin, Index end) {
    detail::each_patch_run<P>(y, x, begin, end, [](auto* to, const auto* from, Index n) { std::copy_n(from, n, to); });
  });
}

/// ops/patches.hpp's, on all threads.
void patches_backward(Context& ctx, auto dx /* = */, auto dy)
  requires detail::one_type<decltype(dx), decltype(dy)>
{
  detail::check_contiguous(dx);
  if (!dx.data) return;
  constexpr Index P = detail::PatchSide<dy.width, dx.width>::value;
  detail::check_patches<P>(dy, dx);
  ctx.split(dx.extent(0) * dx.extent(1), dx.extent(2) * dx.width, [=](int, Index begin, Index end) {
    detail::each_patch_run<P>(dy, dx, begin, end, [](const auto* from, auto* to, Index n) { std::copy_n(from, n, to); });
  });
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
