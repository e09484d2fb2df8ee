// Attention on the CPU. Few keys: cpu/short_attention.hpp. Any number: cpu/tiled_attention.hpp. The formulas of ops/attention.hpp.
#pragma once

#include <algorithm>

#include "wu/cpu/attention_operands.hpp"
#include "wu/cpu/short_attention.hpp"
#include "wu/cpu/target.hpp"
#include "wu/cpu/tiled_attention.hpp"
#include "wu/ops/attention.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
/// Types that attention is compiled for: one of float, double and bfloat16, and lse as that is summed.
template <class Lse, class Q, class... Others>
inline constexpr bool attention_types = one_product_type<Q, Others...> && summed_as<Q, Lse>;
}  // namespace detail

///@{
/// Bytes of scratch that attention_forward and attention_backward take from the workspace for groups of so many queries and keys.
/// T: float, double or bfloat16.
template <class T>
constexpr std::size_t attention_scratch_bytes(Index queries, Index keys, Index D, int threads) {
  const Index each = kernel::ShortAttention<T>::answers(queries, keys)
                         ? kernel::ShortAttention<T>::forward_bytes(D)
                         : kernel::TiledAttention<T>::forward_bytes(queries, keys, D);
  return static_cast<std::size_t>(each * threads);
}
template <class T>
constexpr std::size_t attention_backward_scratch_bytes(Index queries, Index keys, Index D, int threads) {
  const Index each = kernel::ShortAttention<T>::answers(queries, keys)
                         ? kernel::ShortAttention<T>::backward_bytes(D)
                         : kernel::TiledAttention<T>::backward_bytes(queries, keys, D);
  return static_cast<std::size_t>(each * threads);
}
///@}

/// ops/attention.hpp's, on all threads. For float, double and bfloat16, with lse in float for bfloat16.
template <Index D>
void attention_forward(Context& ctx, Workspace& ws, auto out, auto lse, auto q, auto k, auto v, const AttentionRows& rows)
  requires detail::attention_types<decltype(lse), decltype(q), decltype(out), decltype(k), decltype(v)>
{
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  using T = value_of<decltype(q)>;
  detail::check_attention_widths<q.width, heads, lse.width, out.width>();
  detail::check_attention(rows, q, k, v, out, lse);
  if (q.rows() == 0) return;
  const kernel::AttentionOperands<T> in{spaced(q), spaced(k), spaced(v), rows, heads, D};
  if (kernel::ShortAttention<T>::answers(rows)) kernel::ShortAttention<T>::forward(ctx, ws, spaced(out), spaced(lse), in);
  else kernel::TiledAttention<T>::forward(ctx, ws, spaced(out), spaced(lse), in);
}

/// ops/attention.hpp's, on all threads. For float, double and bfloat16, with lse in float for bfloat16.
template <Index D>
void attention_backward(Context& ctx, Workspace& ws, auto dq /* = */, auto dk /* = */, auto dv /* = */, auto dout, auto out,
                        auto lse, auto q, auto k, auto v, const AttentionRows& rows)
  requires detail::attention_types<decltype(lse), decltype(q), decltype(dq), decltype(dk), decltype(dv), decltype(dout),
                                   decltype(out), decltype(k), decltype(v)>
{
  constexpr Index heads = detail::AttentionWidths<q.width, k.width, v.width, D>::heads;
  using T = value_of<decltype(q)>;
  detail::check_attention_widths<q.width, heads, lse.width, dq.width, dk.width, dv.width, dout.width, out.width>();
  detail::check_attention(rows, q, k, v, dq, dout, out, lse);
  check_rows("attention, gradients of keys and values", k, dk, dv);
  if (q.rows() == 0) {  // nothing asks for the keys: their gradients are 0
    for (Index r = 0; r < k.rows(); ++r)
      std::fill_n(dk.row(r), dk.width, T(0.0f)), std::fill_n(dv.row(r), dv.width, T(0.0f));
    return;
  }
  const kernel::AttentionOperands<T> in{spaced(q), spaced(k), spaced(v), rows, heads, D};
  const kernel::AttentionGradients<T> g{spaced(dq), spaced(dk), spaced(dv), spaced(dout), spaced(out), spaced(lse)};
  if (kernel::ShortAttention<T>::answers(rows)) kernel::ShortAttention<T>::backward(ctx, ws, g, in);
  else kernel::TiledAttention<T>::backward(ctx, ws, g, in);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET
