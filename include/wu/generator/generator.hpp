// The generator (Neural Network Transformer): from a condition to the tokens that are a backbone's adapters.
//     u = RMSNorm(condition W_in^T + b)         x = prior, for every sample        x = Block_i(x, u), i = 0 .. N-1
//     tokens = unfold(RMSNorm(x)) through proj_out_A for the first h_A tokens of a layer, through proj_out_B for the rest
// condition: (b, L, input)   u: (b L, C)   x: (b n h w, C)   tokens: (b, n, h, r, d)         paper sections 3.3-3.6, eq. 6
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>
#include <utility>

#include "wu/core/buffer.hpp"
#include "wu/core/fits.hpp"
#include "wu/core/view.hpp"
#include "wu/ops/reference.hpp"  // these first, so that a message out of them tells a short way here

#include "wu/generator/block.hpp"
#include "wu/generator/prior.hpp"
#include "wu/generator/tokenizer.hpp"
#include "wu/nn/initialise.hpp"
#include "wu/nn/recompute.hpp"

namespace wu {

/// The generator's model width C.
template <Index C>
struct Width {
  static constexpr Index value = C;
};
/// The width D of an attention head.
template <Index D>
struct HeadWidth {
  static constexpr Index value = D;
};
/// The number N of blocks.
template <Index N>
struct Blocks {
  static constexpr Index value = N;
};
/// How many rank rows of a token are joined into one position: a.
template <Index A>
struct JoinedRanks {
  static constexpr Index value = A;
};
/// The width of the condition's rows.
template <Index I>
struct ConditionWidth {
  static constexpr Index value = I;
};

/// How the cross attention numbers its positions.
enum class CrossRotary {
  released,  ///< layer and flattened position (token * w + v), half of the head each
  paper,     ///< layer half, token and rank a quarter each
};

namespace detail {
template <class Wanted, class Found>
struct GeneratorView {
  static_assert(fits<false, "Generator: expected a wu::Tensor or wu::View, found ", type<Found>>);
};
template <class T, Index Input, class U, Index... Found>
struct GeneratorView<View<T, dyn, dyn, Input>, View<U, Found...>> {
  static_assert(fits<std::is_convertible_v<View<U, Found...>, View<T, dyn, dyn, Input>>,
                     "Generator: expected a condition of ", type<T>, " with extents -1, -1, ", Input,
                     " (-1 is wu::dyn), as ConditionWidth says, found ", type<U>, " with extents ", Found...>);
};
template <class T, Index n, Index h, Index r, Index d, class U, Index... Found>
struct GeneratorView<View<T, dyn, n, h, r, d>, View<U, Found...>> {
  static_assert(fits<std::is_convertible_v<View<U, Found...>, View<T, dyn, n, h, r, d>>, "Generator: expected tokens of ",
                     type<T>, " with extents -1, ", n, h, r, d, " (-1 is wu::dyn), as Tokens has them, found ", type<U>,
                     " with extents ", Found...>);
};
template <class Wanted, class Found>
struct GeneratorWeights {
  static_assert(fits<std::is_same_v<Wanted, Found>, "Generator: expected weights of ", type<Wanted>, ", found weights of ",
                     type<Found>, "; wu::Weights<Generator, T> has view() to write and frozen() to read">);
};
/// The view that a Tensor gives, or the view itself.
template <class V>
struct ViewOf {
  using type = V;
};
template <class Owner>
  requires requires(Owner& owner) { owner.view(); }
struct ViewOf<Owner> {
  using type = decltype(std::declval<Owner&>().view());
};
/// The scalar of a generator's weights; other things stand for themselves.
template <class P>
struct WeightsOf {
  using type = P;
};
template <class P>
  requires requires { typename P::Scalar; }
struct WeightsOf<P> {
  using type = typename P::Scalar;
};

/// What the sizes of a generator must be to one another.
template <Index Rank, Index C, Index HeadWidth, Index Blocks, Index JoinedRanks, Index RotaryParts>
struct GeneratorSizes {
  static_assert(fits<(Rank % JoinedRanks == 0 && C % JoinedRanks == 0), "Generator: JoinedRanks ", JoinedRanks,
                     " does not divide both the rank, ", Rank, ", and the width, ", C, "; give a divisor of both">);
  static_assert(fits<(C % HeadWidth == 0), "Generator: HeadWidth ", HeadWidth, " does not divide the width, ", C,
                     "; give a divisor of it that is a multiple of ", RotaryParts>);
  static_assert(fits<(C % HeadWidth != 0 || HeadWidth % RotaryParts == 0), "Generator: HeadWidth ", HeadWidth,
                     " has no rotary pairs for every axis; give a multiple of ", RotaryParts>);
  static_assert(fits<(Blocks > 0), "Generator: expected at least 1 block, found ", Blocks>);
  static constexpr bool value = true;
};
}  // namespace detail

/// A generator for the adapters that `TokensType` (Tokenizer<Rank, D>::of<Shape>) describes.
template <class TokensType, class W, class HW, class NB, class JR, class CW, class Order = ReleasedOrder,
          CrossRotary Positions = CrossRotary::released>
struct Generator {
  /// What is generated.
  using Tokens = TokensType;
  /// Backbone layers, tokens in a layer, rank, token width.
  static constexpr Index n = Tokens::layers, h = Tokens::tokens_per_layer, r = Tokens::rank, d = Tokens::token_width;
  /// Model width, blocks, width of the condition; below, head width and joined rank rows.
  static constexpr Index C = W::value, N = NB::value, input = CW::value;
  static constexpr Index rotary_parts = Positions == CrossRotary::paper ? 8 : 4;
  static_assert(detail::GeneratorSizes<r, C, HW::value, N, JR::value, rotary_parts>::value);
  // After a message the sizes are such that no other follows from it.
  static constexpr Index D = C % HW::value == 0 && HW::value % rotary_parts == 0 ? HW::value : C;
  static constexpr Index a = r % JR::value == 0 && C % JR::value == 0 ? JR::value : 1;
  /// Width of a rank row, positions of a token, positions of a request.
  static constexpr Index c = C / a, w = r / a, positions = n * h * w;

  /// The positions of a request.
  using Grid = wu::Grid<Axis<"layer", n>, Axis<"token", h>, Axis<"rank", w>>;
  /// One of the N blocks.
  using Block = GeneratorBlock<Order, Grid, C, D>;
  /// The prior.
  using Start = Prior<n, h, r, c, a>;
  /// How many rotary axes the cross attention has.
  static constexpr std::size_t cross_axes = Positions == CrossRotary::paper ? 3 : 2;
  /// The cross attention's rotary axes; a condition's rows are numbered from max(h, w) on.
  static constexpr std::array<RotaryAxis, cross_axes> query_axes = [] {
    if constexpr (Positions == CrossRotary::paper)
      return std::array{RotaryAxis{D / 2, h * w, n, 0}, RotaryAxis{D / 4, w, h, 0}, RotaryAxis{D / 4, 1, w, 0}};
    else return std::array{RotaryAxis{D / 2, h * w, n, 0}, RotaryAxis{D / 2, 1, h * w, 0}};
  }();
  /// Those of the condition's rows; key_axes(L) for a condition of L rows.
  static constexpr std::array<RotaryAxis, cross_axes> key_axes(Index condition_length) {
    std::array<RotaryAxis, cross_axes> axes = query_axes;
    for (RotaryAxis& axis : axes) axis = {axis.width, 1, condition_length, std::max(h, w)};
    return axes;
  }

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    /// Of every view.
    using Scalar = T;
    typename Linear<input, C>::template Parameters<T> hidden_in;
    typename RMSNorm<C>::template Parameters<T> norm_input, norm_tokens, norm_final;
    View<T, h * r, c> hw_pos;
    View<T, n, c> layer_pos;
    std::array<typename Block::template Parameters<T>, static_cast<std::size_t>(N)> blocks;
    typename Linear<c, d>::template Parameters<T> proj_out_A, proj_out_B;

    /// Names as in the released checkpoint: all but hidden_in stand under "model.".
    constexpr void visit(auto&& at) {
      at("hidden_in", hidden_in);
      at("model.norm_input", norm_input);
      at("model.norm_tokens", norm_tokens);
      at("model.hw_pos.weight", hw_pos);
      at("model.layer_pos.weight", layer_pos);
      at("model.blocks", blocks);
      at("model.norm_final", norm_final);
      at("model.proj_out_A", proj_out_A);
      at("model.proj_out_B", proj_out_B);
    }
  };
  /// How many numbers training changes.
  static constexpr Index parameter_count = wu::parameter_count<Parameters<float>>();

  /// Starting values (the paper gives only the last): matrices normal with variance 1 / fan_in, positions standard normal,
  /// proj_out_A so that generated A have variance 1 / d, proj_out_B zero. Every generated B is then zero and the first step
  /// runs the frozen backbone.                                                                        paper section 3.5
  template <class T>
  static void initialise(Parameters<T> p, std::uint64_t seed) {
    wu::initialise(p, seed, "generator");
    fill_normal(p.hw_pos, seed, "generator.hw_pos", 1);
    fill_normal(p.layer_pos, seed, "generator.layer_pos", 1);
    fill_normal(p.proj_out_A.weight, seed, "generator.proj_out_A", 1 / std::sqrt(static_cast<double>(c * d)));
    fill(p.proj_out_B.weight, 0);
  }

  /// Weights that initialise may not be given: it does not compile, and says why.
  template <class T, class P>
    requires(!std::is_same_v<P, Parameters<T>>)
  static void initialise(const P&, std::uint64_t) {
    detail::GeneratorWeights<T, typename detail::WeightsOf<P>::type>();
  }

  /// Floating-point operations of one forward pass in products (2 for each multiplication and its addition), by part.
  struct Operations {
    double linear = 0, self_attention = 0, cross_attention = 0;
    /// All parts together.
    constexpr double total() const { return linear + self_attention + cross_attention; }
  };
  /// For `batch` requests with conditions of condition_length rows. The first block's self attentions run once for the
  /// batch.
  static constexpr Operations operations(Index batch, Index condition_length) {
    const double b = static_cast<double>(batch), L = static_cast<double>(condition_length),
                 p = static_cast<double>(positions);
    const double width = static_cast<double>(C), square = 2 * width * width;
    Operations o;
    const double self = static_cast<double>(Block::self_count),
                 self_blocks = b * static_cast<double>(N - 1) + 1;  // the first block's run once
    o.linear =
        b * (2 * L * static_cast<double>(input) * width + static_cast<double>(N) * (p * square * (2 + 8) + L * square * 2) +
             2 * p * static_cast<double>(a * c * d)) +
        self_blocks * p * square * 4 * self;
    for (std::size_t k = 0; k < Block::self_count; ++k)
      o.self_attention += self_blocks * 4 * p * width * static_cast<double>(Block::attended(k));
    o.cross_attention = b * static_cast<double>(N) * 4 * p * width * L;
    return o;
  }
  /// Those of them that a prefix spares.
  static constexpr double prefix_operations() {
    double sum = 0;
    for (std::size_t k = 0; k < Block::self_count; ++k)
      sum += Block::Cross::operations(positions, positions, Block::attended(k));
    return sum;
  }

  /// The bytes of the rotary tables of one forward pass.
  template <class T>
  static constexpr std::size_t rotary_bytes(Index condition_length) {
    using Angle = accumulator_t<T>;
    std::size_t sum =
        Rotary<Angle, cross_axes>::bytes(query_axes) + Rotary<Angle, cross_axes>::bytes(key_axes(condition_length));
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      ((sum += Rotary<Angle, Block::template Self<K>::rotary_axes.size()>::bytes(Block::template Self<K>::rotary_axes)),
       ...);
    }(std::make_index_sequence<Block::self_count>{});
    return sum;
  }

  /// The bytes that forward takes from the workspace and keeps for backward; a device's own scratch is not counted.
  template <class T, class Keep = SaveBlocks>
  static constexpr std::size_t saved_bytes(Index batch, Index condition_length) {
    const Index rows = batch * positions, condition_rows = batch * condition_length;
    const auto wide = [](Index count) { return Workspace::bytes_of<T>(count * C); };
    const auto norm = [&](Index count) { return wide(count) + Workspace::bytes_of<accumulator_t<T>>(count); };
    std::size_t sum = wide(condition_rows) + norm(condition_rows);  // hidden, u
    sum += rotary_bytes<T>(condition_length);
    sum += wide(positions) + norm(positions);  // the prior and its sum
    for (Index i = 0; i < N; ++i)
      sum += wide(rows) + Keep::template of<Block>::template saved_bytes<T>(rows, i == 0 ? positions : rows, condition_rows);
    return sum + Workspace::bytes_of<accumulator_t<T>>(rows);  // the last norm
  }

  /// The most bytes of the workspace that forward and then backward hold, with what operations take for themselves on a device:
  /// scratch is ReferenceScratch or cpu::Scratch{threads}. Workspace(workspace_bytes<T>(b, L, scratch)) never grows.
  template <class T, class Keep = SaveBlocks>
  static constexpr std::size_t workspace_bytes(Index batch, Index condition_length, const auto& scratch) {
    const Index rows = batch * positions, condition_rows = batch * condition_length;
    const auto wide = [](Index count) { return Workspace::bytes_of<T>(count * C); };
    const auto norm = [](Index count) { return Workspace::bytes_of<accumulator_t<T>>(count); };
    using Kept = typename Keep::template of<Block>;
    const auto x_rows = [&](Index block) { return block == 0 ? positions : rows; };
    std::size_t kept = 2 * wide(condition_rows) + norm(condition_rows) + rotary_bytes<T>(condition_length) +
                       2 * wide(positions) + norm(positions),
                most = 0, backward = wide(rows) + norm(rows);  // of the last norm
    for (Index i = 0; i < N; ++i) {
      kept += wide(rows);
      const ForwardBytes block = Kept::template forward_bytes<T>(true, rows, x_rows(i), condition_rows, scratch);
      most = std::max(most, kept + block.most);
      kept += block.kept;
      backward = std::max(backward,
                          wide(condition_rows) + Kept::template backward_bytes<T>(rows, x_rows(i), condition_rows, scratch));
    }
    kept += norm(rows);
    backward = std::max({backward, wide(condition_rows) + wide(positions), 2 * wide(condition_rows)});
    return std::max({most, kept + wide(rows), kept + wide(rows) + backward});
  }

  /// What the generator is, and what a forward pass takes for a batch of conditions of this length.
  static std::string describe(Index batch = 1, Index condition_length = 256) {
    using text::grouped, text::counted;
    const Operations o = operations(batch, condition_length);
    const std::vector<std::vector<std::string>> facts{
        {"grid", Grid::describe()},
        {"tokens", grouped(Tokens::tokens_A) + " for A + " + grouped(Tokens::tokens_B) + " for B in a layer, rank " +
                       grouped(r) + ", width " + grouped(d)},
        {"width", grouped(C) + ", " + counted(Block::Cross::heads, "head") + " × " + grouped(D) + "; " +
                      counted(a, "joined rank") + " × " + grouped(c) + "; condition " + grouped(input)},
        {counted(N, "block"), Block::describe()}};
    return "Generator: condition " + text::shape<dyn, dyn, input>() + " → tokens " + text::shape<dyn, n, h, r, d>() +
           text::table(facts, 2) + "\n" + text::weights<Generator>() + text::parts<Generator>() + "\n" +
           text::forward("batch " + grouped(batch) + ", condition length " + grouped(condition_length),
                         saved_bytes<float>(batch, condition_length), o.total()) +
           text::table({{"linear layers", text::operations(o.linear)},
                        {"self attention", text::operations(o.self_attention)},
                        {"cross attention", text::operations(o.cross_attention)}},
                       1);
  }

  /// Rotary tables and attended rows of one forward pass.
  template <class T>
  using Shared = typename Block::template Shared<accumulator_t<T>, cross_axes, cross_axes>;

  /// Rotary tables and attended rows for b samples and condition length L.                       angles: paper section 3.5
  template <class T>
  static Shared<T> share(auto& ctx, Workspace& ws, Index b, Index L) {
    Shared<T> shared;
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      ((std::get<K>(shared.rotary) = std::remove_reference_t<decltype(std::get<K>(shared.rotary))>::make(
            ctx, ws, Block::template Self<K>::rotary_axes),
        shared.rows[K] = Block::template Self<K>::rows(b), shared.rows_of_one[K] = Block::template Self<K>::rows(1)),
       ...);
    }(std::make_index_sequence<Block::self_count>{});
    shared.cross_q = Rotary<accumulator_t<T>, cross_axes>::make(ctx, ws, query_axes);
    shared.cross_k = Rotary<accumulator_t<T>, cross_axes>::make(ctx, ws, key_axes(L));
    shared.cross_rows.query_group.push({b, positions});
    shared.cross_rows.query.push({positions, 1});
    shared.cross_rows.key_group.push({b, L});
    shared.cross_rows.key.push({L, 1});
    return shared;
  }

  /// What backward needs, in the workspace until the caller's scope ends. Keep: SaveBlocks or RecomputeBlocks.
  template <class T, class Keep = SaveBlocks>
  struct Saved {
    View<const T, dyn, dyn, input> condition;
    View<T, dyn, C> hidden, u, x;  // x: the last block's output
    View<accumulator_t<T>, dyn> inv_rms_u, inv_rms;
    typename Start::template Saved<T> prior;
    std::array<typename Keep::template of<Block>::template Saved<T>, static_cast<std::size_t>(N)> blocks;
    Shared<T> shared;
  };

  /// Writes tokens; what is returned lives in ws until the caller's scope ends. forward<T, RecomputeBlocks> keeps much less of it
  /// than forward<T>, and backward takes as much longer as the blocks' forward does. Throws ShapeError if the batch of tokens and
  /// condition differ.
  template <class T, class Keep = SaveBlocks>
  static Saved<T, Keep> forward(auto& ctx, Workspace& ws, typename Tokens::template Tokens<T> tokens,
                                View<const T, dyn, dyn, input> condition, const Parameters<const T>& p) {
    const Index b = condition.extent(0), L = condition.extent(1);
    check_batch(tokens.extent(0), b, L);
    Saved<T, Keep> s;
    s.condition = condition;
    s.hidden = ws.take<T, dyn, C>(b * L), s.u = ws.take<T, dyn, C>(b * L),
    s.inv_rms_u = ws.take<accumulator_t<T>, dyn>(b * L);
    linear_forward(ctx, s.hidden, condition.flat(), p.hidden_in.weight, p.hidden_in.bias);
    rms_norm_forward(ctx, s.u, s.inv_rms_u, as_const(s.hidden), p.norm_input.weight);

    s.shared = share<T>(ctx, ws, b, L);
    s.x =
        ws.take<T, dyn, C>(positions);  // the same for every sample; the first block copies it when samples begin to differ
    s.prior = Start::template forward<T>(ctx, ws, s.x, {p.hw_pos, p.layer_pos}, p.norm_tokens.weight);
    for (std::size_t i = 0; i < static_cast<std::size_t>(N); ++i) {
      const auto y = ws.take<T, dyn, C>(b * positions);
      s.blocks[i] = Keep::template of<Block>::template forward<T>(ctx, ws, y, s.x, s.u, p.blocks[i], s.shared);
      s.x = y;
    }
    s.inv_rms = ws.take<accumulator_t<T>, dyn>(b * positions);
    project<T>(ctx, ws, tokens, s.inv_rms, s.x, p);
    return s;
  }

  /// What forward computes before it reads the condition: the first block's x in front of its cross attention, (n h w, C), in
  /// memory of its own. It is the same for every condition until the weights change.
  template <class T>
  struct Prefix {
    Tensor<T, dyn, C> x;
  };

  /// The prior through the first block's self attentions.
  template <class T>
  static Prefix<T> prefix(auto& ctx, Workspace& ws, const Parameters<const T>& p) {
    const Workspace::Scope scope(ws);
    Prefix<T> result{Tensor<T, dyn, C>::in(memory_of(ctx), positions)};
    const auto x = ws.take<T, dyn, C>(positions);
    Start::template forward<T>(ctx, ws, x, {p.hw_pos, p.layer_pos}, p.norm_tokens.weight);
    Block::template forward_self_attentions<T>(ctx, ws, result.x.view(), x, p.blocks[0], share<T>(ctx, ws, 1, 1));
    return result;
  }

  /// The same tokens bit for bit, from the prefix that p gave; nothing is kept for backward. Throws ShapeError likewise.
  template <class T>
  static void forward(auto& ctx, Workspace& ws, typename Tokens::template Tokens<T> tokens,
                      View<const T, dyn, dyn, input> condition, const Prefix<T>& prefix, const Parameters<const T>& p) {
    const Workspace::Scope scope(ws);
    const Index b = condition.extent(0), L = condition.extent(1);
    check_batch(tokens.extent(0), b, L);
    const auto u = ws.take<T, dyn, C>(b * L);
    auto x = ws.take<T, dyn, C>(b * positions), y = ws.take<T, dyn, C>(b * positions);
    {
      const Workspace::Scope inner(ws);
      const auto hidden = ws.take<T, dyn, C>(b * L);
      linear_forward(ctx, hidden, condition.flat(), p.hidden_in.weight, p.hidden_in.bias);
      rms_norm_forward(ctx, u, ws.take<accumulator_t<T>, dyn>(b * L), as_const(hidden), p.norm_input.weight);
    }
    const auto shared = share<T>(ctx, ws, b, L);
    Block::template forward_others<T>(ctx, ws, y, prefix.x.view(), u, p.blocks[0], shared);
    for (std::size_t i = 1; i < static_cast<std::size_t>(N); ++i) {
      std::swap(x, y);
      const Workspace::Scope inner(ws);
      Block::template forward<T>(ctx, ws, y, x, u, p.blocks[i], shared);
    }
    project<T>(ctx, ws, tokens, ws.take<accumulator_t<T>, dyn>(b * positions), y, p);
  }

  /// What forward may not be given: it does not compile, and says why.
  template <class T, class Keep = SaveBlocks, class Context, class Written, class Read, class P>
    requires(!detail::Device<Context> || !std::is_convertible_v<Written, typename Tokens::template Tokens<T>> ||
             !std::is_convertible_v<Read, View<const T, dyn, dyn, input>> || !std::is_same_v<P, Parameters<const T>>)
  static Saved<T, Keep> forward(Context&, Workspace&, Written&&, Read&&, const P&) {
    detail::ExpectDevice<Context>();
    detail::GeneratorView<typename Tokens::template Tokens<T>,
                          typename detail::ViewOf<std::remove_reference_t<Written>>::type>();
    detail::GeneratorView<View<const T, dyn, dyn, input>, typename detail::ViewOf<std::remove_reference_t<Read>>::type>();
    detail::GeneratorWeights<const T, typename detail::WeightsOf<P>::type>();
    return {};
  }

  /// Gradients of every weight (added) and of the condition (overwritten; null: not wanted) from those of the tokens.
  template <class T, class Keep>
  static void backward(auto& ctx, Workspace& ws, View<T, dyn, dyn, input> dcondition /* = */,
                       const Parameters<accumulator_t<T>>& dp /* += */, typename Tokens::template Tokens<const T> dtokens,
                       const Saved<T, Keep>& s, const Parameters<const T>& p) {
    const Workspace::Scope scope(ws);
    const Index b = s.condition.extent(0);
    if (dtokens.extent(0) != b || (dcondition.data && dcondition.dynamic != s.condition.dynamic))
      throw ShapeError(message("generator backward: expected gradients of tokens and condition for ", b,
                               " conditions of length ", s.condition.extent(1), ", found ", dtokens.extent(0), ", and ",
                               dcondition.extent(0), " of length ", dcondition.extent(1)));
    const auto dx = ws.take<T, dyn, C>(b * positions);
    through_projections<T>(ctx, ws, dx, dp, dtokens, s, p);
    const auto du = ws.take<T, dyn, C>(s.u.rows());
    zero(ctx, du);
    for (std::size_t i = static_cast<std::size_t>(N); i-- > 0;)
      Keep::template of<Block>::template backward<T>(ctx, ws, dx, du, dp.blocks[i], s.blocks[i], p.blocks[i], s.shared);
    Start::template backward<T>(ctx, ws, {dp.hw_pos, dp.layer_pos}, dp.norm_tokens.weight,
                                View<T, dyn, C>(dx.data, positions), s.prior, p.norm_tokens.weight);
    const auto dhidden = ws.take<T, dyn, C>(s.u.rows());
    rms_norm_backward(ctx, dhidden, dp.norm_input.weight, as_const(du), as_const(s.hidden), as_const(s.inv_rms_u),
                      p.norm_input.weight);
    linear_backward(ctx, dcondition.flat(), dp.hidden_in.weight, dp.hidden_in.bias, as_const(dhidden), s.condition.flat(),
                    p.hidden_in.weight);
  }

 private:
  static void check_batch(Index of_tokens, Index b, Index L) {
    if (of_tokens != b || b < 1 || L < 1)
      throw ShapeError(message("generator: expected tokens for ", b, " conditions of at least one row, found ", of_tokens,
                               " and length ", L));
  }
  /// The tokens from x, the last block's output; inv_rms: of the norm between them.
  template <class T>
  static void project(auto& ctx, Workspace& ws, typename Tokens::template Tokens<T> tokens,
                      View<accumulator_t<T>, dyn> inv_rms, View<const T, dyn, C> x, const Parameters<const T>& p) {
    const Workspace::Scope scope(ws);
    const auto normed = ws.take<T, dyn, C>(x.rows());
    rms_norm_forward(ctx, normed, inv_rms, x, p.norm_final.weight);
    each_slab(tokens.extent(0), [&](Index rows_before, Index count, bool is_A) {
      const auto& out = is_A ? p.proj_out_A : p.proj_out_B;
      linear_forward(ctx, View<T, dyn, d>(tokens.data + rows_before * d, count),
                     View<const T, dyn, c>(normed.data + rows_before * c, count), out.weight, out.bias);
    });
  }
  /// dx = the gradient of the last block's output.
  template <class T, class Keep>
  static void through_projections(auto& ctx, Workspace& ws, View<T, dyn, C> dx /* = */,
                                  const Parameters<accumulator_t<T>>& dp /* += */,
                                  typename Tokens::template Tokens<const T> dtokens, const Saved<T, Keep>& s,
                                  const Parameters<const T>& p) {
    const Workspace::Scope scope(ws);
    const auto dnormed = ws.take<T, dyn, C>(dx.rows());
    const auto normed = dx;  // until dx itself is made
    rms_norm_forward(ctx, normed, ws.take<accumulator_t<T>, dyn>(dx.rows()), as_const(s.x), p.norm_final.weight);
    each_slab(dtokens.extent(0), [&](Index rows_before, Index count, bool is_A) {
      const auto& out = is_A ? p.proj_out_A : p.proj_out_B;
      const auto& dout = is_A ? dp.proj_out_A : dp.proj_out_B;
      linear_backward(ctx, View<T, dyn, c>(dnormed.data + rows_before * c, count), dout.weight, dout.bias,
                      View<const T, dyn, d>(dtokens.data + rows_before * d, count),
                      View<const T, dyn, c>(normed.data + rows_before * c, count), out.weight);
    });
    rms_norm_backward(ctx, dx, dp.norm_final.weight, as_const(dnormed), as_const(s.x), as_const(s.inv_rms),
                      p.norm_final.weight);
  }

  /// Calls f(rank rows before, count, is_A) for the A part and the B part of every layer of every sample.
  template <class F>
  static void each_slab(Index b, F&& f) {
    for (Index l = 0; l < b * n; ++l) {
      f(l * h * r, Tokens::tokens_A * r, true);
      f((l * h + Tokens::tokens_A) * r, Tokens::tokens_B * r, false);
    }
  }
};

}  // namespace wu
