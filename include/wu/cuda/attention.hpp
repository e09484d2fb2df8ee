// Attention on the GPU: in bfloat16 by cuDNN where it is there, or by the tensor cores (cuda/kernels/tensor_attention.hpp), else by
// cuda/kernels/plain_attention.hpp.
#pragma once

#include <cmath>
#include <cstdint>

#include "wu/cuda/context.hpp"
#include "wu/cuda/kernels/plain_attention.hpp"
#include "wu/cuda/kernels/tensor_attention.hpp"
#include "wu/cuda/rows.hpp"
#include "wu/ops/attention.hpp"

namespace wu::cuda {

namespace detail {
inline kernel::Map kernel_map(const RowMap& map) {
  kernel::Map made{};
  for (std::size_t a = 0; a < 4; ++a) made.size[a] = map.axes[a].size, made.stride[a] = map.axes[a].stride;
  return made;
}
template <Index D>
kernel::Groups kernel_groups(const AttentionRows& rows, Index heads) {
  return {kernel_map(rows.query_group), kernel_map(rows.query), kernel_map(rows.key_group),
          kernel_map(rows.key),         rows.query.size(),      rows.key.size(),
          static_cast<int>(heads),      static_cast<int>(D)};
}
constexpr Index tiles(Index count, Index tile) { return (count + tile - 1) / tile; }

/// The tensor cores take heads of whole eights of channels.
template <class T, Index D>
inline constexpr bool on_tensor_cores = std::is_same_v<T, bfloat16> && D % 8 == 0 && D <= 128;
/// Whose rows are read sixteen bytes at a time: they must lie so.
template <class... V>
bool on_sixteen_bytes(const V&... views) {
  const auto fits_in = [](const auto& view) {
    const auto all = readable(view);
    return reinterpret_cast<std::uintptr_t>(all.data) % 16 == 0 && all.stride % 8 == 0;
  };
  return (fits_in(views) && ...);
}
/// The width that a kernel is compiled for.
template <Index D>
inline constexpr int head_bound = D <= 32   ? 32
                                  : D <= 64 ? 64
                                            : 128;
/// What a block of plain attention may take: 227 KiB of shared memory.
template <class T, Index D>
constexpr void check_head_width() {
  constexpr Index most = std::is_same_v<T, double> ? 192 : 256;
  static_assert(fits<(D <= most), "wu::cuda: expected heads of a width up to ", most, ", found ", D>);
  static_assert(kernel::PlainAttentionBackward<T, true>::shared_bytes(static_cast<int>(most)) <= 227 * 1024);
}

/// Groups and rows within them lie evenly.
inline bool lie_evenly(const AttentionRows& rows) {
  return rows.query_group.regular() && rows.query.regular() && rows.key_group.regular() && rows.key.regular();
}
/// An operand as a library takes it. What there is one of has any stride but none.
template <class V>
AttentionOperand library_operand(V view, const RowMap& group, const RowMap& inside) {
  using T = value_of<V>;
  const auto all = readable(view);
  const Index row = inside.size() > 1 ? inside.axes[3].stride * all.stride : all.stride;
  return {const_cast<T*>(all.data), group.size() > 1 ? group.axes[3].stride * all.stride : row * inside.size(), row};
}
/// What forward and backward have in common.
template <Index D>
FusedAttention fused_attention(const AttentionRows& rows, Index heads, auto q, auto k, auto v, auto out, float* lse) {
  return {.groups = rows.groups(),
          .heads = heads,
          .queries = rows.query.size(),
          .keys = rows.key.size(),
          .width = D,
          .scale = 1 / std::sqrt(static_cast<double>(D)),
          .q = library_operand(q, rows.query_group, rows.query),
          .k = library_operand(k, rows.key_group, rows.key),
          .v = library_operand(v, rows.key_group, rows.key),
          .out = library_operand(out, rows.query_group, rows.query),
          .lse = lse,
          .dout = {},
          .dq = {},
          .dk = {},
          .dv = {}};
}
}  // namespace detail

/// ops/attention.hpp's.
template <Index D>
void attention_forward(Context& ctx, Workspace&, auto out, auto lse, auto q, auto k, auto v, const AttentionRows& rows) {
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  detail::check_attention_widths<q.width, heads, lse.width, out.width>();
  detail::check_attention(rows, q, k, v, out, lse);
  using T = value_of<decltype(q)>;
  detail::check_head_width<T, D>();
  using Sum = accumulator_t<T>;
  detail::check_types<T>(out, k, v);
  detail::check_sums<T>(lse);
  const auto groups = detail::kernel_groups<D>(rows, heads);
  if constexpr (std::is_same_v<T, bfloat16>)
    if (ctx.cudnn() && q.rows() > 0 && detail::lie_evenly(rows) && detail::on_sixteen_bytes(q, k, v, out)) {
      const kernel::MoveLse after{detail::strided(lse), ctx.scratch<float>(q.rows() * heads), groups, rows.groups(), true};
      if (runtime::attend(ctx.stream(), detail::fused_attention<D>(rows, heads, q, k, v, out, after.of_library))) {
        ctx.attention("cuDNN");
        return ctx.run(after, after.count());
      }
    }
  const auto run = [&]<class Body>(Body body, Index own, int shared_bytes) {
    body.out = detail::strided(out), body.lse = detail::strided(lse);
    body.q = detail::readable(q), body.k = detail::readable(k), body.v = detail::readable(v);
    body.s = groups;
    body.scale = static_cast<Sum>(1 / std::sqrt(static_cast<double>(D)));
    ctx.run_blocks(body, {rows.groups() * heads * detail::tiles(groups.queries, own), Body::threads, shared_bytes});
  };
  if constexpr (detail::on_tensor_cores<T, D>)
    if (detail::on_sixteen_bytes(q, k, v)) {
      ctx.attention("tensor cores");
      using Body = kernel::TensorAttention<detail::head_bound<D>>;
      return run(Body(), Body::own_rows, Body::shared_bytes);
    }
  ctx.attention("plain");
  using Body = kernel::PlainAttention<T>;
  run(Body(), Body::own_rows, Body::shared_bytes(static_cast<int>(D)));
}

/// ops/attention.hpp's. In wu's own kernels the gradients of keys and of queries are two launches, neither of which adds to what
/// others write: their bits are always the same. cuDNN's may differ in the last ones.
template <Index D>
void attention_backward(Context& ctx, Workspace&, auto dq /* = */, auto dk /* = */, auto dv /* = */, auto dout, auto out,
                        auto lse, auto q, auto k, auto v, const AttentionRows& rows) {
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  detail::check_attention_widths<q.width, heads, lse.width, dq.width, dk.width, dv.width, dout.width, out.width>();
  detail::check_attention(rows, q, k, v, dq, dout, out, lse);
  check_rows("attention, gradients of keys and values", k, dk, dv);
  using T = value_of<decltype(q)>;
  detail::check_head_width<T, D>();
  using Sum = accumulator_t<T>;
  detail::check_types<T>(dq, dk, dv, dout, out, k, v);
  detail::check_sums<T>(lse);
  const auto groups = detail::kernel_groups<D>(rows, heads);
  if constexpr (std::is_same_v<T, bfloat16>)
    // Of one query and one key cuDNN's own frontend does not ask for gradients.
    if (ctx.cudnn() && q.rows() > 0 && rows.query.size() * rows.key.size() > 1 && detail::lie_evenly(rows) &&
        detail::on_sixteen_bytes(q, k, v, out, dout, dq, dk, dv)) {
      const auto of_rows = detail::readable(lse);
      const kernel::MoveLse before{{const_cast<float*>(of_rows.data), of_rows.stride},
                                   ctx.scratch<float>(q.rows() * heads),
                                   groups,
                                   rows.groups(),
                                   false};
      ctx.run(before, before.count());
      auto asked = detail::fused_attention<D>(rows, heads, q, k, v, out, before.of_library);
      asked.dout = detail::library_operand(dout, rows.query_group, rows.query);
      asked.dq = detail::library_operand(dq, rows.query_group, rows.query);
      asked.dk = detail::library_operand(dk, rows.key_group, rows.key);
      asked.dv = detail::library_operand(dv, rows.key_group, rows.key);
      if (runtime::attend(ctx.stream(), asked)) return ctx.attention("cuDNN");
    }
  Sum* const delta = ctx.scratch<Sum>(q.rows() * heads);
  ctx.run(kernel::AttentionDelta<T>{delta, detail::readable(dout), detail::readable(out), q.rows() * heads, groups.heads,
                                    groups.width},
          q.rows() * heads);
  const auto run = [&]<class Body>(Body body, Index count, int shared_bytes) {
    body.dq = detail::strided(dq), body.dk = detail::strided(dk), body.dv = detail::strided(dv);
    body.dout = detail::readable(dout), body.q = detail::readable(q), body.k = detail::readable(k),
    body.v = detail::readable(v), body.lse = detail::readable(lse);
    body.delta = delta;
    body.s = groups;
    body.scale = static_cast<Sum>(1 / std::sqrt(static_cast<double>(D)));
    ctx.run_blocks(body, {rows.groups() * heads * detail::tiles(count, Body::own_rows), Body::threads, shared_bytes});
  };
  if constexpr (detail::on_tensor_cores<T, D>)
    if (detail::on_sixteen_bytes(q, k, v, dout)) {
      ctx.attention("tensor cores");
      using Keys = kernel::TensorAttentionBackward<detail::head_bound<D>, true>;
      using Queries = kernel::TensorAttentionBackward<detail::head_bound<D>, false>;
      run(Keys(), groups.keys, Keys::shared_bytes);
      return run(Queries(), groups.queries, Queries::shared_bytes);
    }
  ctx.attention("plain");
  using Keys = kernel::PlainAttentionBackward<T, true>;
  using Queries = kernel::PlainAttentionBackward<T, false>;
  run(Keys(), groups.keys, Keys::shared_bytes(static_cast<int>(D)));
  run(Queries(), groups.queries, Queries::shared_bytes(static_cast<int>(D)));
}

}  // namespace wu::cuda
