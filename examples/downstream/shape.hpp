// The frozen backbone: a small network that works on rows of numbers. It is told a time and answers with a position.
//     x = in(waves(t))        x += down(SiLU(up(x))), three times        y = out(x)
// t: (rows, 1)   waves: (rows, 16)   x: (rows, W)   y: (rows, 1)
// `up` and `down` of every layer take adapters; `in` and `out` do not.
#pragma once

#include <array>
#include <cmath>
#include <numbers>

#include "wu/backbone/adapters.hpp"
#include "wu/nn/initialise.hpp"
#include "wu/nn/linear.hpp"
#include "wu/ops/activations.hpp"
#include "wu/ops/elementwise.hpp"

namespace springs {

using wu::Index, wu::View, wu::dyn;

/// A time as the networks see it: cos(k pi t / 2) and sin(k pi t / 2), k = 1 .. 8.
inline constexpr Index waves = 16;
template <class T>
void write_waves(T* out, T t) {
  for (Index k = 0; k < waves / 2; ++k) {
    const T angle = static_cast<T>(k + 1) * static_cast<T>(std::numbers::pi / 2) * t;
    out[2 * k] = std::cos(angle), out[2 * k + 1] = std::sin(angle);
  }
}

struct Backbone {
  static constexpr Index layers = 3, W = 32, H = 64, rank = 4;

  // Which linear layers are adapted, and how their adapters are cut into tokens of rank x 32 numbers.
  using Shape = wu::AdaptedLayers<layers, wu::Adapted<"up", W, H>, wu::Adapted<"down", H, W>>;
  using Tokens = wu::Tokenizer<rank, /*token width*/ 32>::of<Shape>;
  template <class T>
  using Adapters = wu::backbone::Adapters<Tokens, T>;

  using In = wu::Linear<waves, W>;
  using Up = wu::LoRALinear<W, H, rank>;
  using Down = wu::LoRALinear<H, W, rank>;
  using Out = wu::Linear<W, 1>;

  template <class T>
  struct Layer {
    typename Up::template Parameters<T> up;
    typename Down::template Parameters<T> down;
    constexpr void visit(auto&& at) { at("up", up), at("down", down); }
  };
  template <class T>
  struct Parameters {
    typename In::template Parameters<T> in;
    std::array<Layer<T>, layers> layer;
    typename Out::template Parameters<T> out;
    constexpr void visit(auto&& at) { at("in", in), at("layers", layer), at("out", out); }
  };

  // What backward needs from forward.
  template <class T>
  struct Saved {
    View<T, dyn, waves> waved;
    std::array<View<T, dyn, W>, layers + 1> x;  // before every layer, and after the last
    std::array<View<T, dyn, H>, layers> raised, activated;
    std::array<View<T, dyn, rank>, layers> xa_up, xa_down;
  };

  template <class T>
  static void initialise(Parameters<T> p, std::uint64_t seed) {
    wu::initialise(p, seed, "backbone");
  }

  template <class T>
  static Saved<T> forward(auto& ctx, wu::Workspace& ws, View<T, dyn, 1> y, View<const T, dyn, 1> t,
                          const Parameters<const T>& p, const Adapters<T>& adapters) {
    const Index rows = t.rows();
    wu::backbone::check(ctx, adapters, static_cast<Index>(adapters.which.size()));
    Saved<T> s;
    s.waved = ws.take<T, dyn, waves>(rows);
    for (Index r = 0; r < rows; ++r) write_waves(s.waved.row(r), t[r]);
    for (auto& x : s.x) x = ws.take<T, dyn, W>(rows);
    In::forward(ctx, s.x[0], wu::as_const(s.waved), p.in);
    for (std::size_t l = 0; l < layers; ++l) {
      s.raised[l] = ws.take<T, dyn, H>(rows), s.activated[l] = ws.take<T, dyn, H>(rows);
      const auto& layer = p.layer[l];
      const auto n = static_cast<Index>(l);
      s.xa_up[l] = Up::forward<T>(ctx, ws, s.raised[l], s.x[l], layer.up, adapters.template of<"up">(n), adapters.which,
                                  adapters.scale);
      silu_forward(ctx, s.activated[l], wu::as_const(s.raised[l]));
      s.xa_down[l] = Down::forward<T>(ctx, ws, s.x[l + 1], s.activated[l], layer.down, adapters.template of<"down">(n),
                                      adapters.which, adapters.scale);
      add(ctx, s.x[l + 1], wu::as_const(s.x[l]));
    }
    Out::forward(ctx, y, wu::as_const(s.x[layers]), p.out);
    return s;
  }

  /// Adds to dp and to dtokens. Either may be null: pre-training has no adapters, and a frozen backbone wants no gradients.
  template <class T>
  static void backward(auto& ctx, wu::Workspace& ws, const Parameters<T>& dp, Tokens::Tokens<T> dtokens,
                       View<const T, dyn, 1> dy, const Saved<T>& s, const Parameters<const T>& p,
                       const Adapters<T>& adapters) {
    const wu::Workspace::Scope scope(ws);
    const auto dx = ws.take<T, dyn, W>(dy.rows()), part = ws.take<T, dyn, W>(dy.rows());
    const auto draised = ws.take<T, dyn, H>(dy.rows());
    Out::backward(ctx, dx, dp.out, dy, wu::as_const(s.x[layers]), p.out);
    for (std::size_t l = layers; l-- > 0;) {
      const auto& layer = p.layer[l];
      const auto n = static_cast<Index>(l);
      Down::backward<T>(ctx, ws, draised, dp.layer[l].down, adapters.template gradient<"down">(dtokens, n), dx,
                        s.activated[l], s.xa_down[l], layer.down, adapters.template of<"down">(n), adapters.which,
                        adapters.scale);
      silu_backward(ctx, draised, wu::as_const(draised), wu::as_const(s.raised[l]));
      Up::backward<T>(ctx, ws, part, dp.layer[l].up, adapters.template gradient<"up">(dtokens, n), draised, s.x[l],
                      s.xa_up[l], layer.up, adapters.template of<"up">(n), adapters.which, adapters.scale);
      add(ctx, dx, wu::as_const(part));  // the residual: dx also goes past the layer
    }
    In::backward(ctx, View<T, dyn, waves>(), dp.in, wu::as_const(dx), wu::as_const(s.waved), p.in);
  }
};

}  // namespace springs
