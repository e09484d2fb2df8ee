// Benchmarks of layers, for any sizes: one line each.
//     WU_BENCHMARK_LINEAR(In, Out, rows);
//     WU_BENCHMARK_LORA_LINEAR(In, Out, Rank, rows);                a frozen layer with one adapter, as a backbone runs it
//     WU_BENCHMARK_ATTENTION(Width, HeadWidth, queries, keys);      the four projections and cross attention
//     WU_BENCHMARK_FEED_FORWARD(Width, Hidden, rows);
//     WU_BENCHMARK_ENCODER_BLOCK(Width, HeadWidth, length);
// In float; for another type: WU_BENCHMARK(wu::bench::add_linear<double, In, Out>(rows));
#pragma once

#include "wu/benchmark/measure.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/nn/nn.hpp"

namespace wu::bench {

// ---- counts -------------------------------------------------------------------------------------------------------------
/// x W^T: rows In Out multiply-adds; backward dy W and dy^T x, as many each.
constexpr Products linear_products(Index rows, Index in, Index out) { return {{}, multiply_adds(rows, in, out), {}}; }
/// A frozen layer, whose backward is dy W alone, and the adapter: x A^T and (x A^T) B^T; backward has two products for each.
constexpr Products lora_linear_products(Index rows, Index in, Index out, Index rank) {
  return {multiply_adds(rows, in, out), multiply_adds(rows, rank, in + out), {}};
}
/// Scores q k^T and their product with v, over heads that share the width.
constexpr Products attention_products(Index queries, Index keys, Index width) {
  return {{}, {}, 2 * multiply_adds(queries, keys, width)};
}
constexpr Products attention_module_products(Index queries, Index keys, Index groups, Index width) {
  return static_cast<double>(groups) * (2 * linear_products(queries, width, width) +
                                        2 * linear_products(keys, width, width) + attention_products(queries, keys, width));
}
constexpr Products feed_forward_products(Index rows, Index width, Index hidden) {
  return 2 * linear_products(rows, width, hidden);
}
constexpr Products encoder_block_products(Index length, Index batch, Index width, Index hidden) {
  return attention_module_products(length, length, batch, width) + feed_forward_products(batch * length, width, hidden);
}

/// One group: every query attends to every key.
inline AttentionRows one_group(Index queries, Index keys) {
  AttentionRows rows;
  rows.query.push({queries, 1}), rows.key.push({keys, 1});
  return rows;
}

// ---- layers -------------------------------------------------------------------------------------------------------------
template <class T, Index In, Index Out>
void add_linear(Index rows) {
  const std::string shape = join("linear/", In, "x", Out, "/rows:", rows);
  constexpr auto work = linear_products;
  add<T>(shape, "forward", work(rows, In, Out).forward(), [=](Fixture& f) {
    const auto y = f.output<T, dyn, Out>(rows);
    const auto x = f.input<T, dyn, In>(rows);
    const auto& p = f.weights<Linear<In, Out>, T>();
    return [=, &f, &p] { Linear<In, Out>::forward(f.ctx, y, x, p.frozen()); };
  });
  add<T>(shape, "backward", work(rows, In, Out).backward(), [=](Fixture& f) {
    const auto dx = f.output<T, dyn, In>(rows);
    const auto dy = f.input<T, dyn, Out>(rows);
    const auto x = f.input<T, dyn, In>(rows);
    const auto& p = f.weights<Linear<In, Out>, T>();
    const auto dp = f.weights<Linear<In, Out>, accumulator_t<T>>().view();
    return [=, &f, &p] { Linear<In, Out>::backward(f.ctx, dx, dp, dy, x, p.frozen()); };
  });
}

/// Adapters of V for one layer, one after the other.
template <class V, Index In, Index Out, Index Rank>
AdapterView<V, In, Out, Rank> adapters(Fixture& f, Index count) {
  constexpr Index values = Rank * (In + Out);
  const auto all = f.output<V, dyn, 1>(count * values);
  return {all.data, all.data + Rank * In, values, count};
}
/// Each sample's own adapter.
template <std::size_t Samples>
constexpr std::array<Index, Samples> own_adapters() {
  std::array<Index, Samples> which{};
  for (std::size_t s = 0; s < Samples; ++s) which[s] = static_cast<Index>(s);
  return which;
}
inline std::string rows_of_samples(Index rows, std::size_t samples) {
  return samples > 1 ? join("/samples:", samples, "/rows:", rows) : join("/rows:", rows);
}

/// rows: of all samples together.
template <class T, Index In, Index Out, Index Rank, std::size_t Samples = 1>
void add_lora_linear(Index rows) {
  using Layer = LoRALinear<In, Out, Rank>;
  static constexpr auto which = own_adapters<Samples>();
  const std::string shape = join("lora_linear/", In, "x", Out, "/rank:", Rank, rows_of_samples(rows, Samples));
  const Products work = lora_linear_products(rows, In, Out, Rank);
  add<T>(shape, "forward", work.forward(), [=](Fixture& f) {
    const auto y = f.output<T, dyn, Out>(rows);
    const auto x = f.input<T, dyn, In>(rows);
    const auto& p = f.weights<Linear<In, Out>, T>();
    const auto a = adapters<T, In, Out, Rank>(f, Samples);
    return [=, &f, &p] { Layer::template forward<T>(f.ctx, f.ws, y, x, p.frozen(), a, which, 1.0); };
  });
  add<T>(shape, "backward", work.backward(), [=](Fixture& f) {
    const auto dx = f.output<T, dyn, In>(rows);
    const auto y = f.output<T, dyn, Out>(rows);
    const auto dy = f.input<T, dyn, Out>(rows);
    const auto x = f.input<T, dyn, In>(rows);
    const auto& p = f.weights<Linear<In, Out>, T>();
    const auto a = adapters<T, In, Out, Rank>(f, Samples);
    const auto da = adapters<accumulator_t<T>, In, Out, Rank>(f, Samples);
    const auto saved = Layer::template forward<T>(f.ctx, f.ws, y, x, p.frozen(), a, which, 1.0);
    const typename Layer::template Parameters<accumulator_t<T>> frozen;
    return
        [=, &f, &p] { Layer::template backward<T>(f.ctx, f.ws, dx, frozen, da, dy, x, saved, p.frozen(), a, which, 1.0); };
  });
}

template <class T, Index Width, Index HeadWidth>
void add_attention_module(Index queries, Index keys) {
  using Layer = Attention<Width, HeadWidth>;
  const std::string shape = join("attention_module/", Width, "/head:", HeadWidth, "/queries:", queries, "/keys:", keys);
  const Products work = attention_module_products(queries, keys, 1, Width);
  const Rotary<T, 0> none;
  const AttentionRows rows = one_group(queries, keys);
  add<T>(shape, "forward", work.forward(), [=](Fixture& f) {
    const auto y = f.output<T, dyn, Width>(queries);
    const auto x = f.input<T, dyn, Width>(queries), u = f.input<T, dyn, Width>(keys);
    const auto& p = f.weights<Layer, T>();
    return [=, &f, &p] { Layer::template forward<T>(f.ctx, f.ws, y, x, u, p.frozen(), none, none, rows); };
  });
  add<T>(shape, "backward", work.backward(), [=](Fixture& f) {
    const auto y = f.output<T, dyn, Width>(queries), dx = f.output<T, dyn, Width>(queries);
    const auto du = f.output<T, dyn, Width>(keys);
    const auto dy = f.input<T, dyn, Width>(queries), x = f.input<T, dyn, Width>(queries), u = f.input<T, dyn, Width>(keys);
    const auto& p = f.weights<Layer, T>();
    const auto dp = f.weights<Layer, T>().view();
    const auto saved = Layer::template forward<T>(f.ctx, f.ws, y, x, u, p.frozen(), none, none, rows);
    return [=, &f, &p] { Layer::template backward<T>(f.ctx, f.ws, dx, du, dp, dy, saved, p.frozen(), none, none, rows); };
  });
}

template <class T, Index Width, Index Hidden>
void add_feed_forward(Index rows) {
  using Layer = FeedForward<Width, Hidden>;
  const std::string shape = join("feed_forward/", Width, "x", Hidden, "/rows:", rows);
  const Products work = feed_forward_products(rows, Width, Hidden);
  add<T>(shape, "forward", work.forward(), [=](Fixture& f) {
    const auto y = f.output<T, dyn, Width>(rows);
    const auto x = f.input<T, dyn, Width>(rows);
    const auto& p = f.weights<Layer, T>();
    return [=, &f, &p] { Layer::template forward<T>(f.ctx, f.ws, y, x, p.frozen()); };
  });
  add<T>(shape, "backward", work.backward(), [=](Fixture& f) {
    const auto y = f.output<T, dyn, Width>(rows), dx = f.output<T, dyn, Width>(rows);
    const auto dy = f.input<T, dyn, Width>(rows), x = f.input<T, dyn, Width>(rows);
    const auto& p = f.weights<Layer, T>();
    const auto dp = f.weights<Layer, T>().view();
    const auto saved = Layer::template forward<T>(f.ctx, f.ws, y, x, p.frozen());
    return [=, &f, &p] { Layer::template backward<T>(f.ctx, f.ws, dx, dp, dy, saved, p.frozen()); };
  });
}

/// Its backward turns the gradient of y into that of x in place, so each call first copies it there; that is measured too.
template <class T, Index Width, Index HeadWidth>
void add_encoder_block(Index length) {
  using Layer = EncoderBlock<Width, HeadWidth>;
  const std::string shape = join("encoder_block/", Width, "/head:", HeadWidth, "/length:", length);
  const Products work = encoder_block_products(length, 1, Width, 4 * Width);
  add<T>(shape, "forward", work.forward(), [=](Fixture& f) {
    const auto y = f.output<T, dyn, Width>(length);
    const auto x = f.input<T, dyn, Width>(length);
    const auto& p = f.weights<Layer, T>();
    return [=, &f, &p] { Layer::template forward<T>(f.ctx, f.ws, y, x, p.frozen(), 1); };
  });
  add<T>(shape, "backward", work.backward(), [=](Fixture& f) {
    const auto y = f.output<T, dyn, Width>(length), dx = f.output<T, dyn, Width>(length);
    const auto dy = f.input<T, dyn, Width>(length), x = f.input<T, dyn, Width>(length);
    const auto& p = f.weights<Layer, T>();
    const auto dp = f.weights<Layer, T>().view();
    const auto saved = Layer::template forward<T>(f.ctx, f.ws, y, x, p.frozen(), 1);
    return [=, &f, &p] {
      copy(f.ctx, dx, dy);
      Layer::template backward<T>(f.ctx, f.ws, dx, dp, saved, p.frozen(), 1);
    };
  });
}

}  // namespace wu::bench

#define WU_BENCHMARK_LINEAR(In, Out, rows) WU_BENCHMARK(wu::bench::add_linear<float, In, Out>(rows))
#define WU_BENCHMARK_LORA_LINEAR(In, Out, Rank, rows) WU_BENCHMARK(wu::bench::add_lora_linear<float, In, Out, Rank>(rows))
#define WU_BENCHMARK_ATTENTION(Width, HeadWidth, queries, keys) \
  WU_BENCHMARK(wu::bench::add_attention_module<float, Width, HeadWidth>(queries, keys))
#define WU_BENCHMARK_FEED_FORWARD(Width, Hidden, rows) WU_BENCHMARK(wu::bench::add_feed_forward<float, Width, Hidden>(rows))
#define WU_BENCHMARK_ENCODER_BLOCK(Width, HeadWidth, length) \
  WU_BENCHMARK(wu::bench::add_encoder_block<float, Width, HeadWidth>(length))
