// ops/attention: long and short, self and cross.
//     forward:  scores and their product with v, 2 * 2 queries keys C operations
//     backward: scores again, dout v^T, dv, dk and dq, 5 * 2 queries keys C
#include "wu/benchmark/layers.hpp"
#include "wu/generator/grid.hpp"

namespace {

using namespace wu;
using namespace wu::bench;

template <class T, Index C, Index D>
void add_attention(const std::string& kind, const AttentionRows& rows) {
  const Index queries = rows.query.size(), keys = rows.key.size(), groups = rows.groups();
  const Index rows_q = groups * queries, rows_k = groups * keys;
  const std::string shape =
      join("attention/", kind, "/", C, "/head:", D, "/groups:", groups, "/queries:", queries, "/keys:", keys);
  const Products work = static_cast<double>(groups) * attention_products(queries, keys, C);
  add<T>(shape, "forward", work.forward(), [=](Fixture& f) {
    const auto out = f.output<T, dyn, C>(rows_q);
    const auto lse = f.output<accumulator_t<T>, dyn, C / D>(rows_q);
    const auto q = f.input<T, dyn, C>(rows_q), k = f.input<T, dyn, C>(rows_k), v = f.input<T, dyn, C>(rows_k);
    return [=, &f] { attention_forward<D>(f.ctx, f.ws, out, lse, q, k, v, rows); };
  });
  add<T>(shape, "backward", work.backward(), [=](Fixture& f) {
    const auto out = f.output<T, dyn, C>(rows_q), dq = f.output<T, dyn, C>(rows_q);
    const auto dk = f.output<T, dyn, C>(rows_k), dv = f.output<T, dyn, C>(rows_k);
    const auto lse = f.output<accumulator_t<T>, dyn, C / D>(rows_q);
    const auto dout = f.input<T, dyn, C>(rows_q), q = f.input<T, dyn, C>(rows_q);
    const auto k = f.input<T, dyn, C>(rows_k), v = f.input<T, dyn, C>(rows_k);
    attention_forward<D>(f.ctx, f.ws, out, lse, q, k, v, rows);
    return [=, &f] { attention_backward<D>(f.ctx, f.ws, dq, dk, dv, dout, as_const(out), as_const(lse), q, k, v, rows); };
  });
}

/// The generator's grid: 8 layers of 24 tokens of 16 ranks, four of them joined in one row, or none.
using Tokens = Grid<Axis<"layer", 8>, Axis<"token", 24>, Axis<"rank", 4>>;
using AllRanks = Grid<Axis<"layer", 8>, Axis<"token", 24>, Axis<"rank", 16>>;

WU_BENCHMARK(add_attention<float, 512, 64>("self", one_group(768, 768)));
WU_BENCHMARK(add_attention<float, 512, 64>("cross", one_group(768, 128)));
WU_BENCHMARK(add_attention<float, 512, 64>("token_rank", Tokens::attend<"token", "rank">(1)));
WU_BENCHMARK(add_attention<float, 512, 64>("token_rank", AllRanks::attend<"token", "rank">(1)));
WU_BENCHMARK(add_attention<float, 512, 64>("layer", Tokens::attend<"layer">(1)));
WU_BENCHMARK(add_attention<float, 64, 16>("rank", Tokens::attend<"rank">(4)));
WU_BENCHMARK(add_attention<double, 512, 64>("token_rank", Tokens::attend<"token", "rank">(1)));
WU_BENCHMARK(add_attention<double, 512, 64>("layer", Tokens::attend<"layer">(1)));
WU_BENCHMARK(add_attention<bfloat16, 512, 64>("cross", one_group(768, 128)));
WU_BENCHMARK(add_attention<bfloat16, 512, 64>("token_rank", Tokens::attend<"token", "rank">(1)));
WU_BENCHMARK(add_attention<bfloat16, 512, 64>("token_rank", AllRanks::attend<"token", "rank">(1)));
WU_BENCHMARK(add_attention<bfloat16, 512, 64>("layer", Tokens::attend<"layer">(1)));
WU_BENCHMARK(add_attention<bfloat16, 64, 16>("self", one_group(64, 64)));

}  // namespace
