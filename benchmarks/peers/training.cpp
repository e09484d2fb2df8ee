// The training step of the editing demonstration, without what draws pictures: encoders, generator, frozen backbone with
// adapters, loss, backward to every weight that learns, clipping, AdamW.
#include "wu/train/training.hpp"
#include "networks_work.hpp"
#include "work.hpp"
#include "wu/diffusion/step.hpp"

namespace peers {

namespace {

using namespace networks;
using Step = diffusion::DiffusionStep<diffusion::RectifiedFlow, diffusion::Predicts::edit, diffusion::LogMeanSquared>;
constexpr Index together = 8;  // pictures that the backbone sees at a time, so that their activations stay in the cache

/// The backbone and the text encoder that tells it the instruction.
struct Frozen {
  template <class T>
  struct Parameters {
    typename TextEncoder::template Parameters<T> text;
    typename Backbone::template Parameters<T> backbone;
    constexpr void visit(auto&& at) { at("text", text), at("backbone", backbone); }
  };
  template <class T>
  static void initialise(Parameters<T> p, std::uint64_t seed) {
    TextEncoder::template initialise<T>(p.text, seed);
    Backbone::template initialise<T>(p.backbone, seed);
  }
};
/// Condition encoders and generator: what learns.
struct Learned : Memory {
  template <class T>
  static void initialise(Parameters<T> p, std::uint64_t seed) {
    Condition::template initialise<T>(p.condition, seed);
    SmallGenerator::template initialise<T>(p.generator, seed);
  }
};

/// b requests with a picture of side x side pixels each.
template <class T>
struct TrainingStep {
  using Pictures = View<const T, dyn, dyn, dyn, 3>;
  using Tokens = typename SmallGenerator::Tokens::template Tokens<T>;
  Setup& s;
  Index b, side;
  train::Training<Learned, T>& run;
  typename Frozen::template Parameters<const T> frozen;
  Pictures seen, source, noise, target;
  std::span<const std::int32_t> pieces;
  std::span<const double> t;
  View<double, dyn> losses;
  Index done = 0;

  double compute(const auto& p, const auto& dp) {
    auto& ctx = s.ctx;
    auto& ws = s.ws;
    const auto u = ws.take<T, dyn, dyn, Condition::width>(b, Condition::length),
               du = ws.take<T, dyn, dyn, Condition::width>(b, Condition::length);
    const auto condition = Condition::forward<T>(ctx, ws, u, seen, pieces, p.condition);
    const Tokens tokens(ws.take_values<T>(b * SmallGenerator::Tokens::values), b),
        dtokens(ws.take_values<T>(b * SmallGenerator::Tokens::values), b);
    const auto generated = SmallGenerator::forward<T>(ctx, ws, tokens, u, p.generator);
    zero(ctx, dtokens.flat());
    const auto features = ws.take<T, dyn, TextEncoder::width>(b * TextEncoder::length),
               instruction = ws.take<T, dyn, TextEncoder::width>(b);
    {
      const Workspace::Scope scope(ws);
      TextEncoder::template forward<T>(ctx, ws, features, pieces, frozen.text);
    }
    mean_rows_forward(ctx, instruction, as_const(features));

    const std::span<Index> which(ws.take_values<Index>(b), static_cast<std::size_t>(b));
    for (Index k = 0; k < b; ++k) which[static_cast<std::size_t>(k)] = k;
    double loss = 0;
    for (Index first = 0; first < b; first += together) {
      const Workspace::Scope scope(ws);
      const Index n = std::min(together, b - first);
      const auto part = [&](Pictures all) { return Pictures(all.data + first * side * side * 3, n, side, side); };
      const auto times = t.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n));
      const typename Backbone::Adapters<T> adapters{
          tokens, which.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)), 1.0 / SmallGenerator::r};
      const auto pictures = [&] { return ws.take<T, dyn, dyn, dyn, 3>(n, side, side); };
      const auto x_t = pictures(), edit = pictures(), dedit = pictures();
      Step::interpolate(ctx, x_t, part(noise), part(target), times);
      const auto applied = Backbone::template forward<T>(ctx, ws, edit, x_t, part(source), times,
                                                         View<const T, dyn, TextEncoder::width>(instruction.row(first), n),
                                                         frozen.backbone, adapters);
      const double share = static_cast<double>(n) / static_cast<double>(b);
      loss += share * Step::loss(ctx, ws, dedit, ws.take<double, dyn>(n), as_const(edit), as_const(x_t), part(source),
                                 part(noise), part(target), times);
      for (T& v : dedit) v = static_cast<T>(static_cast<float>(v) * static_cast<float>(share));
      Backbone::template backward<T>(ctx, ws, dtokens, {}, {}, dedit, applied, frozen.backbone, adapters);
    }
    SmallGenerator::backward<T>(ctx, ws, du, dp.generator, dtokens, generated, p.generator);
    Condition::backward<T>(ctx, ws, dp.condition, du, condition, p.condition);
    return loss;
  }

  void operator()() {
    train::Options options;
    options.schedule = {.peak = 1e-3, .warmup = 1, .steps = 1, .last_fraction = 1};  // one rate for all steps
    const auto result =
        run.advance(s.ctx, options, [&](const auto& p, const auto& dp, Index, Index) { return compute(p, dp); });
    losses[done++ % losses.size()] = result.loss;
  }
};

template <class T>
void add(std::vector<Work>& works, Index b, Index side) {
  const Products memory = condition_products(b) + generator_products<SmallGenerator>(b, Condition::length);
  const auto backbone = backbone_work<Backbone>(b, side);
  const bench::Work work = memory.forward() + memory.backward() + backbone.forward + backbone.backward +
                           text_encoder_products<TextEncoder>(b, 1).forward();
  works.push_back({message("training_step/requests:", b, "/side:", side, "/", dtype_name<T>, "/forward+backward"),
                   work.operations, [=](Setup& s) {
                     using Sum = accumulator_t<T>;
                     auto& run = s.keep(std::make_shared<train::Training<Learned, T>>());
                     std::ranges::copy(s.weights<Learned, Sum>("learned.").flat(), run.weights().flat().begin());
                     s.kept_bytes += 3 * run.first.flat().size_bytes();  // two moments and the gradients
                     for (auto& one : io::to_tensors(std::as_const(run.gradients()).view(), "grad."))
                       s.computed.push_back(std::move(one));
                     const auto frozen = s.weights<Frozen, T>("frozen.").frozen();
                     const auto pictures = [&](const char* name, Index size) {
                       return s.input<T, dyn, dyn, dyn, 3>(name, b, size, size);
                     };
                     const auto seen = pictures("seen", ImageEncoder::size), source = pictures("source", side),
                                noise = pictures("noise", side), target = pictures("target", side);
                     const auto pieces = s.array<std::int32_t, dyn, TextEncoder::length>(b);
                     Random random(1, "pieces");
                     for (std::int32_t& piece : pieces)
                       piece = static_cast<std::int32_t>(random.below(TextEncoder::vocabulary));
                     const auto t = s.array<double, dyn>(b);
                     for (Index k = 0; k < b; ++k) t[k] = (static_cast<double>(k) + 0.5) / static_cast<double>(b);
                     s.give("pieces", pieces), s.give("t", t);
                     s.checked_steps = 3;
                     const auto losses = s.output<double, dyn>("losses", s.checked_steps);
                     s.step = TrainingStep<T>{s,
                                              b,
                                              side,
                                              run,
                                              frozen,
                                              seen,
                                              source,
                                              noise,
                                              target,
                                              {pieces.data, static_cast<std::size_t>(pieces.size())},
                                              {t.data, static_cast<std::size_t>(b)},
                                              losses};
                   }});
}

}  // namespace

void add_training_steps(std::vector<Work>& works) {
  add<float>(works, 24, 48);  // what wu-edit train does
  add<float>(works, 4, 64);
  add<bfloat16>(works, 24, 48);
  add<bfloat16>(works, 4, 64);
}

}  // namespace peers
