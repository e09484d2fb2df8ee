// The generator against numbers made elsewhere (tests/fixtures/generator): tokens, adapters in both layouts, and the gradient
// of sum(tokens * cotangent) with respect to the condition and every weight, in float64.
#include <boost/test/unit_test.hpp>

#include "support/gradient_check.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/generator/generator.hpp"
#include "wu/io/parameters.hpp"

namespace {

using namespace wu;

/// Relative error allowed in float64. The fixtures' angles are float64; what is left is rounding.
constexpr double tolerance = 1e-9;

std::vector<double> values(const io::SafeTensors& file, const std::string& name) {
  const auto& tensor = file.at(name);
  std::vector<double> out(static_cast<std::size_t>(tensor.count()));
  io::read_into(tensor, std::span<double>(out));
  return out;
}

/// Every adapter of every layer and sample, detokenized with layout L, against the file's.
template <class G, Layout L>
void check_adapters(const io::SafeTensors& expected, const std::vector<double>& tokens, Index batch,
                    const std::string& layout, int& compared) {
  using Tokens = typename Tokenizer<G::r, G::d, L>::template of<typename G::Tokens::shape>;
  for (Index layer = 0; layer < G::n; ++layer) {
    std::array<std::vector<double>, Tokens::module_count> A, B;
    std::array<double*, Tokens::module_count> at_A, at_B;
    for (std::size_t m = 0; m < Tokens::module_count; ++m) {
      const auto& module = Tokens::modules[m];
      A[m].resize(static_cast<std::size_t>(batch * module.experts * G::r * module.in));
      B[m].resize(static_cast<std::size_t>(batch * module.experts * G::r * module.out));
    }
    for (Index s = 0; s < batch; ++s) {
      for (std::size_t m = 0; m < Tokens::module_count; ++m) {
        at_A[m] = A[m].data() + s * static_cast<Index>(A[m].size()) / batch;
        at_B[m] = B[m].data() + s * static_cast<Index>(B[m].size()) / batch;
      }
      Tokens::detokenize(at_A, at_B, tokens.data() + (s * G::n + layer) * Tokens::values_per_layer);
    }
    for (std::size_t m = 0; m < Tokens::module_count; ++m) {
      const std::string name = layout + ".model.layers." + std::to_string(layer) + "." + Tokens::modules[m].name();
      BOOST_CHECK_LT(wu::test::relative_error(A[m], values(expected, name + ".lora_A")), tolerance);
      BOOST_CHECK_LT(wu::test::relative_error(B[m], values(expected, name + ".lora_B")), tolerance);
      ++compared;
    }
  }
}

template <class G>
void check(auto&& ctx, const std::string& folder) {
  BOOST_TEST_CONTEXT("fixture " << folder) {
    const std::string path = std::string(WU_TEST_DATA) + "/generator/" + folder + "/";
    const auto model = io::SafeTensors::open(path + "model.safetensors");
    const auto expected = io::SafeTensors::open(path + "expected.safetensors");
    Weights<G, double> weights, gradients;
    auto p = weights.view();
    io::load_parameters(model, p);

    const auto condition = values(expected, "condition");
    const Index batch = expected.at("condition").shape[0], L = expected.at("condition").shape[1];
    std::vector<double> tokens(static_cast<std::size_t>(batch * G::Tokens::values), std::nan(""));
    const auto cotangent = values(expected, "cotangent");
    std::vector<double> dcondition(condition.size(), std::nan(""));
    Workspace ws;
    const auto saved =
        G::template forward<double>(ctx, ws, {tokens.data(), batch},
                                    View<const double, dyn, dyn, G::input>(condition.data(), batch, L), weights.frozen());
    BOOST_CHECK_LT(wu::test::relative_error(tokens, values(expected, "tokens")), tolerance);

    G::template backward<double>(ctx, ws, View<double, dyn, dyn, G::input>(dcondition.data(), batch, L), gradients.view(),
                                 {cotangent.data(), batch}, saved, weights.frozen());
    BOOST_CHECK_LT(wu::test::relative_error(dcondition, values(expected, "grad.condition")), tolerance);
    auto dp = gradients.view();
    int gradients_compared = 0;
    for_each_parameter(dp, [&](std::string_view name, auto& view) {
      const auto e = values(expected, std::string("grad.").append(name));
      BOOST_CHECK_MESSAGE(
          wu::test::relative_error(std::span<const double>(view.data, e.size()), e) < tolerance,
          "grad." << name << " off by " << wu::test::relative_error(std::span<const double>(view.data, e.size()), e));
      ++gradients_compared;
    });
    BOOST_CHECK_EQUAL(gradients_compared + 1,
                      std::ranges::count_if(expected.names(), [](const std::string& n) { return n.starts_with("grad."); }));

    int compared = 0;
    check_adapters<G, Layout::flat>(expected, tokens, batch, "flat", compared);
    if constexpr (G::Tokens::shape::gcd_width % G::d == 0)
      check_adapters<G, Layout::rank_anchored>(expected, tokens, batch, "rank_anchored", compared);
    const auto adapters =
        std::ranges::count_if(expected.names(), [](const std::string& n) { return n.ends_with(".lora_A"); });
    BOOST_CHECK_EQUAL(compared, adapters);
  }
}

template <Index Rank, Index D, class Shape>
using Flat = typename Tokenizer<Rank, D>::template of<Shape>;

using Dense = Generator<Flat<4, 16,
                             AdaptedLayers<3, Adapted<"attn.qkv", 16, 48>, Adapted<"attn.out", 16, 16>,
                                           Adapted<"mlp.up", 16, 64>, Adapted<"mlp.down", 64, 16>>>,
                        Width<16>, HeadWidth<8>, Blocks<2>, JoinedRanks<1>, ConditionWidth<12>>;
using Experts = Generator<
    Flat<4, 4,
         AdaptedLayers<
             2, Adapted<"self_attn.qkv_proj", 16, 24>, Adapted<"self_attn.o_proj", 16, 16>,
             Adapted<"mlp.shared_mlp.gate_and_up_proj", 16, 24>, Adapted<"mlp.shared_mlp.down_proj", 12, 16>,
             AdaptedExperts<"mlp.experts", 4, Adapted<"w1", 16, 12>, Adapted<"w2", 12, 16>, Adapted<"w3", 16, 12>>>>,
    Width<16>, HeadWidth<8>, Blocks<2>, JoinedRanks<4>, ConditionWidth<20>>;
using Padded = Generator<Flat<4, 24,
                              AdaptedLayers<3, Adapted<"self_attn.qkv_proj", 20, 28>, Adapted<"self_attn.o_proj", 20, 20>,
                                            Adapted<"mlp.down_proj", 36, 20>>>,
                         Width<48>, HeadWidth<12>, Blocks<1>, JoinedRanks<2>, ConditionWidth<16>>;
using Spanning = Generator<Flat<2, 8,
                                AdaptedLayers<2, Adapted<"o", 10, 14>,
                                              AdaptedExperts<"mlp.experts", 3, Adapted<"w1", 10, 6>, Adapted<"w2", 6, 10>>>>,
                           Width<24>, HeadWidth<8>, Blocks<2>, JoinedRanks<1>, ConditionWidth<9>>;
using WideRank = Generator<Flat<16, 12, AdaptedLayers<5, Adapted<"q", 12, 12>>>, Width<32>, HeadWidth<8>, Blocks<2>,
                           JoinedRanks<2>, ConditionWidth<6>>;
using Paper =
    Generator<Tokenizer<4, 16, Layout::rank_anchored>::of<
                  AdaptedLayers<3, Adapted<"attn.qkv", 16, 48>, Adapted<"attn.out", 16, 16>, Adapted<"mlp.up", 16, 32>>>,
              Width<16>, HeadWidth<8>, Blocks<2>, JoinedRanks<1>, ConditionWidth<12>, PaperOrder, CrossRotary::paper>;

}  // namespace

BOOST_AUTO_TEST_CASE(fixtures_on_the_reference) {
  reference ctx;
  check<Dense>(ctx, "dense");
  check<Experts>(ctx, "experts");
  check<Padded>(ctx, "padded");
  check<Spanning>(ctx, "spanning");
  check<WideRank>(ctx, "wide_rank");
  check<Paper>(ctx, "paper");
}

BOOST_AUTO_TEST_CASE(fixtures_on_the_cpu) {
  check<Dense>(cpu::Context({.threads = 2}), "dense");
  check<Experts>(cpu::Context({.threads = 2}), "experts");
  check<Padded>(cpu::Context({.threads = 2}), "padded");
  check<Spanning>(cpu::Context({.threads = 2}), "spanning");
  check<WideRank>(cpu::Context({.threads = 2}), "wide_rank");
  check<Paper>(cpu::Context({.threads = 2}), "paper");
}
