// The generator without a backward pass, in little memory: what Generator::forward computes, but of a request's activations only
// the residual stream x is held whole. Whatever else there is, the input of a part, q, k, v, the mixture, the 4C wide
// feed-forward, exists for a slab of rows; the keys and values of the condition once in each block.
//     x: (n h w, C), one request at a time        u: (L, C)        a slab: some 2048 rows, as many as the attended groups allow
// Up to the first cross attention nothing depends on the condition: that part runs once, and a second x keeps it for the
// further requests of a batch.                                                                      paper sections 3.3-3.6
#pragma once

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "wu/core/fits.hpp"
#include "wu/generator/generator.hpp"

namespace wu {

/// How many rows of x are worked on at once.
inline constexpr Index default_slab_rows = 2048;

/// When generate_tokens makes the keys and values of the cross attention, which are the same for every slab of a block.
enum class CrossKeys {
  once_per_block,  ///< kept for its slabs
  once_per_slab,   ///< made again for each: to compare with
};

/// Memory and work of generate_tokens, from the types alone. A device's own scratch is not counted.
struct StreamPlan {
  std::size_t weights =
      0;  ///< bytes of the parameters in the type that is computed in; mapped from a file, they cost no memory
  std::size_t tokens = 0;       ///< bytes of what is generated, for the whole batch
  std::size_t activations = 0;  ///< bytes of x, and of the second x for a batch of more than one
  std::size_t slabs = 0;        ///< bytes of the largest slab with all that is held beside it
  double operations = 0;        ///< floating-point operations in products
  /// What the workspace holds at most.
  constexpr std::size_t workspace() const { return activations + slabs; }
};

namespace detail {

/// The schedule of generate_tokens.
template <class Generator, class T, Index SlabRows, CrossKeys Keys = CrossKeys::once_per_block>
struct Stream {
  static_assert(fits<(SlabRows > 0), "generate_tokens: expected slabs of at least 1 row, found ", SlabRows>);
  using G = Generator;
  using Block = typename G::Block;
  using Attention = typename Block::Cross;
  using Angle = accumulator_t<T>;
  using Rows = View<T, dyn, G::C>;
  using Weights = typename G::template Parameters<const T>;
  static constexpr Index C = G::C, n = G::n, inner = G::h * G::w;

  /// Whole layers while several fit into a slab.
  static constexpr Index slab_layers = std::clamp(SlabRows / inner, Index{1}, n);
  /// Else tokens of one layer, in parts of about one size.
  static constexpr Index parts = (inner + SlabRows - 1) / SlabRows, slab_tokens = (G::h + parts - 1) / parts;
  static constexpr Index slab_rows = parts > 1 ? slab_tokens* G::w : slab_layers* inner;
  /// For attention over layers: so many of a layer's positions, and the same of every other layer.
  static constexpr Index slab_positions = std::clamp(SlabRows / n, Index{1}, inner);

  /// Calls f(first row, count) for slabs that lie within one layer or consist of whole ones.
  template <class F>
  static constexpr void each_slab(F&& f) {
    constexpr Index whole = slab_layers * inner, part = slab_tokens * G::w;
    if constexpr (parts == 1)
      for (Index first = 0; first < G::positions; first += whole) f(first, std::min(whole, G::positions - first));
    else
      for (Index layer = 0; layer < n; ++layer)
        for (Index at = 0; at < inner; at += part) f(layer * inner + at, std::min(part, inner - at));
  }

  /// Rows first .. first + count-1.
  static Rows rows_of(Rows all, Index first, Index count) { return {all.data + first * C, count}; }

  /// The rotary table from row `first` on, for a slab of each_slab: an axis has one position for the whole slab, or begins a new
  /// one there.
  template <std::size_t N>
  static Rotary<Angle, N> rotary_from(Rotary<Angle, N> rotary, Index first) {
    for (std::size_t a = 0; a < N; ++a) {
      RotaryAxis& axis = rotary.axes[a];
      const Index at = first / axis.divisor % axis.positions * axis.width;
      rotary.cos[a] += at, rotary.sin[a] += at;
      if (first % axis.divisor != 0) axis.divisor = axis.positions = 1;
    }
    return rotary;
  }

  static void norm(auto& ctx, Workspace& ws, Rows y, Rows x, View<const T, C> gain) {
    const Workspace::Scope scope(ws);
    rms_norm_forward(ctx, y, ws.take<Angle, dyn>(x.rows()), as_const(x), gain);
  }

  /// Attention of a slab to itself: `slab` holds the norm's output and is lost. The result lies in the workspace.
  static Rows attend(auto& ctx, Workspace& ws, Rows slab, const typename Attention::template Parameters<const T>& p,
                     const auto& rotary, const AttentionRows& rows) {
    const Rows q = ws.take<T, dyn, C>(slab.rows()), k = ws.take<T, dyn, C>(slab.rows()), v = ws.take<T, dyn, C>(slab.rows());
    linear_forward(ctx, k, as_const(slab), p.W_k.weight, p.W_k.bias);
    linear_forward(ctx, v, as_const(slab), p.W_v.weight, p.W_v.bias);
    rope_forward<G::D>(ctx, k, rotary);
    mix(ctx, ws, slab, q, as_const(k), as_const(v), p, rotary, rows);
    return q;
  }
  /// From a slab to q, from q, k and v to the mixture, which replaces the slab, and from the mixture to the result, which replaces
  /// q.
  static void mix(auto& ctx, Workspace& ws, Rows slab, Rows q, View<const T, dyn, C> k, View<const T, dyn, C> v,
                  const typename Attention::template Parameters<const T>& p, const auto& rotary, const AttentionRows& rows) {
    linear_forward(ctx, q, as_const(slab), p.W_q.weight, p.W_q.bias);
    rope_forward<G::D>(ctx, q, rotary);
    {
      const Workspace::Scope scope(ws);
      attention_forward<G::D>(ctx, ws, slab, ws.take<Angle, dyn, Attention::heads>(q.rows()), as_const(q), k, v, rows);
    }
    linear_forward(ctx, q, as_const(slab), p.W_o.weight, p.W_o.bias);
  }

  /// x += the I-th self attention of a block, slab by slab.
  template <std::size_t I>
  static void self(auto& ctx, Workspace& ws, Rows x, const typename Block::template Parameters<const T>& p,
                   const auto& rotary, auto&& done) {
    using Self = typename Block::template Self<I>;
    const auto& gain = p.norm[I].weight;
    if constexpr (Self::over_first_alone) {
      for (Index at = 0; at < inner; at += slab_positions) {
        const Workspace::Scope scope(ws);
        const Index S = std::min(slab_positions, inner - at);
        const Rows slab = ws.take<T, dyn, C>(n * S);
        for (Index l = 0; l < n; ++l) norm(ctx, ws, rows_of(slab, l * S, S), rows_of(x, l * inner + at, S), gain);
        AttentionRows rows;
        rows.query_group.push({S, 1}), rows.query.push({n, S});
        rows.key_group = rows.query_group, rows.key = rows.query;
        auto turned = rotary;
        turned.axes[0].divisor = S;
        const Rows y = attend(ctx, ws, slab, p.self[I], turned, rows);
        for (Index l = 0; l < n; ++l) add(ctx, rows_of(x, l * inner + at, S), as_const(rows_of(y, l * S, S)));
        done(Attention::operations(n * S, n * S, n));
      }
    } else {
      constexpr Index layers = Self::over_first ? n : slab_layers;
      for (Index l = 0; l < n; l += layers) {
        const Workspace::Scope scope(ws);
        const Index some = std::min(layers, n - l);
        const Rows here = rows_of(x, l * inner, some * inner), slab = ws.take<T, dyn, C>(some * inner);
        norm(ctx, ws, slab, here, gain);
        const auto rows = [&] {
          if constexpr (Self::over_first) return Self::rows(1);
          else return Self::rows_within(some);
        }();
        add(ctx, here, as_const(attend(ctx, ws, slab, p.self[I], rotary, rows)));
        done(Attention::operations(some * inner, some * inner, Self::length));
      }
    }
  }

  /// x += the block's self attentions.
  static void selves(auto& ctx, Workspace& ws, Rows x, const typename Block::template Parameters<const T>& p,
                     const auto& rotary, auto&& done) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (self<I>(ctx, ws, x, p, std::get<I>(rotary), done), ...);
    }(std::make_index_sequence<Block::self_count>{});
  }

  /// x += cross attention to u; x += feed-forward.
  static void cross_and_hidden(auto& ctx, Workspace& ws, Rows x, View<const T, dyn, C> u,
                               const typename Block::template Parameters<const T>& p, const auto& cross_q,
                               const auto& cross_k, auto&& done) {
    constexpr std::size_t cross = Block::self_count;
    const Workspace::Scope scope(ws);
    const Index L = u.rows();
    const Rows k = ws.take<T, dyn, C>(L), v = ws.take<T, dyn, C>(L);
    const auto make_keys = [&] {
      linear_forward(ctx, k, u, p.cross.W_k.weight, p.cross.W_k.bias);
      linear_forward(ctx, v, u, p.cross.W_v.weight, p.cross.W_v.bias);
      rope_forward<G::D>(ctx, k, cross_k);
    };
    make_keys();
    done(Linear<C, C>::operations(2 * L));
    each_slab([&](Index first, Index count) {
      const Workspace::Scope slab_scope(ws);
      const Rows here = rows_of(x, first, count), slab = ws.take<T, dyn, C>(count), q = ws.take<T, dyn, C>(count);
      AttentionRows rows;
      rows.query.push({count, 1}), rows.key.push({L, 1});
      if (Keys == CrossKeys::once_per_slab && first > 0) make_keys();
      norm(ctx, ws, slab, here, p.norm[cross].weight);
      mix(ctx, ws, slab, q, as_const(k), as_const(v), p.cross, rotary_from(cross_q, first), rows);
      add(ctx, here, as_const(q));

      norm(ctx, ws, slab, here, p.norm[cross + 1].weight);
      const auto up = ws.take<T, dyn, Block::hidden>(count);
      linear_forward(ctx, up, as_const(slab), p.feed_forward.fc1.weight, p.feed_forward.fc1.bias);
      silu_forward(ctx, up, as_const(up));
      linear_forward(ctx, slab, as_const(up), p.feed_forward.fc2.weight, p.feed_forward.fc2.bias);
      add(ctx, here, as_const(slab));
      done(Attention::operations(count, 0, L) + Block::Hidden::operations(count));
    });
  }

  /// The tokens (n, h, r, d) of one request from the last x.
  static void tokens(auto& ctx, Workspace& ws, T* to, Rows x, const Weights& p, auto&& done) {
    constexpr Index r = G::r, c = G::c, d = G::d, h = G::h, tokens_A = G::Tokens::tokens_A;
    each_slab([&](Index first, Index count) {
      const Workspace::Scope scope(ws);
      const Rows slab = ws.take<T, dyn, C>(count);
      norm(ctx, ws, slab, rows_of(x, first, count), p.norm_final.weight);
      for (Index t = first / G::w, end = (first + count) / G::w; t < end;) {
        const Index in_layer = t % h, stop = std::min(end, t - in_layer + (in_layer < tokens_A ? tokens_A : h));
        const auto& out = in_layer < tokens_A ? p.proj_out_A : p.proj_out_B;
        linear_forward(ctx, View<T, dyn, d>(to + t * r * d, (stop - t) * r),
                       View<const T, dyn, c>(slab.data + (t * G::w - first) * C, (stop - t) * r), out.weight, out.bias);
        t = stop;
      }
      done(Linear<c, d>::operations(count * G::a));
    });
  }

  /// x = the prior, layer by layer.
  static void prior(auto& ctx, Workspace& ws, Rows x, const Weights& p) {
    for (Index l = 0; l < n; ++l) {
      const Workspace::Scope scope(ws);
      Prior<1, G::h, G::r, G::c, G::a>::template forward<T>(ctx, ws, rows_of(x, l * inner, inner),
                                                            {p.hw_pos, View<const T, 1, G::c>(p.layer_pos.row(l))},
                                                            p.norm_tokens.weight);
    }
  }

  /// u = RMSNorm(hidden_in(condition)) for one request.
  static Rows condition(auto& ctx, Workspace& ws, View<const T, dyn, G::input> rows, const Weights& p, auto&& done) {
    const Rows u = ws.take<T, dyn, C>(rows.rows());
    linear_forward(ctx, u, rows, p.hidden_in.weight, p.hidden_in.bias);
    norm(ctx, ws, u, u, p.norm_input.weight);
    done(Linear<G::input, C>::operations(rows.rows()));
    return u;
  }

  /// generate_tokens; prefix null: it is computed here.
  static void run(auto& ctx, Workspace& ws, typename G::Tokens::template Tokens<T> to,
                  View<const T, dyn, dyn, G::input> conditions, View<const T, dyn, C> prefix, const Weights& p,
                  auto&& progress) {
    const Index b = conditions.extent(0), L = conditions.extent(1);
    if (to.extent(0) != b || b < 1 || L < 1)
      throw ShapeError(message("generate_tokens: expected tokens for ", b, " conditions of at least one row, found ",
                               to.extent(0), " and length ", L));
    const double all = G::operations(b, L).total();
    double so_far = prefix.data ? G::prefix_operations() : 0;
    const auto done = [&](double operations) { progress(std::min(1.0, (so_far += operations) / all)); };

    const Workspace::Scope scope(ws);
    const auto shared = G::template share<T>(ctx, ws, 1, L);
    const auto x = ws.take<T, dyn, C>(G::positions);
    if (!prefix.data) {
      prior(ctx, ws, x, p);
      selves(ctx, ws, x, p.blocks[0], shared.rotary, done);
      if (b > 1) {
        const auto kept = ws.take<T, dyn, C>(G::positions);
        copy(ctx, kept, as_const(x));
        prefix = kept;
      }
    } else copy(ctx, x, prefix);
    for (Index sample = 0; sample < b; ++sample) {
      const Workspace::Scope sample_scope(ws);
      if (sample > 0) copy(ctx, x, prefix);
      const auto u = condition(ctx, ws, {conditions.data + sample * L * G::input, L}, p, done);
      for (std::size_t i = 0; i < p.blocks.size(); ++i) {
        if (i > 0) selves(ctx, ws, x, p.blocks[i], shared.rotary, done);
        cross_and_hidden(ctx, ws, x, as_const(u), p.blocks[i], shared.cross_q, shared.cross_k, done);
      }
      tokens(ctx, ws, to.data + sample * G::Tokens::values, x, p, done);
    }
  }
};

struct NoProgress {
  void operator()(double) const {}
};

}  // namespace detail

/// Writes the tokens (b, n, h, r, d) for conditions (b, L, input), as Generator::forward does but for roundings, in
/// stream_plan<Generator, T>(b, L).workspace() bytes of ws beside a device's own scratch. progress(share) is called now and then
/// with the share of the work that is done, from 0 to 1. A slab has about SlabRows rows: fewer take less memory, more repay the
/// packing of weights better. Throws ShapeError if the batches differ or are empty.
template <class Generator, class T, Index SlabRows = default_slab_rows, CrossKeys Keys = CrossKeys::once_per_block,
          class Progress = detail::NoProgress>
void generate_tokens(auto& ctx, Workspace& ws, typename Generator::Tokens::template Tokens<T> tokens,
                     View<const T, dyn, dyn, Generator::input> condition,
                     const typename Generator::template Parameters<const T>& p, Progress&& progress = {}) {
  detail::Stream<Generator, T, SlabRows, Keys>::run(ctx, ws, tokens, condition, View<const T, dyn, Generator::C>(), p,
                                                    progress);
}

/// The same from the prefix that p gave, without the second x of a batch.
template <class Generator, class T, Index SlabRows = default_slab_rows, CrossKeys Keys = CrossKeys::once_per_block,
          class Progress = detail::NoProgress>
void generate_tokens(auto& ctx, Workspace& ws, typename Generator::Tokens::template Tokens<T> tokens,
                     View<const T, dyn, dyn, Generator::input> condition,
                     const typename Generator::template Prefix<T>& prefix,
                     const typename Generator::template Parameters<const T>& p, Progress&& progress = {}) {
  detail::Stream<Generator, T, SlabRows, Keys>::run(ctx, ws, tokens, condition, prefix.x.view(), p, progress);
}

/// What generate_tokens takes for `batch` conditions of condition_length rows.
template <class Generator, class T, Index SlabRows = default_slab_rows>
constexpr StreamPlan stream_plan(Index batch, Index condition_length) {
  using S = detail::Stream<Generator, T, SlabRows>;
  using Angle = accumulator_t<T>;
  constexpr auto wide = [](Index rows) { return Workspace::bytes_of<T>(rows * Generator::C); };
  constexpr auto numbers = [](Index count) { return Workspace::bytes_of<Angle>(count); };
  const auto attention = [&](Index rows,
                             Index beside) {  // the slab, then q and what is beside it, then a norm's or attention's
    return wide(rows) + wide(rows) * static_cast<std::size_t>(1 + beside) + numbers(rows * Generator::Block::Cross::heads);
  };
  std::size_t slabs = numbers(Generator::h * Generator::w) + wide(Generator::h * Generator::w);  // the prior of a layer
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    const auto self = [&]<class Self>(std::type_identity<Self>) {
      const Index layers = Self::over_first ? Generator::n : S::slab_layers;
      return attention(Self::over_first_alone ? Generator::n * S::slab_positions : layers * S::inner, 2);
    };
    ((slabs = std::max(slabs, self(std::type_identity<typename Generator::Block::template Self<I>>{}))), ...);
  }(std::make_index_sequence<Generator::Block::self_count>{});
  const std::size_t cross = attention(S::slab_rows, 0),
                    hidden = 2 * wide(S::slab_rows) + Workspace::bytes_of<T>(S::slab_rows * Generator::Block::hidden);
  const std::size_t of_condition = 3 * wide(condition_length);  // u, k and v
  slabs = std::max(slabs + wide(condition_length), of_condition + std::max(cross, hidden));
  StreamPlan plan;
  plan.weights = static_cast<std::size_t>(Generator::parameter_count) * sizeof(T);
  plan.tokens = static_cast<std::size_t>(batch * Generator::Tokens::values) * sizeof(T);
  plan.activations = wide(Generator::positions) * (batch > 1 ? 2 : 1);
  plan.slabs = slabs + Generator::template rotary_bytes<T>(condition_length);
  plan.operations = Generator::operations(batch, condition_length).total();
  return plan;
}

}  // namespace wu
