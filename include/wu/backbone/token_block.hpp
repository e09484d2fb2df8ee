// The token stream of a layer: a transformer block with adaptive modulation.              Peebles & Xie 2023, section 3.2
//     (shift1, scale1, gate1, shift2, scale2, gate2) = modulation(c)         c: (b, W), time and instruction
//     x += gate1 * out(attention(rope(qkv(modulate(LN(x), shift1, scale1)))))
//     x += gate2 * down(GELU(up(modulate(LN(x), shift2, scale2))))           x: (b, rows, columns, W)
// Rotary positions: half of the head for the row, half for the column. Every linear layer on the tokens takes adapters.
#pragma once

#include <array>
#include <tuple>

#include "wu/backbone/adapters.hpp"
#include "wu/nn/linear.hpp"
#include "wu/ops/activations.hpp"
#include "wu/ops/attention.hpp"
#include "wu/ops/elementwise.hpp"
#include "wu/ops/layer_norm.hpp"
#include "wu/ops/modulate.hpp"
#include "wu/ops/rope.hpp"

namespace wu::backbone {

/// W: width of the tokens; Hidden: between mlp.up and mlp.down. The formulas stand at the top of the file.
template <Index W, Index HeadWidth, Index Hidden, Index Rank>
struct TokenBlock {
  static_assert(fits<(W % HeadWidth == 0), "TokenBlock: a head width of ", HeadWidth, " does not divide the token width, ",
                     W, "; give a divisor of it that is a multiple of 4">);
  static_assert(fits<(HeadWidth % 4 == 0), "TokenBlock: a head width of ", HeadWidth,
                     " has no rotary pairs for rows and columns; give a multiple of 4">);
  static constexpr Index heads = W / HeadWidth;
  /// attn.qkv
  using Qkv = LoRALinear<W, 3 * W, Rank>;
  /// attn.out
  using Out = LoRALinear<W, W, Rank>;
  /// mlp.up
  using Up = LoRALinear<W, Hidden, Rank>;
  /// mlp.down
  using Down = LoRALinear<Hidden, W, Rank>;

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    typename Linear<W, 6 * W>::template Parameters<T> modulation;
    typename Qkv::template Parameters<T> qkv;
    typename Out::template Parameters<T> out;
    typename Up::template Parameters<T> up;
    typename Down::template Parameters<T> down;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      at("modulation", modulation), at("attn.qkv", qkv), at("attn.out", out), at("mlp.up", up), at("mlp.down", down);
    }
  };

  static std::string describe() {
    return "TokenBlock of width " + text::grouped(W) + ", " + text::counted(heads, "head") + " × " +
           text::grouped(HeadWidth) + ", hidden " + text::grouped(Hidden) + ", adapters of rank " + text::grouped(Rank) +
           ": " + text::parameters<TokenBlock>() + text::parts<TokenBlock>();
  }

  /// What forward takes before the weights: y, x, c.
  template <class T>
  using Operands = std::tuple<View<T, dyn, W>, View<const T, dyn, W>, View<const T, dyn, W>>;
  /// What backward needs, in the workspace until the caller's scope ends.
  template <class T>
  struct Saved {
    View<const T, dyn, W> x, c;
    View<T, dyn, 6 * W> modulation;
    View<T, dyn, W> normed1, modulated1, mixed, attended, middle, normed2, modulated2, lowered;
    View<T, dyn, 3 * W> qkv;
    View<T, dyn, Hidden> raised, activated;
    View<accumulator_t<T>, dyn> mean1, inv_std1, mean2, inv_std2;
    View<accumulator_t<T>, dyn, heads> lse;
    View<T, dyn, Rank> xa_qkv, xa_out, xa_up, xa_down;
    Rotary<accumulator_t<T>, 2> rotary;
    AttentionRows rows;
  };
  /// Rows and columns of the grid of tokens, half of the head each.
  static constexpr std::array<RotaryAxis, 2> rotary_axes(std::array<Index, 2> grid) {
    return {RotaryAxis{HeadWidth / 2, grid[1], grid[0], 0}, RotaryAxis{HeadWidth / 2, 1, grid[1], 0}};
  }

  /// What forward takes from the workspace and keeps, for `batch` pictures with or without adapters.
  template <class T>
  static constexpr std::size_t saved_bytes(Index batch, std::array<Index, 2> grid, bool adapted = true) {
    const Index rows = batch * grid[0] * grid[1];
    const std::size_t adapters = Qkv::template saved_bytes<T>(rows, adapted) + Out::template saved_bytes<T>(rows, adapted) +
                                 Up::template saved_bytes<T>(rows, adapted) + Down::template saved_bytes<T>(rows, adapted);
    return Workspace::bytes_of<T>(batch * 6 * W) + Rotary<accumulator_t<T>, 2>::bytes(rotary_axes(grid)) +
           8 * Workspace::bytes_of<T>(rows * W) + Workspace::bytes_of<T>(rows * 3 * W) +
           2 * Workspace::bytes_of<T>(rows * Hidden) + 4 * Workspace::bytes_of<accumulator_t<T>>(rows) +
           Workspace::bytes_of<accumulator_t<T>>(rows * heads) + adapters;
  }
  /// Floating-point operations of forward in products.
  static constexpr double operations(Index batch, std::array<Index, 2> grid, bool adapted = true) {
    const Index cells = grid[0] * grid[1], rows = batch * cells;
    return Linear<W, 6 * W>::operations(batch) + Qkv::operations(rows, adapted) + Out::operations(rows, adapted) +
           Up::operations(rows, adapted) + Down::operations(rows, adapted) +
           4 * static_cast<double>(rows) * static_cast<double>(cells) * static_cast<double>(W);
  }

  /// y = block(x); y null: not wanted. grid: rows and columns of tokens of one picture.
  template <class T, class A>
  static Saved<T> forward(auto& ctx, Workspace& ws, View<T, dyn, W> y, View<const T, dyn, W> x, View<const T, dyn, W> c,
                          const Parameters<const T>& p, const A& adapters, Index layer, std::array<Index, 2> grid) {
    using Sum = accumulator_t<T>;
    const Index n = x.rows(), b = c.rows();
    auto wide = [&] { return ws.take<T, dyn, W>(n); };
    auto sums = [&] { return ws.take<Sum, dyn>(n); };
    Saved<T> s;
    s.x = x, s.c = c;
    s.modulation = ws.take<T, dyn, 6 * W>(b);
    linear_forward(ctx, s.modulation, c, p.modulation.weight, p.modulation.bias);
    s.rotary = Rotary<Sum, 2>::make(ctx, ws, rotary_axes(grid));
    s.rows.query_group.push({b, grid[0] * grid[1]}), s.rows.key_group = s.rows.query_group;
    s.rows.query.push({grid[0] * grid[1], 1}), s.rows.key = s.rows.query;

    const View<const T, W> no_gain, no_bias;
    s.normed1 = wide(), s.modulated1 = wide(), s.mean1 = sums(), s.inv_std1 = sums();
    layer_norm_forward(ctx, s.normed1, s.mean1, s.inv_std1, x, no_gain, no_bias);
    modulate_forward(ctx, s.modulated1, as_const(s.normed1), columns<0, W>(as_const(s.modulation)),
                     columns<W, W>(as_const(s.modulation)));
    s.qkv = ws.take<T, dyn, 3 * W>(n), s.mixed = wide(), s.lse = ws.take<Sum, dyn, heads>(n);
    s.xa_qkv = Qkv::template forward<T>(ctx, ws, s.qkv, s.modulated1, p.qkv, adapters.template of<"attn.qkv">(layer),
                                        adapters.which, adapters.scale);
    rope_forward<HeadWidth>(ctx, columns<0, W>(s.qkv), s.rotary);
    rope_forward<HeadWidth>(ctx, columns<W, W>(s.qkv), s.rotary);
    const auto qkv = as_const(s.qkv);
    attention_forward<HeadWidth>(ctx, ws, s.mixed, s.lse, columns<0, W>(qkv), columns<W, W>(qkv), columns<2 * W, W>(qkv),
                                 s.rows);
    s.attended = wide(), s.middle = wide();
    s.xa_out = Out::template forward<T>(ctx, ws, s.attended, s.mixed, p.out, adapters.template of<"attn.out">(layer),
                                        adapters.which, adapters.scale);
    copy(ctx, s.middle, x);
    gated_add_forward(ctx, s.middle, as_const(s.attended), columns<2 * W, W>(as_const(s.modulation)));

    s.normed2 = wide(), s.modulated2 = wide(), s.lowered = wide(), s.mean2 = sums(), s.inv_std2 = sums();
    s.raised = ws.take<T, dyn, Hidden>(n), s.activated = ws.take<T, dyn, Hidden>(n);
    layer_norm_forward(ctx, s.normed2, s.mean2, s.inv_std2, as_const(s.middle), no_gain, no_bias);
    modulate_forward(ctx, s.modulated2, as_const(s.normed2), columns<3 * W, W>(as_const(s.modulation)),
                     columns<4 * W, W>(as_const(s.modulation)));
    s.xa_up = Up::template forward<T>(ctx, ws, s.raised, s.modulated2, p.up, adapters.template of<"mlp.up">(layer),
                                      adapters.which, adapters.scale);
    gelu_forward(ctx, s.activated, as_const(s.raised));
    s.xa_down = Down::template forward<T>(ctx, ws, s.lowered, s.activated, p.down, adapters.template of<"mlp.down">(layer),
                                          adapters.which, adapters.scale);
    if (!y.data) return s;
    copy(ctx, y, as_const(s.middle));
    gated_add_forward(ctx, y, as_const(s.lowered), columns<5 * W, W>(as_const(s.modulation)));
    return s;
  }

  /// dx comes in as the gradient of y and goes out as that of x; dc is added to, or null for a frozen backbone. dp null: frozen.
  template <class T, class A, class Tokens>
  static void backward(auto& ctx, Workspace& ws, View<T, dyn, W> dx, View<T, dyn, W> dc,
                       const Parameters<accumulator_t<T>>& dp, Tokens dtokens, const Saved<T>& s,
                       const Parameters<const T>& p, const A& adapters, Index layer, std::array<Index, 2> /*grid*/) {
    const Workspace::Scope scope(ws);
    const Index n = dx.rows(), b = s.c.rows();
    const auto dmod = ws.take<T, dyn, 6 * W>(b);
    const auto d1 = ws.take<T, dyn, W>(n), d2 = ws.take<T, dyn, W>(n);
    const auto draised = ws.take<T, dyn, Hidden>(n);
    const auto dqkv = ws.take<T, dyn, 3 * W>(n);
    const View<const T, W> no_gain;
    const View<accumulator_t<T>, W> no_dgain, no_dbias;
    const auto mod = as_const(s.modulation);
    gated_add_backward(ctx, d1, columns<5 * W, W>(dmod), as_const(dx), as_const(s.lowered), columns<5 * W, W>(mod));
    Down::template backward<T>(ctx, ws, draised, dp.down, A::template gradient<"mlp.down">(dtokens, layer), d1, s.activated,
                               s.xa_down, p.down, adapters.template of<"mlp.down">(layer), adapters.which, adapters.scale);
    gelu_backward(ctx, draised, as_const(draised), as_const(s.raised));
    Up::template backward<T>(ctx, ws, d1, dp.up, A::template gradient<"mlp.up">(dtokens, layer), draised, s.modulated2,
                             s.xa_up, p.up, adapters.template of<"mlp.up">(layer), adapters.which, adapters.scale);
    modulate_backward(ctx, d2, columns<3 * W, W>(dmod), columns<4 * W, W>(dmod), as_const(d1), as_const(s.normed2),
                      columns<4 * W, W>(mod));
    layer_norm_backward_add(ctx, dx, no_dgain, no_dbias, as_const(d2), as_const(s.middle), as_const(s.mean2),
                            as_const(s.inv_std2), no_gain);

    gated_add_backward(ctx, d1, columns<2 * W, W>(dmod), as_const(dx), as_const(s.attended), columns<2 * W, W>(mod));
    Out::template backward<T>(ctx, ws, d2, dp.out, A::template gradient<"attn.out">(dtokens, layer), d1, s.mixed, s.xa_out,
                              p.out, adapters.template of<"attn.out">(layer), adapters.which, adapters.scale);
    const auto qkv = as_const(s.qkv);
    attention_backward<HeadWidth>(ctx, ws, columns<0, W>(dqkv), columns<W, W>(dqkv), columns<2 * W, W>(dqkv), as_const(d2),
                                  as_const(s.mixed), as_const(s.lse), columns<0, W>(qkv), columns<W, W>(qkv),
                                  columns<2 * W, W>(qkv), s.rows);
    rope_backward<HeadWidth>(ctx, columns<0, W>(dqkv), s.rotary);
    rope_backward<HeadWidth>(ctx, columns<W, W>(dqkv), s.rotary);
    Qkv::template backward<T>(ctx, ws, d1, dp.qkv, A::template gradient<"attn.qkv">(dtokens, layer), dqkv, s.modulated1,
                              s.xa_qkv, p.qkv, adapters.template of<"attn.qkv">(layer), adapters.which, adapters.scale);
    modulate_backward(ctx, d2, columns<0, W>(dmod), columns<W, W>(dmod), as_const(d1), as_const(s.normed1),
                      columns<W, W>(mod));
    layer_norm_backward_add(ctx, dx, no_dgain, no_dbias, as_const(d2), s.x, as_const(s.mean1), as_const(s.inv_std1),
                            no_gain);

    if (!dc.data) return;
    const auto part = ws.take<T, dyn, W>(b);
    linear_backward(ctx, part, dp.modulation.weight, dp.modulation.bias, as_const(dmod), s.c, p.modulation.weight);
    add(ctx, dc, as_const(part));
  }
};

}  // namespace wu::backbone
