// The generator on the GPU: forward, backward with blocks kept and computed again, streamed, recorded, trained, and in a Model with
// only the context changed.
#include "support.hpp"

#include "wu/generator/generator.hpp"
#include "wu/generator/stream.hpp"
#include "wu/train/model.hpp"
#include "wu/train/training.hpp"

namespace {

using namespace wu;

/// 3 layers of 10 tokens and 4 ranks, two ranks to a position; heads of 8, so that bfloat16 goes to the tensor cores.
using Shape = AdaptedLayers<3, Adapted<"up", 5, 7>, Adapted<"down", 7, 5>>;
using Tokens = Tokenizer</*rank*/ 4, /*width*/ 3>::of<Shape>;
using Tiny = Generator<Tokens, Width<16>, HeadWidth<8>, Blocks<2>, JoinedRanks<2>, ConditionWidth<7>>;
constexpr Index batch = 2, length = 5, conditions = batch * length * Tiny::input, values = batch * Tokens::values;

/// Random weights in the memory of ctx.
template <class T>
Weights<Tiny, T> weights(auto& ctx) {
  Weights<Tiny, T> host;
  std::ranges::transform(test::random_values(host.extent, "weights"), host.flat().begin(),
                         [](double v) { return static_cast<T>(static_cast<double>(bfloat16(0.5 * v))); });
  return host.in(memory_of(ctx));
}

template <class Keep>
void forward_and_backward() {
  test::check(
      [](auto zero, auto& on) {
        using T = decltype(zero);
        using Sum = accumulator_t<T>;
        const auto p = weights<T>(on.ctx);
        const View<const T, dyn, dyn, Tiny::input> condition(on.template input<T>("condition", conditions), batch, length);
        const typename Tokens::Tokens<T> tokens(on.template output<T>("tokens", values), batch);
        const auto saved = Tiny::forward<T, Keep>(on.ctx, on.ws, tokens, condition, p.view());
        using Gradients = Weights<Tiny, Sum>;
        Sum* const flat = on.template input_and_output<Sum>("gradients", Gradients::extent);
        test::set_to_zero(on.ctx, View<Sum, dyn>(flat, Gradients::extent));
        Tiny::backward<T, Keep>(
            on.ctx, on.ws, View<T, dyn, dyn, Tiny::input>(on.template output<T>("dcondition", conditions), batch, length),
            bind_parameters<typename Gradients::Values>(flat),
            typename Tokens::Tokens<const T>(on.template input<T>("dtokens", values), batch), saved, p.view());
      },
      {.of_double = 1e-10, .of_float = 1e-4, .of_bfloat16 = 8e-2});
}

}  // namespace

BOOST_AUTO_TEST_CASE(generator_keeping_its_blocks) { forward_and_backward<SaveBlocks>(); }
BOOST_AUTO_TEST_CASE(generator_computing_its_blocks_again) { forward_and_backward<RecomputeBlocks>(); }

BOOST_AUTO_TEST_CASE(generator_from_its_prefix_streamed_and_recorded) {
  auto& gpu = test::gpu();
  test::On on(gpu);
  const auto p = weights<float>(gpu);
  const View<const float, dyn, dyn, Tiny::input> condition(on.input<float>("condition", conditions), batch, length);
  const auto tokens = [&](const char* name) { return Tokens::Tokens<float>(on.output<float>(name, values), batch); };
  {
    const Workspace::Scope scope(on.ws);
    Tiny::forward<float>(gpu, on.ws, tokens("forward"), condition, p.view());
  }
  const auto prefix = Tiny::prefix<float>(gpu, on.ws, p.view());
  Tiny::forward<float>(gpu, on.ws, tokens("from the prefix"), condition, prefix, p.view());
  generate_tokens<Tiny, float, 16>(gpu, on.ws, tokens("streamed"), condition, p.view());
  const auto to = tokens("recorded");
  cuda::Recording recording(gpu, [&] {
    const Workspace::Scope scope(on.ws);
    Tiny::forward<float>(gpu, on.ws, to, condition, p.view());
  });
  BOOST_CHECK(std::isnan(on.results().at("recorded")[0]));
  recording.run(gpu);
  const auto found = on.results();
  BOOST_CHECK(found.at("from the prefix") == found.at("forward"));
  BOOST_CHECK(found.at("recorded") == found.at("forward"));
  BOOST_CHECK_LE(test::relative_error(found.at("streamed"), found.at("forward")), 1e-5);
}

BOOST_AUTO_TEST_CASE(a_model_with_only_the_context_changed) {
  reference host;
  Model<Tiny, float> model(weights<float>(host));
  Tensor<float, dyn, dyn, Tiny::input> condition(batch, length);
  std::ranges::copy(test::random_values(conditions, "condition"), condition.data());
  const auto expected = model.forward(host, condition), found = model.forward(test::gpu(), condition);
  BOOST_CHECK_LE(test::relative_error(found.span(), expected.span()), 1e-4);
  for (float& w : model.weights.flat()) w *= 0.5f;
  model.forget_copies();
  BOOST_CHECK_LE(test::relative_error(model.forward(test::gpu(), condition).span(), model.forward(host, condition).span()),
                 1e-4);
}

BOOST_AUTO_TEST_CASE(training_in_bfloat16_and_back_to_the_host) {
  using T = bfloat16;
  const auto steps = [](auto& ctx, train::Training<Tiny, T>& run, Index count) {
    test::On on(ctx);
    const View<const T, dyn, dyn, Tiny::input> condition(on.template input<T>("condition", conditions), batch, length);
    const View<const T, dyn> target(on.template input<T>("target", values), values);
    std::vector<double> losses, errors(batch);
    for (Index step = 0; step < count; ++step)
      losses.push_back(run.advance(ctx, {.schedule = {.peak = 1e-2}},
                                   [&](const auto& p, const auto& dp, Index, Index) {
                                     const Workspace::Scope scope(on.ws);
                                     const auto tokens = on.ws.template take<T, dyn>(values),
                                                dtokens = on.ws.template take<T, dyn>(values);
                                     const auto dcondition = on.ws.template take<T, dyn, dyn, Tiny::input>(batch, length);
                                     const auto saved = Tiny::forward<T>(ctx, on.ws, {tokens.data, batch}, condition, p);
                                     const double loss =
                                         mse_forward(ctx, View<double, dyn>(errors.data(), batch), as_const(tokens), target);
                                     const std::vector<double> weights(batch, 1.0 / static_cast<double>(batch));
                                     mse_backward(ctx, dtokens, as_const(tokens), target, std::span<const double>(weights));
                                     Tiny::backward<T>(ctx, on.ws, dcondition, dp, {dtokens.data, batch}, saved, p);
                                     return loss;
                                   })
                           .loss);
    return losses;
  };
  reference host;
  train::Training<Tiny, T> here;
  here.weights() = weights<float>(host);
  auto there = here.in(memory_of(test::gpu()));
  const auto expected = steps(host, here, 3), found = steps(test::gpu(), there, 3);
  BOOST_CHECK_LE(test::relative_error(found, expected), 1e-2);
  BOOST_CHECK_LT(found.back(), found.front());
  const auto back = there.in(nullptr);
  BOOST_CHECK_EQUAL(back.step, 3);
  BOOST_CHECK_LE(test::relative_error(back.weights().flat(), here.weights().flat()), 5e-2);
  BOOST_CHECK(back.weights().flat()[0] != weights<float>(host).flat()[0]);
}
