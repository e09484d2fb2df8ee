// A plain pre-norm transformer block for encoders:  x += Attention(RMSNorm(x))   x += FeedForward(RMSNorm(x))
// x: (b * L, C), every sample attends within itself; positions are whatever was added to x before.
#pragma once

#include <tuple>

#include "wu/nn/attention.hpp"
#include "wu/nn/feed_forward.hpp"
#include "wu/nn/norm.hpp"

namespace wu {

/// The formula stands at the top of the file. Hidden: the width between the two layers of the feed-forward part.
template <Index C, Index HeadWidth, Index Hidden = 4 * C>
struct EncoderBlock {
  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    typename RMSNorm<C>::template Parameters<T> norm1, norm2;
    typename Attention<C, HeadWidth>::template Parameters<T> attention;
    typename FeedForward<C, Hidden>::template Parameters<T> feed_forward;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      at("norm1", norm1);
      at("attention", attention);
      at("norm2", norm2);
      at("feed_forward", feed_forward);
    }
  };

  static std::string describe() {
    return "EncoderBlock of " + Attention<C, HeadWidth>::describe_width() + ", feed-forward " +
           FeedForward<C, Hidden>::describe_widths() + ": " + text::parameters<EncoderBlock>() + text::parts<EncoderBlock>();
  }

  /// What forward takes before the weights: y, x.
  template <class T>
  using Operands = std::tuple<View<T, dyn, C>, View<const T, dyn, C>>;
  /// What backward needs, in the workspace until the caller's scope ends.
  template <class T>
  struct Saved {
    View<const T, dyn, C> x;
    View<T, dyn, C> middle;  // the norms' outputs are computed again
    View<accumulator_t<T>, dyn> inv_rms1, inv_rms2;
    typename Attention<C, HeadWidth>::template Saved<T> attention;
    typename FeedForward<C, Hidden>::template Saved<T> hidden;
  };
  /// What forward takes from the workspace and keeps.
  template <class T>
  static constexpr std::size_t saved_bytes(Index rows) {
    return Workspace::bytes_of<T>(rows * C) + 2 * Workspace::bytes_of<accumulator_t<T>>(rows) +
           Attention<C, HeadWidth>::template saved_bytes<T>(rows, rows) +
           FeedForward<C, Hidden>::template saved_bytes<T>(rows);
  }
  /// Floating-point operations of forward in products, for `batch` samples in so many rows.
  static constexpr double operations(Index rows, Index batch) {
    return Attention<C, HeadWidth>::operations(rows, rows, rows / batch) + FeedForward<C, Hidden>::operations(rows);
  }

  /// y, x: (batch * L, C); y null: not wanted. Throws ShapeError if the rows are no multiple of the batch.
  template <class T>
  static Saved<T> forward(auto& ctx, Workspace& ws, View<T, dyn, C> y, View<const T, dyn, C> x, const Parameters<const T>& p,
                          Index batch) {
    using Sum = accumulator_t<T>;
    if (batch < 1 || x.rows() % batch != 0)
      throw ShapeError(message("encoder block: expected a multiple of ", batch, " samples' rows, found ", x.rows()));
    Saved<T> s{x, ws.take<T, dyn, C>(x.rows()), ws.take<Sum, dyn>(x.rows()), ws.take<Sum, dyn>(x.rows()), {}, {}};
    const Rotary<accumulator_t<T>, 0> no_rotation;
    // Each part is given its norm's output where its own will be: it reads the one before it writes the other.
    rms_norm_forward(ctx, s.middle, s.inv_rms1, x, p.norm1.weight);
    s.attention = Attention<C, HeadWidth>::template forward<T>(ctx, ws, s.middle, s.middle, s.middle, p.attention,
                                                               no_rotation, no_rotation, samples(x.rows(), batch), x);
    const auto normed = y.data ? y : ws.take<T, dyn, C>(x.rows());
    rms_norm_forward(ctx, normed, s.inv_rms2, as_const(s.middle), p.norm2.weight);
    s.hidden = FeedForward<C, Hidden>::template forward<T>(ctx, ws, y, normed, p.feed_forward, s.middle);
    return s;
  }

  /// dx comes in as the gradient of y and goes out as the gradient of x. batch: as in forward.
  template <class T>
  static void backward(auto& ctx, Workspace& ws, View<T, dyn, C> dx, const Parameters<accumulator_t<T>>& dp,
                       const Saved<T>& s, const Parameters<const T>& p, Index batch) {
    const Workspace::Scope scope(ws);
    const auto dnormed = ws.take<T, dyn, C>(dx.rows()), normed = ws.take<T, dyn, C>(dx.rows());
    const auto inv_rms = ws.take<accumulator_t<T>, dyn>(dx.rows());
    const Rotary<accumulator_t<T>, 0> no_rotation;
    rms_norm_forward(ctx, normed, inv_rms, as_const(s.middle), p.norm2.weight);
    auto hidden = s.hidden;
    hidden.x = normed;
    FeedForward<C, Hidden>::template backward<T>(ctx, ws, dnormed, dp.feed_forward, dx, hidden, p.feed_forward);
    rms_norm_backward_add(ctx, dx, dp.norm2.weight, as_const(dnormed), as_const(s.middle), as_const(s.inv_rms2),
                          p.norm2.weight);
    rms_norm_forward(ctx, normed, inv_rms, s.x, p.norm1.weight);
    auto attention = s.attention;
    attention.x = attention.u = normed;
    Attention<C, HeadWidth>::template backward<T>(ctx, ws, dnormed, View<T, dyn, C>(), dp.attention, dx, attention,
                                                  p.attention, no_rotation, no_rotation, samples(dx.rows(), batch));
    rms_norm_backward_add(ctx, dx, dp.norm1.weight, as_const(dnormed), s.x, as_const(s.inv_rms1), p.norm1.weight);
  }

 private:
  /// Every sample's rows attend to one another.
  static AttentionRows samples(Index rows, Index batch) {
    const Index length = rows / batch;
    AttentionRows attended;
    attended.query_group.push({batch, length}), attended.query.push({length, 1});
    attended.key_group = attended.query_group, attended.key = attended.query;
    return attended;
  }
};

}  // namespace wu
