// The pixel stream of a layer, at half resolution: what a token of 8 x 8 pixels is too coarse for.
//     m = upsample(out(LN(tokens)))                           (shift, scale) for every pixel, from the token stream
//     f = depthwise5x5(x * (1 + scale) + shift)
//     y = f + down(GELU(up(f)))                               x, f, y: (b, rows, columns, P)
// No norm: amplitudes are what a filter works on, and a linear path from input to output must stay linear.
#pragma once

#include <tuple>

#include "wu/backbone/adapters.hpp"
#include "wu/nn/linear.hpp"
#include "wu/ops/activations.hpp"
#include "wu/ops/depthwise.hpp"
#include "wu/ops/elementwise.hpp"
#include "wu/ops/layer_norm.hpp"
#include "wu/ops/modulate.hpp"
#include "wu/ops/resample.hpp"

namespace wu::backbone {

/// W, P: widths of the token and pixel streams; Hidden: between pixel.up and pixel.down. The formulas stand at the top of
/// the file.
template <Index W, Index P, Index Hidden, Index Rank>
struct PixelBlock {
  /// token.out
  using Steer = LoRALinear<W, 2 * P, Rank>;
  /// pixel.up
  using Up = LoRALinear<P, Hidden, Rank>;
  /// pixel.down
  using Down = LoRALinear<Hidden, P, Rank>;

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    typename Steer::template Parameters<T> steer;
    View<T, 25, P> filters;
    typename Up::template Parameters<T> up;
    typename Down::template Parameters<T> down;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      at("token.out", steer), at("pixel.filters", filters), at("pixel.up", up), at("pixel.down", down);
    }
  };

  static std::string describe() {
    return "PixelBlock of width " + text::grouped(P) + ", hidden " + text::grouped(Hidden) +
           ", steered by tokens of width " + text::grouped(W) + ", adapters of rank " + text::grouped(Rank) + ": " +
           text::parameters<PixelBlock>() + text::parts<PixelBlock>();
  }

  /// What forward takes before the weights: y, x, tokens.
  template <class T>
  using Operands = std::tuple<View<T, dyn, dyn, dyn, P>, View<const T, dyn, dyn, dyn, P>, View<const T, dyn, dyn, dyn, W>>;
  /// What backward needs, in the workspace until the caller's scope ends.
  template <class T>
  struct Saved {
    View<const T, dyn, W> tokens;
    View<const T, dyn, dyn, dyn, P> x;
    View<T, dyn, W> normed;
    View<accumulator_t<T>, dyn> mean, inv_std;
    View<T, dyn, dyn, dyn, 2 * P> fine;
    View<T, dyn, dyn, dyn, P> steered, filtered;
    View<T, dyn, Hidden> raised, activated;
    View<T, dyn, Rank> xa_steer, xa_up, xa_down;
  };
  /// What forward takes from the workspace and keeps, for so many pixels and tokens, with or without adapters.
  template <class T>
  static constexpr std::size_t saved_bytes(Index pixels, Index cells, bool adapted = true) {
    return Workspace::bytes_of<T>(cells * W) + 2 * Workspace::bytes_of<accumulator_t<T>>(cells) +
           Workspace::bytes_of<T>(cells * 2 * P) + Workspace::bytes_of<T>(pixels * 2 * P) +
           2 * Workspace::bytes_of<T>(pixels * P) + 2 * Workspace::bytes_of<T>(pixels * Hidden) +
           Steer::template saved_bytes<T>(cells, adapted) + Up::template saved_bytes<T>(pixels, adapted) +
           Down::template saved_bytes<T>(pixels, adapted);
  }
  /// Floating-point operations of forward in products; a filter's window counts as whole at the border too.
  static constexpr double operations(Index pixels, Index cells, bool adapted = true) {
    return Steer::operations(cells, adapted) + Up::operations(pixels, adapted) + Down::operations(pixels, adapted) +
           2 * 25 * static_cast<double>(pixels) * static_cast<double>(P);
  }

  /// y, x: (b, rows, columns, P)   tokens: (b, rows / F, columns / F, W). y null: not wanted. Throws ShapeError if the
  /// grids are no multiple of each other.
  template <class T, class A>
  static Saved<T> forward(auto& ctx, Workspace& ws, View<T, dyn, dyn, dyn, P> y, View<const T, dyn, dyn, dyn, P> x,
                          View<const T, dyn, dyn, dyn, W> tokens, const Parameters<const T>& p, const A& adapters,
                          Index layer) {
    const Index b = x.extent(0), height = x.extent(1), width = x.extent(2), n = x.rows(), cells = tokens.rows();
    Saved<T> s;
    s.tokens = tokens.flat(), s.x = x;
    s.normed = ws.take<T, dyn, W>(cells), s.mean = ws.take<accumulator_t<T>, dyn>(cells),
    s.inv_std = ws.take<accumulator_t<T>, dyn>(cells);
    const View<const T, W> none;
    layer_norm_forward(ctx, s.normed, s.mean, s.inv_std, s.tokens, none, none);
    const auto coarse = ws.take<T, dyn, dyn, dyn, 2 * P>(b, tokens.extent(1), tokens.extent(2));
    s.xa_steer = Steer::template forward<T>(ctx, ws, coarse.flat(), s.normed, p.steer,
                                            adapters.template of<"token.out">(layer), adapters.which, adapters.scale);
    s.fine = ws.take<T, dyn, dyn, dyn, 2 * P>(b, height, width);
    upsample_forward(ctx, s.fine, as_const(coarse));
    s.steered = ws.take<T, dyn, dyn, dyn, P>(b, height, width), s.filtered = ws.take<T, dyn, dyn, dyn, P>(b, height, width);
    const auto fine = as_const(s.fine);
    modulate_forward(ctx, s.steered.flat(), x.flat(), columns<0, P>(fine), columns<P, P>(fine));
    depthwise_forward(ctx, s.filtered, as_const(s.steered), p.filters);
    s.raised = ws.take<T, dyn, Hidden>(n), s.activated = ws.take<T, dyn, Hidden>(n);
    s.xa_up = Up::template forward<T>(ctx, ws, s.raised, s.filtered.flat(), p.up, adapters.template of<"pixel.up">(layer),
                                      adapters.which, adapters.scale);
    gelu_forward(ctx, s.activated, as_const(s.raised));
    if (!y.data) y = ws.take<T, dyn, dyn, dyn, P>(b, height, width);  // the adapter's part of it is on the way to xa_down
    s.xa_down = Down::template forward<T>(ctx, ws, y.flat(), s.activated, p.down, adapters.template of<"pixel.down">(layer),
                                          adapters.which, adapters.scale);
    add(ctx, y.flat(), as_const(s.filtered).flat());
    return s;
  }

  /// dx comes in as the gradient of y and goes out as that of x; dtoken_stream is added to.
  template <class T, class A, class Tokens>
  static void backward(auto& ctx, Workspace& ws, View<T, dyn, dyn, dyn, P> dx,
                       View<T, dyn, dyn, dyn, W> dtoken_stream /* += */, const Parameters<accumulator_t<T>>& dp,
                       Tokens dtokens, const Saved<T>& s, const Parameters<const T>& p, const A& adapters, Index layer) {
    const Workspace::Scope scope(ws);
    const Index b = dx.extent(0), height = dx.extent(1), width = dx.extent(2), n = dx.rows(), cells = dtoken_stream.rows();
    const auto draised = ws.take<T, dyn, Hidden>(n);
    const auto dfiltered = ws.take<T, dyn, dyn, dyn, P>(b, height, width),
               dsteered = ws.take<T, dyn, dyn, dyn, P>(b, height, width);
    Down::template backward<T>(ctx, ws, draised, dp.down, A::template gradient<"pixel.down">(dtokens, layer),
                               as_const(dx).flat(), s.activated, s.xa_down, p.down,
                               adapters.template of<"pixel.down">(layer), adapters.which, adapters.scale);
    gelu_backward(ctx, draised, as_const(draised), as_const(s.raised));
    Up::template backward<T>(ctx, ws, dfiltered.flat(), dp.up, A::template gradient<"pixel.up">(dtokens, layer), draised,
                             as_const(s.filtered).flat(), s.xa_up, p.up, adapters.template of<"pixel.up">(layer),
                             adapters.which, adapters.scale);
    add(ctx, dfiltered.flat(), as_const(dx).flat());
    depthwise_backward(ctx, dsteered, dp.filters, as_const(dfiltered), as_const(s.steered), p.filters);
    const auto dfine = ws.take<T, dyn, dyn, dyn, 2 * P>(b, height, width);
    modulate_backward(ctx, dx.flat(), columns<0, P>(dfine), columns<P, P>(dfine), as_const(dsteered).flat(), s.x.flat(),
                      columns<P, P>(as_const(s.fine)));
    const auto dcoarse = ws.take<T, dyn, dyn, dyn, 2 * P>(b, dtoken_stream.extent(1), dtoken_stream.extent(2));
    upsample_backward(ctx, dcoarse, as_const(dfine));
    const auto dnormed = ws.take<T, dyn, W>(cells);
    Steer::template backward<T>(ctx, ws, dnormed, dp.steer, A::template gradient<"token.out">(dtokens, layer),
                                as_const(dcoarse).flat(), s.normed, s.xa_steer, p.steer,
                                adapters.template of<"token.out">(layer), adapters.which, adapters.scale);
    const View<const T, W> no_gain;
    const View<accumulator_t<T>, W> none;
    layer_norm_backward_add(ctx, dtoken_stream.flat(), none, none, as_const(dnormed), s.tokens, as_const(s.mean),
                            as_const(s.inv_std), no_gain);
  }
};

}  // namespace wu::backbone
