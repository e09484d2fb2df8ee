// The attention of cpu/short_attention.hpp. A program that links wu::precompiled does not include this file.
#pragma once

#if defined(__AVX512BW__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "wu/cpu/attention_lanes.hpp"
#include "wu/cpu/exp.hpp"
#include "wu/cpu/packed_kernel.hpp"
#include "wu/cpu/short_attention.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace detail {
/// Where up to 16 rows begin, or how far from the first.
template <class At>
using ShortRows = std::array<At, static_cast<std::size_t>(short_rows)>;
}  // namespace detail

namespace kernel {
/// What ShortAttention does. T: float, double or bfloat16.
template <class T>
class ShortAttentionKernel {
 public:
  using Sum = accumulator_t<T>;
  static void forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<Sum> lse, const AttentionOperands<T>& in) {
    by_keys(in, [&]<Index Keys>() { forward<Keys>(ctx, ws, out, lse, in); });
  }
  static void backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g, const AttentionOperands<T>& in) {
    by_keys(in, [&]<Index Keys>() { backward<Keys>(ctx, ws, g, in); });
  }

 private:
  using Product = PackedProduct<T>;
  static constexpr Index W = detail::lanes<Sum>, step = W * Product::depth;
  using V = typename detail::Lanes<Sum, W>::type;
  using Words = typename detail::Lanes<typename Product::Word, W>::type;
  using Rows = detail::ShortRows<const T*>;
  /// (queries, Keys) numbers, Keys to a row; rows beyond the queries are 0 or not read.
  struct Scores {
    alignas(64) Sum at[static_cast<std::size_t>(detail::short_rows * detail::short_rows)];
  };

  /// work.template operator()<Keys>() for the least of 4, 8 and 16 that is not below the number of keys.
  static void by_keys(const AttentionOperands<T>& in, const auto& work) { by_count(in.rows.key.size(), work); }
  static void by_count(Index count, const auto& work) {
    if (count <= 4) work.template operator()<4>();
    else if (count <= 8) work.template operator()<8>();
    else work.template operator()<16>();
  }

  template <Index Keys>
  static void forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<Sum> lse, const AttentionOperands<T>& in);
  template <Index Keys>
  static void backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g, const AttentionOperands<T>& in);
  template <Index Keys>
  static void dots(Scores& to, const Rows& a, Index count, const Rows& b, Index D);
  template <Index Inputs>
  static void mix(const detail::ShortRows<T*>& to, Index outputs, const Rows& rows, const Sum* weights, Index input_step,
                  Index output_step, Index D);
  static Words load_words(const T* from, Index count);

  /// The rows of one operand that a group has: as far from its first in every group.
  template <class U>
  struct GroupRows {
    Spaced<U> all;
    Index count;
    detail::ShortRows<Index> offset{};
    GroupRows(Spaced<U> rows, const RowMap& map) : all(rows), count(map.size()) {
      // What is missing to 16 is the last one again: it is computed with and not used.
      for (Index i = 0; i < detail::short_rows && count > 0; ++i)
        offset[static_cast<std::size_t>(i)] = map(std::min(i, count - 1)) * all.stride;
    }
    detail::ShortRows<U*> at(Index base, Index column) const {
      U* const first = all.row(base) + column;
      detail::ShortRows<U*> rows;
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = first + offset[i];
      return rows;
    }
  };
  static constexpr Index copied_bytes(Index D) { return ShortAttention<T>::copied_bytes(D); }
  /// The rows side by side. Rows a large power of two apart share one set of each cache, which does not hold them all: they are
  /// fetched once.
  static Rows copied(std::byte* to, const Rows& from, Index count, Index D) {
    Rows rows;
    T* row = reinterpret_cast<T*>(to);
    for (Index i = 0; i < detail::short_rows; ++i) rows[static_cast<std::size_t>(i)] = row + std::min(i, count - 1) * D;
    for (Index i = 0; i < count; ++i, row += D) {
      const T* const at = from[static_cast<std::size_t>(i)];
      Index c = 0;
      for (; c + step <= D; c += step) detail::store(row + c, detail::load<Words>(at + c));
      for (; c < D; ++c) row[c] = at[c];
    }
    return rows;
  }
  /// work(head, column, base of the queries, base of the keys) for some of the groups' heads.
  static void each_item(const AttentionOperands<T>& in, Index begin, Index end, const auto& work) {
    Index group = begin / in.heads, head = begin % in.heads;
    for (Index item = begin; item < end; ++group, head = 0) {
      const Index base_q = in.rows.query_group(group), base_k = in.rows.key_group(group);
      for (; head < in.heads && item < end; ++head, ++item) work(head, head * in.D, base_q, base_k);
    }
  }

  /// Registers of scores: `vectors` of them hold whole rows of Keys numbers.
  template <Index Keys>
  struct Lines {
    static constexpr Index vectors = std::max(Keys / W, Index{1}), rows = std::max(W / Keys, Index{1});
    /// of(...) over each row, in all lanes of the row.
    static V fold_rows(const V (&line)[static_cast<std::size_t>(vectors)], const auto& of) {
      V all = line[0];
      for (Index v = 1; v < vectors; ++v) all = of(all, line[v]);
      return across<1>(all, of);
    }
    template <Index S>
    [[gnu::always_inline]] static V across(const V& v, const auto& of) {
      if constexpr (S == std::min(Keys, W)) return v;
      else {
        const V other = []<Index... J>(const V& from, std::integer_sequence<Index, J...>) {
          return __builtin_shufflevector(from, from, (J ^ S)...);
        }(v, detail::Each<W>{});
        return across<2 * S>(of(v, other), of);
      }
    }
    /// Vector v of a line where the key exists, `rest` elsewhere.
    static V existing(const V& from, Index v, Index keys, Sum rest) {
      const auto number = []<Index... J>(std::integer_sequence<Index, J...>) {
        return V{static_cast<Sum>(J % Keys)...};
      }(detail::Each<W>{});
      const V all = rest - V{};
      return number < static_cast<Sum>(keys - v * W) ? from : all;
    }
  };
};

/// `count` <= step values, then zeros.
template <class T>
[[gnu::always_inline]] inline typename ShortAttentionKernel<T>::Words ShortAttentionKernel<T>::load_words(const T* from,
                                                                                                          Index count) {
#if defined(__AVX512BW__)
  if constexpr (sizeof(T) == 2)
    return std::bit_cast<Words>(_mm512_maskz_loadu_epi16(static_cast<__mmask32>((std::uint64_t{1} << count) - 1), from));
  else if constexpr (sizeof(T) == 4)
    return std::bit_cast<Words>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from));
  else return std::bit_cast<Words>(_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), from));
#else
  T some[static_cast<std::size_t>(step)] = {};
  std::copy_n(from, count, some);
  return detail::load<Words>(static_cast<const T*>(some));
#endif
}

/// to (count, Keys) = a_i . b_j.
template <class T>
template <Index Keys>
void ShortAttentionKernel<T>::dots(Scores& to, const Rows& a, Index count, const Rows& b, Index D) {
  constexpr Index across = std::min(Keys, W), down = W / across;  // a register's worth of sums
  for (Index i = 0; i < count; i += down)
    for (Index j = 0; j < Keys; j += across) {
      V sum[W] = {};
      const auto add = [&](auto&& load_at) {
        Words left[down];
        for (Index r = 0; r < down; ++r) left[r] = load_at(a[static_cast<std::size_t>(i + r)]);
        for (Index s = 0; s < across; ++s) {
          const Words right = load_at(b[static_cast<std::size_t>(j + s)]);
          for (Index r = 0; r < down; ++r) sum[r * across + s] = detail::add_product(sum[r * across + s], left[r], right);
        }
      };
      Index c = 0;
      for (; c + step <= D; c += step) add([c](const T* row) { return detail::load<Words>(row + c); });
      if (c < D) add([c, D](const T* row) { return load_words(row + c, D - c); });
      detail::store(to.at + i * Keys + j * down, detail::sum_each(sum));
    }
}

/// to_o = sum over i < Inputs of weights[i input_step + o output_step] rows_i.
template <class T>
template <Index Inputs>
void ShortAttentionKernel<T>::mix(const detail::ShortRows<T*>& to, Index outputs, const Rows& rows, const Sum* weights,
                                  Index input_step, Index output_step, Index D) {
  detail::in_blocks<W>(D, [&]<Index Some>(Index c) {
    using Values = typename detail::Lanes<Sum, Some>::type;
    Values in[Inputs];
    for (Index i = 0; i < Inputs; ++i) in[i] = detail::load_wide<Some>(rows[static_cast<std::size_t>(i)] + c);
    for (Index o = 0; o < outputs; ++o) {
      const Sum* const weight = weights + o * output_step;
      Values sum = weight[0] * in[0];
      for (Index i = 1; i < Inputs; ++i) sum += weight[i * input_step] * in[i];
      detail::store_narrow<Some>(to[static_cast<std::size_t>(o)] + c, sum);
    }
  });
}

template <class T>
template <Index Keys>
void ShortAttentionKernel<T>::forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<Sum> lse,
                                      const AttentionOperands<T>& in) {
  using Line = Lines<Keys>;
  const GroupRows<const T> q(in.q, in.rows.query), k(in.k, in.rows.key), v(in.v, in.rows.key);
  const GroupRows<T> y(out, in.rows.query);
  const GroupRows<Sum> each_lse(lse, in.rows.query);
  const Index queries = q.count, keys = k.count, D = in.D;
  const Sum scale = 1 / std::sqrt(static_cast<Sum>(D)), log2_scale = scale * std::numbers::log2e_v<Sum>;
  const Workspace::Scope scope(ws);
  std::byte* const scratch = ws.take_values<std::byte>(ShortAttention<T>::forward_bytes(D) * ctx.threads());
  ctx.split(in.rows.groups() * in.heads, 2 * queries * keys * D, [&](int thread, Index begin, Index end) {
    Scores p, tops, totals;
    std::byte* const copy = scratch + thread * ShortAttention<T>::forward_bytes(D);
    each_item(in, begin, end, [&](Index head, Index column, Index base_q, Index base_k) {
      dots<Keys>(p, q.at(base_q, column), queries, copied(copy, k.at(base_k, column), keys, D), D);
      for (Index i = 0; i < queries; i += Line::rows) {
        V line[Line::vectors];
        Sum* const at = p.at + i * Keys;
        for (Index n = 0; n < Line::vectors; ++n)
          line[n] = Line::existing(detail::load<V>(at + n * W), n, keys, -std::numeric_limits<Sum>::infinity());
        const V top = Line::fold_rows(line, detail::larger_of_two);
        for (V& score : line) score = detail::exp2_lanes<Sum, W>((score - top) * log2_scale);
        const V total = Line::fold_rows(line, detail::sum_of_two), share = Sum(1) / total;
        for (Index n = 0; n < Line::vectors; ++n) detail::store(at + n * W, static_cast<V>(line[n] * share));
        detail::store(tops.at + i * Keys, top);
        detail::store(totals.at + i * Keys, total);
      }
      mix<Keys>(y.at(base_q, column), queries, v.at(base_k, column), p.at, 1, Keys, D);
      Sum* const first_lse = lse.row(base_q) + head;
      for (Index i = 0; i < queries; ++i)
        first_lse[each_lse.offset[static_cast<std::size_t>(i)]] = tops.at[i * Keys] * scale + std::log(totals.at[i * Keys]);
    });
  });
}

template <class T>
template <Index Keys>
void ShortAttentionKernel<T>::backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g,
                                       const AttentionOperands<T>& in) {
  using Line = Lines<Keys>;
  const RowMap &query = in.rows.query, &key = in.rows.key;
  const GroupRows<const T> all_q(in.q, query), all_dout(g.dout, query), all_k(in.k, key), all_v(in.v, key);
  const GroupRows<T> dq(g.dq, query), dk(g.dk, key), dv(g.dv, key);
  const GroupRows<const Sum> each_lse(g.lse, query);
  const Index queries = all_q.count, keys = all_k.count, D = in.D;
  const Sum scale = 1 / std::sqrt(static_cast<Sum>(D)), log2_scale = scale * std::numbers::log2e_v<Sum>;
  const Workspace::Scope scope(ws);
  std::byte* const scratch = ws.take_values<std::byte>(ShortAttention<T>::backward_bytes(D) * ctx.threads());
  ctx.split(in.rows.groups() * in.heads, 5 * queries * keys * D, [&](int thread, Index begin, Index end) {
    Scores p, ds, shift;
    std::byte* const copy = scratch + thread * ShortAttention<T>::backward_bytes(D);
    each_item(in, begin, end, [&](Index head, Index column, Index base_q, Index base_k) {
      const auto take = [&](Index n, const GroupRows<const T>& rows, Index base) {
        return copied(copy + n * copied_bytes(D), rows.at(base, column), rows.count, D);
      };
      const Rows q = take(0, all_q, base_q), dout = take(1, all_dout, base_q), k = take(2, all_k, base_k),
                 v = take(3, all_v, base_k);
      dots<Keys>(p, q, queries, k, D);
      dots<Keys>(ds, dout, queries, v, D);
      const Sum* const first_lse = g.lse.row(base_q) + head;
      for (Index i = 0; i < Product::up_to(Line::rows, queries); ++i)
        std::fill_n(shift.at + i * Keys, Keys,
                    first_lse[each_lse.offset[static_cast<std::size_t>(i)]] * std::numbers::log2e_v<Sum>);
      for (Index i = 0; i < queries; i += Line::rows) {
        V weight[Line::vectors], term[Line::vectors], slope[Line::vectors];
        for (Index n = 0; n < Line::vectors; ++n) {
          const Index at = i * Keys + n * W;
          const V exponent = detail::load<V>(p.at + at) * log2_scale - detail::load<V>(shift.at + at);
          weight[n] = Line::existing(detail::exp2_lanes<Sum, W>(exponent), n, keys, Sum(0));
          slope[n] = detail::load<V>(ds.at + at);
          term[n] = weight[n] * slope[n];
        }
        const V delta = Line::fold_rows(term, detail::sum_of_two);
        for (Index n = 0; n < Line::vectors; ++n) {
          detail::store(p.at + i * Keys + n * W, weight[n]);
          detail::store(ds.at + i * Keys + n * W, static_cast<V>(weight[n] * (slope[n] - delta) * scale));
        }
      }
      mix<Keys>(dq.at(base_q, column), queries, k, ds.at, 1, Keys, D);
      by_count(queries, [&]<Index Queries>() {
        std::fill(p.at + queries * Keys, p.at + Queries * Keys, Sum(0));
        std::fill(ds.at + queries * Keys, ds.at + Queries * Keys, Sum(0));
        mix<Queries>(dk.at(base_k, column), keys, q, ds.at, Keys, 1, D);
        mix<Queries>(dv.at(base_k, column), keys, dout, p.at, Keys, 1, D);
      });
    });
  });
}

template <class T>
void ShortAttention<T>::forward(Context& ctx, Workspace& ws, Spaced<T> out, Spaced<Sum> lse,
                                const AttentionOperands<T>& in) {
  ShortAttentionKernel<T>::forward(ctx, ws, out, lse, in);
}
template <class T>
void ShortAttention<T>::backward(Context& ctx, Workspace& ws, const AttentionGradients<T>& g,
                                 const AttentionOperands<T>& in) {
  ShortAttentionKernel<T>::backward(ctx, ws, g, in);
}
}  // namespace kernel

}  // namespace wu::cpu::inline WU_CPU_TARGET
