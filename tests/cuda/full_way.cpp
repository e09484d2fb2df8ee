// The whole way on the GPU: picture and instruction -> condition -> generator -> adapters -> frozen backbone -> loss, and back to
// every weight that learns, and to those of a backbone that learns itself. tests/train/full_way.cpp checks the reference's gradients
// against differences; here the GPU's are compared with the reference's, from the same weights.
#include "support.hpp"

#include "wu/backbone/edit_transformer.hpp"
#include "wu/condition/hybrid.hpp"
#include "wu/diffusion/sampler.hpp"
#include "wu/diffusion/step.hpp"
#include "wu/generator/generator.hpp"

namespace {

using namespace wu;

using Backbone = backbone::EditTransformer</*layers*/ 2, /*token width*/ 16, /*pixel width*/ 6, /*head width*/ 8,
                                           /*instruction width*/ 5, /*rank*/ 2, /*adapter token width*/ 5>;
using Condition =
    condition::Hybrid<condition::ImageEncoder</*size*/ 6, /*patch*/ 3, /*width*/ 16, /*head width*/ 8, /*blocks*/ 1>,
                      condition::TextEncoder</*vocabulary*/ 7, /*length*/ 3, /*width*/ 16, /*head width*/ 8, /*blocks*/ 1>>;
using Generator =
    wu::Generator<Backbone::Tokens, Width<16>, HeadWidth<8>, Blocks<1>, JoinedRanks<2>, ConditionWidth<Condition::width>>;
using Tokens = Generator::Tokens;
using Step = diffusion::DiffusionStep<diffusion::RectifiedFlow, diffusion::Predicts::edit, diffusion::LogMeanSquared>;

/// All of it.
struct Networks {
  template <class T>
  struct Parameters {
    typename Condition::template Parameters<T> condition;
    typename Generator::template Parameters<T> generator;
    typename Backbone::template Parameters<T> backbone;
    constexpr void visit(auto&& at) { at("condition", condition), at("generator", generator), at("backbone", backbone); }
  };
};

constexpr Index requests = 2, samples = 3, side = 8;
/// The second request serves two samples.
constexpr std::array<Index, samples> which{1, 0, 1};
constexpr std::array<double, samples> t{0.2, 0.5, 0.97};  // the last where the velocity is held back
constexpr std::array<std::int32_t, requests * 3> pieces{1, 4, 2, 6, 4, 0};

/// Random weights that bfloat16 holds too, in the memory of ctx.
template <class T>
Weights<Networks, T> weights(auto& ctx) {
  Weights<Networks, T> host;
  std::ranges::transform(test::random_values(host.extent, "weights"), host.flat().begin(),
                         [](double v) { return static_cast<T>(static_cast<double>(bfloat16(0.5 * v))); });
  return host.in(memory_of(ctx));
}

using Results = std::map<std::string, std::vector<double>>;

/// Tokens, edit, loss, errors, a sampled picture, and every gradient.
template <class T>
Results way(auto& ctx) {
  using Sum = accumulator_t<T>;
  using Pictures = View<T, dyn, dyn, dyn, 3>;
  constexpr Index values = samples * side * side * 3, token_values = requests * Tokens::values;
  test::On on(ctx);
  Workspace& ws = on.ws;
  const auto owned = weights<T>(ctx);
  const auto p = owned.view();
  Weights<Networks, Sum> gradients(memory_of(ctx));
  const auto dp = gradients.view();
  const auto pictures = [&](const char* name) {
    return View<const T, dyn, dyn, dyn, 3>(on.template input<T>(name, values), samples, side, side);
  };
  const View<const T, dyn, dyn, dyn, 3> seen(on.template input<T>("seen", requests * 6 * 6 * 3), requests, 6, 6);
  const auto source = pictures("source"), target = pictures("target"), noise = pictures("noise");
  const View<const T, dyn, 5> instruction(on.template input<T>("instruction", samples * 5), samples);

  const auto u = ws.take<T, dyn, dyn, Condition::width>(requests, Condition::length),
             du = ws.take<T, dyn, dyn, Condition::width>(requests, Condition::length);
  const auto condition = Condition::forward<T>(ctx, ws, u, seen, pieces, p.condition);
  const Tokens::Tokens<T> tokens(on.template output<T>("tokens", token_values), requests),
      dtokens(ws.take_values<T>(token_values), requests);
  const auto generated = Generator::forward<T>(ctx, ws, tokens, u, p.generator);

  const Pictures edit(on.template output<T>("edit", values), samples, side, side);
  const auto x_t = ws.take<T, dyn, dyn, dyn, 3>(samples, side, side),
             dedit = ws.take<T, dyn, dyn, dyn, 3>(samples, side, side);
  const Backbone::Adapters<T> adapters{tokens, which, 0.6};
  Step::interpolate(ctx, x_t, noise, target, t);
  const auto applied = Backbone::forward<T>(ctx, ws, edit, x_t, source, t, instruction, p.backbone, adapters);
  std::vector<double> errors(samples);
  on.result("loss", Step::loss(ctx, ws, dedit, View<double, dyn>(errors.data(), samples), as_const(edit), as_const(x_t),
                               source, noise, target, t));
  for (Index s = 0; s < samples; ++s) on.result("error " + std::to_string(s), errors[static_cast<std::size_t>(s)]);

  zero(ctx, dtokens);
  const View<T, dyn, 5> dinstruction(on.template output<T>("dinstruction", samples * 5), samples);
  Backbone::backward<T>(ctx, ws, dtokens, dp.backbone, dinstruction, as_const(dedit), applied, p.backbone, adapters);
  Generator::backward<T>(ctx, ws, du, dp.generator, dtokens, generated, p.generator);
  Condition::backward<T>(ctx, ws, dp.condition, du, condition, p.condition);

  const Pictures x(on.template input_and_output<T>("sampled", values), samples, side, side);
  diffusion::sample_euler(ctx, ws, x, 2, [&](auto v, auto now, double time) {
    const std::vector<double> times(samples, time);
    Backbone::forward<T>(ctx, ws, edit, now, source, times, instruction, p.backbone, adapters);
    Step::velocity(ctx, v, as_const(edit), now, source, times);
  });

  Results all = on.results();
  auto host = gradients.in(nullptr);
  auto named = host.view();
  for_each_parameter(named, [&](std::string_view name, auto& view) {
    auto& values_of = all["d " + std::string(name)];
    for (const Sum v : view) values_of.push_back(static_cast<double>(v));
  });
  return all;
}

void compare(const Results& found, const Results& expected, double tolerance, const char* what) {
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  for (const auto& [name, values] : expected) {
    // It adds the same number to all scores of a query, which the softmax does not see: its gradient is nothing but rounding.
    if (name.starts_with("d condition.") && name.ends_with("W_k.bias")) continue;
    const double error = test::relative_error(found.at(name), values);
    BOOST_CHECK_MESSAGE(error <= tolerance, what << ": " << name << " is off by " << error);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(from_picture_and_instruction_to_loss_and_back) {
  reference slow;
  const Results expected = way<double>(slow);
  compare(way<double>(test::gpu()), expected, 1e-10, "float64");
  compare(way<bfloat16>(test::gpu()), expected, 0.15, "bfloat16");
}

BOOST_AUTO_TEST_CASE(adapters_that_are_not_finite_are_refused) {
  auto& gpu = test::gpu();
  const std::vector<double> values(static_cast<std::size_t>(Tokens::values), std::nan(""));
  Buffer<double> there(Tokens::values, memory_of(gpu));
  test::put(there, values);
  const std::array<Index, 1> first{0};
  const Backbone::Adapters<double> adapters{{there.data(), 1}, first, 1};
  const auto refused = [&](auto&& waits) {
    BOOST_CHECK_EXCEPTION(waits(), NonFiniteError, [](const NonFiniteError& e) {
      return e.what() == std::string_view("adapters: a generated value is NaN or infinite");
    });
  };
  // Nobody waits for the GPU to look; the next who waits for anything is told, once.
  BOOST_CHECK_NO_THROW(backbone::check(gpu, adapters, 1));
  refused([&] { gpu.synchronise(); });
  BOOST_CHECK_NO_THROW(gpu.synchronise());
  backbone::check(gpu, adapters, 1);
  refused([&] { squared_norm(gpu, std::span<const double>(there.data(), 1)); });
  // In a recording too, each time that it runs.
  cuda::Recording recording(gpu, [&] { backbone::check(gpu, adapters, 1); });
  BOOST_CHECK_NO_THROW(gpu.synchronise());
  for (int run = 0; run < 2; ++run) {
    recording.run(gpu);
    refused([&] { gpu.synchronise(); });
  }
  // A Float8Weights that ends waits too, but is not who is told; nor is an update made on the way.
  {
    const auto owned = weights<bfloat16>(gpu);
    const cuda::Float8Weights float8(gpu, owned.frozen().generator);
    backbone::check(gpu, adapters, 1);
  }
  refused([&] { gpu.synchronise(); });
  Buffer<double> updated(3, memory_of(gpu)), first_moment(3, memory_of(gpu)), second(3, memory_of(gpu)),
      slope(3, memory_of(gpu));
  test::put(updated, {1, 2, 3}), test::put(slope, {1, 1, 1});
  backbone::check(gpu, adapters, 1);
  refused([&] {
    clipped_adamw_update(
        gpu,
        AdamWBuffers<double>{
            .values = updated.span(), .first = first_moment.span(), .second = second.span(), .gradients = slope.span()},
        {}, 1, 1);
  });
  BOOST_CHECK(test::fetch(updated) == (std::vector<double>{1, 2, 3}));
  test::put(there, std::vector<double>(values.size(), 0.5));
  recording.run(gpu);
  backbone::check(gpu, adapters, 1);
  BOOST_CHECK_NO_THROW(gpu.synchronise());
}

BOOST_AUTO_TEST_CASE(the_backbone_can_be_recorded) {
  auto& gpu = test::gpu();
  test::On on(gpu);
  constexpr Index values = samples * side * side * 3;
  const auto owned = weights<float>(gpu);
  const auto p = owned.view();
  const auto pictures = [&](const char* name) {
    return View<const float, dyn, dyn, dyn, 3>(on.input<float>(name, values), samples, side, side);
  };
  const auto x_t = pictures("x_t"), source = pictures("source");
  const View<const float, dyn, 5> instruction(on.input<float>("instruction", samples * 5), samples);
  const Tokens::Tokens<const float> tokens(on.input<float>("tokens", requests * Tokens::values), requests);
  const Backbone::Adapters<float> adapters{tokens, which, 0.6};
  const auto edit = [&](const char* name) {
    return View<float, dyn, dyn, dyn, 3>(on.output<float>(name, values), samples, side, side);
  };
  const auto now = edit("now"), recorded = edit("recorded");
  const auto run = [&](auto to) {
    const Workspace::Scope scope(on.ws);
    Backbone::forward<float>(gpu, on.ws, to, x_t, source, t, instruction, p.backbone, adapters);
  };
  run(now);
  cuda::Recording recording(gpu, [&] { run(recorded); });
  recording.run(gpu);
  const auto all = on.results();
  BOOST_CHECK(all.at("recorded") == all.at("now"));
}
