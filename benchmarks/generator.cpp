// The generator's prior and tokens, one block, whole generators, and their parameters to a file and back.
#include "wu/benchmark/generator.hpp"

#include "wu/benchmark/layers.hpp"

namespace {

using namespace wu;
using namespace wu::bench;

/// 8 layers of 24 tokens, rank 16.
using Shape = AdaptedLayers<8, Adapted<"attn.qkv", 256, 768>, Adapted<"attn.out", 256, 256>, Adapted<"mlp.up", 256, 512>,
                            Adapted<"mlp.down", 512, 256>>;
using Wide =
    Generator<Tokenizer<16, 128>::of<Shape>, Width<512>, HeadWidth<64>, Blocks<2>, JoinedRanks<4>, ConditionWidth<512>>;
static_assert(Wide::h == 24 && Wide::positions == 768);

/// forward: the tables -> the rows and, for backward, their sum before the norm.    backward: drows, the sum; it adds to the
/// tables' gradients
template <class T, class Model>
void add_prior(const std::string& name) {
  using Prior = typename Model::Start;
  constexpr Index C = Model::C, n = Model::positions, table = Model::h * Model::r, c = Model::c;
  const std::string shape = join("prior/", name, "/positions:", n);
  const Work rows = moved<T>(n * C), tables = moved<T>((table + Model::n) * c);
  add<T>(shape, "forward", 2 * rows + tables, [](Fixture& f) {
    const auto x = f.output<T, dyn, C>(n);
    const typename Prior::template Parameters<const T> p{f.input<T, table, c>(), f.input<T, Model::n, c>()};
    const auto gain = f.input<T, C>();
    return [=, &f] { Prior::template forward<T>(f.ctx, f.ws, x, p, gain); };
  });
  add<T>(shape, "backward", 2 * rows + 2 * tables, [](Fixture& f) {
    const auto x = f.output<T, dyn, C>(n);
    const auto dx = f.input<T, dyn, C>(n);
    const typename Prior::template Parameters<const T> p{f.input<T, table, c>(), f.input<T, Model::n, c>()};
    const typename Prior::template Parameters<T> dp{f.output<T, table, c>(), f.output<T, Model::n, c>()};
    const auto gain = f.input<T, C>();
    const auto dgain = f.output<T, C>();
    const auto saved = Prior::template forward<T>(f.ctx, f.ws, x, p, gain);
    return [=, &f] { Prior::template backward<T>(f.ctx, f.ws, dp, dgain, dx, saved, gain); };
  });
}

/// All layers of one request. forward: the tokens -> A and B of every module.    backward: their gradients -> the tokens'
template <class T, class Tokens>
void add_tokens(const std::string& name) {
  constexpr Index layer_values = Tokens::adapter_values / Tokens::layers;
  const Work work = moved<T>(Tokens::values + Tokens::adapter_values);
  const auto both = [&](const std::string& direction, auto call) {
    add<T>("detokenize/" + name, direction, work, [=](Fixture& f) {
      const auto tokens = f.output<T, dyn, 1>(Tokens::values), matrices = f.output<T, dyn, 1>(Tokens::adapter_values);
      return [=] {
        for (Index layer = 0; layer < Tokens::layers; ++layer) {
          std::array<T*, Tokens::module_count> A, B;
          T* at = matrices.data + layer * layer_values;
          for (std::size_t m = 0; m < Tokens::module_count; ++m) {
            const auto& module = Tokens::modules[m];
            A[m] = at, B[m] = at + module.experts * Tokens::rank * module.in;
            at = B[m] + module.experts * Tokens::rank * module.out;
          }
          call(tokens.data + layer * Tokens::values_per_layer, A, B);
        }
      };
    });
  };
  both("forward", [](T* tokens, const auto& A, const auto& B) { Tokens::template detokenize<T>(A, B, tokens); });
  both("backward", [](T* dtokens, const auto& dA, const auto& dB) {
    std::array<const T*, Tokens::module_count> A, B;
    std::ranges::copy(dA, A.begin()), std::ranges::copy(dB, B.begin());
    Tokens::template detokenize_transpose<T>(dtokens, A, B);
  });
}

/// Its self attentions, the cross attention, feed-forward. x: (positions, C), u: (L, C).
template <class T, class Model>
void add_generator_block(const std::string& name, Index L) {
  using Block = typename Model::Block;
  using Shared = typename Model::template Shared<T>;
  constexpr Index C = Model::C, n = Model::positions;
  const std::string shape = join("generator_block/", name, "/condition:", L);
  Products work = attention_module_products(n, L, 1, C) + feed_forward_products(n, C, Block::hidden);
  for (std::size_t k = 0; k < Block::self_count; ++k)
    work = work + 4 * linear_products(n, C, C) + attention_products(n, Block::attended(k), C);

  // The rotary tables and attended rows, which all blocks of a generator share.
  const auto share = [=](auto& ctx, Workspace& ws) {
    Shared s;
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      ((std::get<K>(s.rotary) =
            std::remove_reference_t<decltype(std::get<K>(s.rotary))>::make(ctx, ws, Block::template Self<K>::rotary_axes),
        s.rows[K] = s.rows_of_one[K] = Block::template Self<K>::rows(1)),
       ...);
    }(std::make_index_sequence<Block::self_count>{});
    s.cross_q = Rotary<T, Model::cross_axes>::make(ctx, ws, Model::query_axes);
    s.cross_k = Rotary<T, Model::cross_axes>::make(ctx, ws, Model::key_axes(L));
    s.cross_rows = one_group(n, L);
    return std::make_shared<Shared>(s);
  };
  add<T>(shape, "forward", work.forward(), [=](Fixture& f) {
    const auto y = f.output<T, dyn, C>(n);
    const auto x = f.input<T, dyn, C>(n), u = f.input<T, dyn, C>(L);
    const auto& p = f.weights<Block, T>();
    const auto shared = share(f.ctx, f.ws);
    return [=, &f, &p] { Block::template forward<T>(f.ctx, f.ws, y, x, u, p.frozen(), *shared); };
  });
  add<T>(shape, "backward", work.backward(), [=](Fixture& f) {  // dx: from the gradient of y to that of x, in place
    const auto y = f.output<T, dyn, C>(n), dx = f.output<T, dyn, C>(n), du = f.output<T, dyn, C>(L);
    const auto dy = f.input<T, dyn, C>(n), x = f.input<T, dyn, C>(n), u = f.input<T, dyn, C>(L);
    const auto& p = f.weights<Block, T>();
    const auto dp = f.weights<Block, T>().view();
    const auto shared = share(f.ctx, f.ws);
    const auto saved = std::make_shared<typename Block::template Saved<T>>(
        Block::template forward<T>(f.ctx, f.ws, y, x, u, p.frozen(), *shared));
    return [=, &f, &p] {
      copy(f.ctx, dx, dy);
      Block::template backward<T>(f.ctx, f.ws, dx, du, dp, *saved, p.frozen(), *shared);
    };
  });
}

WU_BENCHMARK(add_prior<float, Wide>("Wide"));
WU_BENCHMARK(add_tokens<float, Wide::Tokens>("flat"));
WU_BENCHMARK(add_tokens<float, Tokenizer<16, 128, Layout::rank_anchored>::of<Shape>>("rank_anchored"));
WU_BENCHMARK(add_generator_block<float, Wide>("Wide", 128));
WU_BENCHMARK_GENERATOR(Wide, 128);
WU_BENCHMARK(add_generator<bfloat16, Wide>("Wide", 128));
WU_BENCHMARK_FILE(Wide);

}  // namespace
