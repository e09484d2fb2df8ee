// One block of the generator: self attentions over groups of the grid's axes in a given order, cross attention to the
// condition, feed-forward; each residual and pre-norm.                                            paper section 3.5, figure 5
//     x += Attend_k(RMSNorm(x; norm_k))  for each k       x += Cross(RMSNorm(x), u)       x += FeedForward(RMSNorm(x))
// x: (b * grid, C), positions of one sample contiguous   u: (b * L, C), not normed again
// Nothing depends on the condition before the first cross attention. The first block may therefore be given one sample,
// (grid, C): its self attentions then run once, and their result is copied to all b samples.
#pragma once

#include <algorithm>
#include <array>
#include <tuple>

#include "wu/core/fits.hpp"
#include "wu/generator/grid.hpp"
#include "wu/nn/attention.hpp"
#include "wu/nn/feed_forward.hpp"
#include "wu/nn/norm.hpp"

namespace wu {

/// Self attention over the axes it names, within groups that share the others; rotary positions on each attended axis.
/// Field is its parameters' name in the checkpoint. Over a Grid it becomes FactorizedAttention<...>::over<Grid, C, D>.
template <Name Field, Name... Axes>
struct FactorizedAttention {
  static_assert(fits<(sizeof...(Axes) > 0), "FactorizedAttention: expected at least one axis to attend over, found ",
                     sizeof...(Axes)>);
  static constexpr auto field = Field;
  /// "self_attn_hw over token × rank"
  static std::string describe() {
    std::string axes;
    ((axes += (axes.empty() ? "" : " × ") + std::string(Axes.view())), ...);
    return std::string(Field.view()) + " over " + axes;
  }

  /// The attention's module and rows on grid G, at width C with heads of HeadWidth.
  template <class G, Index C, Index HeadWidth>
  struct over : Attention<C, HeadWidth> {
    /// Whether the grid's first axis is one of those attended over, and whether it is the only one.
    static constexpr bool over_first = ((G::template axis<Axes>() == 0) || ...),
                          over_first_alone = over_first && sizeof...(Axes) == 1;
    static constexpr auto rotary_axes = G::template rotary<HeadWidth, Axes...>();
    static constexpr Index length = (Index{1} * ... * G::sizes[G::template axis<Axes>()]);
    /// Which rows attend to which, for `batch` grids one after the other.
    static AttentionRows rows(Index batch) { return G::template attend<Axes...>(batch); }
    /// The same for `count` indices of the first axis, which is not attended over: their rows lie one after the other.
    static AttentionRows rows_within(Index count) { return G::Inner::template attend<Axes...>(count); }
  };
};

/// Which self attentions a block has, in order.
template <class... Attentions>
struct BlockOrder {};

/// The order and the names of the released checkpoint: over layers, then within a layer.
using ReleasedOrder =
    BlockOrder<FactorizedAttention<"self_attn_n", "layer">, FactorizedAttention<"self_attn_hw", "token", "rank">>;
/// The paper's order: within a layer, then over layers.
using PaperOrder =
    BlockOrder<FactorizedAttention<"self_attn_hw", "token", "rank">, FactorizedAttention<"self_attn_n", "layer">>;

/// A block with the self attentions of Order over grid G, at width C.
template <class Order, class G, Index C, Index HeadWidth>
struct GeneratorBlock;

/// The formulas stand at the top of the file.
template <class... Attentions, class G, Index C, Index HeadWidth>
struct GeneratorBlock<BlockOrder<Attentions...>, G, C, HeadWidth> {
  /// How many self attentions the block has.
  static constexpr std::size_t self_count = sizeof...(Attentions);
  /// How many positions the k-th self attention of the block goes over.
  static constexpr Index attended(std::size_t k) {
    const std::array<Index, self_count> lengths{Attentions::template over<G, C, HeadWidth>::length...};
    return lengths[k];
  }
  /// The feed-forward part's inner width.
  static constexpr Index hidden = 4 * C;
  /// The I-th self attention.
  template <std::size_t I>
  using Self = typename std::tuple_element_t<I, std::tuple<Attentions...>>::template over<G, C, HeadWidth>;
  /// The cross attention.
  using Cross = Attention<C, HeadWidth>;
  /// The feed-forward part.
  using Hidden = FeedForward<C, hidden>;

  /// What a block does, in order.
  static std::string describe() {
    std::string text;
    ((text += Attentions::describe() + ", "), ...);
    return text + "cross attention, feed-forward " + Hidden::describe_widths();
  }

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    std::array<typename RMSNorm<C>::template Parameters<T>, self_count + 2> norm;
    std::array<typename Cross::template Parameters<T>, self_count> self;
    typename Cross::template Parameters<T> cross;
    typename Hidden::template Parameters<T> feed_forward;

    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      constexpr const char* fields[] = {Attentions::field.c_str()...};
      constexpr const char* norms[] = {"norm1", "norm2", "norm3", "norm4", "norm5", "norm6"};
      static_assert(fits<(sizeof...(Attentions) <= 4), "BlockOrder: expected at most 4 self attentions in a block, found ",
                         sizeof...(Attentions)>);
      for (std::size_t k = 0; k < self_count; ++k) at(norms[k], norm[k]), at(fields[k], self[k]);
      at(norms[self_count], norm[self_count]);
      at("self_attn_cross", cross);
      at(norms[self_count + 1], norm[self_count + 1]);
      at("feed_forward", feed_forward);
    }
  };

  /// What all blocks share in one forward pass: the rotary tables (of float for bfloat16) and which rows attend to which.
  template <class T, std::size_t QueryAxes, std::size_t KeyAxes>
  struct Shared {
    std::tuple<Rotary<T, Attentions::template over<G, C, HeadWidth>::rotary_axes.size()>...> rotary;
    std::array<AttentionRows, self_count> rows, rows_of_one;  // for the batch, and for one sample
    Rotary<T, QueryAxes> cross_q;
    Rotary<T, KeyAxes> cross_k;
    AttentionRows cross_rows;
  };

  /// What forward takes before the weights: y, x, u.
  template <class T>
  using Operands = std::tuple<View<T, dyn, C>, View<const T, dyn, C>, View<const T, dyn, C>>;
  /// What backward needs, in the workspace until the caller's scope ends.
  template <class T>
  struct Saved {
    std::array<View<const T, dyn, C>, self_count + 2> x;  // the input of each norm, whose output is computed again
    std::array<View<accumulator_t<T>, dyn>, self_count + 2> inv_rms;
    std::array<typename Cross::template Saved<T>, self_count> self;
    typename Cross::template Saved<T> cross;
    typename Hidden::template Saved<T> hidden;
  };

  /// The bytes that forward takes from the workspace and keeps for backward, for so many rows of y, x and u.
  template <class T>
  static constexpr std::size_t saved_bytes(Index rows, Index x_rows, Index condition_rows) {
    const auto wide = [](Index n) { return Workspace::bytes_of<T>(n * C); };
    const auto norm = [](Index n) { return Workspace::bytes_of<accumulator_t<T>>(n); };
    const std::size_t self = norm(x_rows) + Cross::template saved_bytes<T>(x_rows, x_rows) + wide(x_rows);
    const std::size_t cross = norm(rows) + Cross::template saved_bytes<T>(rows, condition_rows) + wide(rows);
    return self_count * self + (x_rows != rows ? wide(rows) : 0) + cross + norm(rows) +
           Hidden::template saved_bytes<T>(rows);
  }

  /// What forward takes from the workspace, y wanted or not, for so many rows of y, x and u. scratch: a device's, as
  /// ReferenceScratch.
  template <class T>
  static constexpr ForwardBytes forward_bytes(bool wanted, Index rows, Index x_rows, Index condition_rows,
                                              const auto& scratch) {
    const auto norm = [](Index n) { return Workspace::bytes_of<accumulator_t<T>>(n); };
    const auto wide = [](Index n) { return Workspace::bytes_of<T>(n * C); };
    ForwardBytes bytes;
    const auto part = [&](ForwardBytes more) {
      bytes.most = std::max(bytes.most, bytes.kept + more.most);
      bytes.kept += more.kept;
    };
    for (std::size_t k = 0; k < self_count; ++k) {
      bytes.kept += wide(x_rows) + norm(x_rows);
      part(Cross::template forward_bytes<T>(x_rows, x_rows, attended(k), attended(k), scratch));
    }
    bytes.kept += (x_rows != rows ? wide(rows) : 0) + wide(rows) + norm(rows);
    part(Cross::template forward_bytes<T>(rows, condition_rows, G::size, condition_rows / (rows / G::size), scratch));
    bytes.kept += (wanted ? 0 : wide(rows)) + norm(rows);
    part(Hidden::template forward_bytes<T>(wanted, rows));
    return bytes;
  }
  /// What backward takes from the workspace at once.
  template <class T>
  static constexpr std::size_t backward_bytes(Index rows, Index x_rows, Index condition_rows, const auto& scratch) {
    std::size_t most = std::max(
        Hidden::template backward_bytes<T>(rows),
        Cross::template backward_bytes<T>(rows, condition_rows, G::size, condition_rows / (rows / G::size), scratch));
    for (std::size_t k = 0; k < self_count; ++k)
      most = std::max(most, Cross::template backward_bytes<T>(x_rows, x_rows, attended(k), attended(k), scratch));
    return 2 * Workspace::bytes_of<T>(rows * C) + Workspace::bytes_of<accumulator_t<T>>(rows) + most;
  }

  /// x: as many rows as y, or those of one sample, which then stands for every sample. y null: its values are not wanted.
  template <class T>
  static Saved<T> forward(auto& ctx, Workspace& ws, View<T, dyn, C> y, View<const T, dyn, C> x, View<const T, dyn, C> u,
                          const Parameters<const T>& p, const auto& shared) {
    if (x.rows() != y.rows() && x.rows() != G::size)
      throw ShapeError(
          message("generator block: expected ", y.rows(), " rows or one sample's ", G::size, ", found ", x.rows()));
    Saved<T> s;
    const bool one = x.rows() != y.rows();
    x = self_attentions(ctx, ws, s, x, p, shared, one ? shared.rows_of_one : shared.rows);
    others(ctx, ws, s, y, x, u, p, shared);
    return s;
  }

  /// The part of forward that does not read the condition, for one sample: y, x (grid, C). Nothing is kept.
  template <class T>
  static void forward_self_attentions(auto& ctx, Workspace& ws, View<T, dyn, C> y, View<const T, dyn, C> x,
                                      const Parameters<const T>& p, const auto& shared) {
    const Workspace::Scope scope(ws);
    Saved<T> s;
    copy(ctx, y, self_attentions(ctx, ws, s, x, p, shared, shared.rows_of_one));
  }
  /// What is left of forward then: x is forward_self_attentions' y. Nothing is kept.
  template <class T>
  static void forward_others(auto& ctx, Workspace& ws, View<T, dyn, C> y, View<const T, dyn, C> x, View<const T, dyn, C> u,
                             const Parameters<const T>& p, const auto& shared) {
    const Workspace::Scope scope(ws);
    Saved<T> s;
    others(ctx, ws, s, y, x, u, p, shared);
  }

  /// dx comes in as the gradient of y and goes out as the gradient of x, in its first rows where x was one sample; du is added to.
  template <class T>
  static void backward(auto& ctx, Workspace& ws, View<T, dyn, C> dx /* in: dy, out: dx */, View<T, dyn, C> du /* += */,
                       const Parameters<accumulator_t<T>>& dp, const Saved<T>& s, const Parameters<const T>& p,
                       const auto& shared) {
    const Workspace::Scope scope(ws);
    auto dnormed = ws.take<T, dyn, C>(dx.rows()), normed = ws.take<T, dyn, C>(dx.rows());
    const auto inv_rms = ws.take<accumulator_t<T>, dyn>(dx.rows());
    auto norm_again = [&](std::size_t k) {
      const auto& x = s.x[k];
      rms_norm_forward(ctx, normed, View<accumulator_t<T>, dyn>(inv_rms.data, x.rows()), x, p.norm[k].weight);
      return as_const(normed);
    };
    auto through_norm = [&](std::size_t k) {
      rms_norm_backward_add(ctx, dx, dp.norm[k].weight, as_const(dnormed), s.x[k], as_const(s.inv_rms[k]), p.norm[k].weight);
    };
    auto feed = s.hidden;
    feed.x = norm_again(self_count + 1);
    Hidden::template backward<T>(ctx, ws, dnormed, dp.feed_forward, dx, feed, p.feed_forward);
    through_norm(self_count + 1);
    auto cross = s.cross;
    cross.x = norm_again(self_count);
    Cross::template backward<T>(ctx, ws, dnormed, du, dp.cross, dx, cross, p.cross, shared.cross_q, shared.cross_k,
                                shared.cross_rows);
    through_norm(self_count);
    const bool one = s.x[0].rows() != dx.rows();
    if (one) {  // the copies' gradients add up
      const auto all = dx;
      dx = {all.data, s.x[0].rows()}, dnormed = {dnormed.data, dx.rows()}, normed = {normed.data, dx.rows()};
      broadcast_rows_backward(ctx, dx, View<const T, dyn, C>(all.row(dx.rows()), all.rows() - dx.rows()));
    }
    auto self = [&]<std::size_t K>(std::integral_constant<std::size_t, K>) {
      const auto& rotary = std::get<K>(shared.rotary);
      auto saved = s.self[K];
      saved.x = saved.u = norm_again(K);
      Cross::template backward<T>(ctx, ws, dnormed, View<T, dyn, C>(), dp.self[K], dx, saved, p.self[K], rotary, rotary,
                                  (one ? shared.rows_of_one : shared.rows)[K]);
      through_norm(K);
    };
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      (self(std::integral_constant<std::size_t, self_count - 1 - K>{}), ...);
    }(std::make_index_sequence<self_count>{});
  }

 private:
  /// Each part of forward is given its norm's output where its own will be: it reads the one before it writes the other.
  template <class T>
  static View<const T, dyn, C> norm(auto& ctx, Workspace& ws, Saved<T>& s, std::size_t k, View<T, dyn, C> normed,
                                    View<const T, dyn, C> x, const Parameters<const T>& p) {
    s.x[k] = x;
    s.inv_rms[k] = ws.take<accumulator_t<T>, dyn>(x.rows());
    rms_norm_forward(ctx, normed, s.inv_rms[k], x, p.norm[k].weight);
    return normed;
  }
  /// Up to the cross attention; gives what comes out.
  template <class T>
  static View<const T, dyn, C> self_attentions(auto& ctx, Workspace& ws, Saved<T>& s, View<const T, dyn, C> x,
                                               const Parameters<const T>& p, const auto& shared,
                                               const std::array<AttentionRows, self_count>& rows) {
    auto self = [&]<std::size_t K>(std::integral_constant<std::size_t, K>) {
      const auto next = ws.take<T, dyn, C>(x.rows());
      const auto normed = norm(ctx, ws, s, K, next, x, p);
      const auto& rotary = std::get<K>(shared.rotary);
      s.self[K] = Cross::template forward<T>(ctx, ws, next, normed, normed, p.self[K], rotary, rotary, rows[K], x);
      x = next;
    };
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      (self(std::integral_constant<std::size_t, K>{}), ...);
    }(std::make_index_sequence<self_count>{});
    return x;
  }
  /// From the cross attention on. x: as many rows as y, or those of one sample.
  template <class T>
  static void others(auto& ctx, Workspace& ws, Saved<T>& s, View<T, dyn, C> y, View<const T, dyn, C> x,
                     View<const T, dyn, C> u, const Parameters<const T>& p, const auto& shared) {
    if (x.rows() != y.rows()) {
      const auto copies = ws.take<T, dyn, C>(y.rows());
      broadcast_rows_forward(ctx, copies, x);
      x = copies;
    }
    const auto next = ws.take<T, dyn, C>(x.rows());
    const auto normed = norm(ctx, ws, s, self_count, next, x, p);
    s.cross =
        Cross::template forward<T>(ctx, ws, next, normed, u, p.cross, shared.cross_q, shared.cross_k, shared.cross_rows, x);
    x = next;
    const auto last = norm(ctx, ws, s, self_count + 1, y.data ? y : ws.take<T, dyn, C>(x.rows()), x, p);
    s.hidden = Hidden::template forward<T>(ctx, ws, y, last, p.feed_forward, x);
  }
};

}  // namespace wu
