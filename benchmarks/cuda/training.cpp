// A training step of a generator: forward, backward, the norm of the gradients, clipping and AdamW. The loss is the sum of the
// tokens times given numbers. bfloat16: weights learn in float32.
#include "wu/train/training.hpp"
#include "shapes.hpp"
#include "work.hpp"

namespace gpu_works {

namespace {
template <class Model, class T>
void add(std::vector<Work>& works, Index length) {
  const auto o = Model::operations(1, length);
  works.push_back({message("training/", scalar_name<T>), 3 * o.linear + 3.5 * (o.self_attention + o.cross_attention),
                   [length](Setup& s) {
                     auto& run = s.keep(std::make_shared<train::Training<Model, T>>(s.ctx.memory()));
                     s.fill_weights(run.weights().view());
                     s.weight_bytes += run.weights().flat().size_bytes();
                     s.compare_gradients(run.gradients().view());
                     const auto condition = s.input<T, dyn, dyn, Model::input>("condition", 1, length);
                     const auto cotangent = s.input<T, dyn, Model::n, Model::h, Model::r, Model::d>("cotangent", 1);
                     const auto tokens = s.array<T, dyn, Model::n, Model::h, Model::r, Model::d>(1);
                     s.ws = Workspace(Model::template workspace_bytes<T>(1, length, cuda::Scratch()), s.ctx.memory());
                     s.checked_steps = 3;
                     train::Options options;
                     options.schedule = {
                         .peak = 1e-3, .warmup = 1, .steps = 1, .last_fraction = 1};  // one rate for all steps
                     s.step = [=, &s, &run] {
                       run.advance(s.ctx, options, [&](const auto& p, const auto& dp, Index, Index) {
                         const View<T, dyn, dyn, Model::input> no_gradient;
                         const auto saved = Model::template forward<T>(s.ctx, s.ws, tokens, condition, p);
                         Model::template backward<T>(s.ctx, s.ws, no_gradient, dp, cotangent, saved, p);
                         return 0.0;  // nobody asks
                       });
                     };
                   }});
}
}  // namespace

void add_training(std::vector<Work>& works, bool tiny) {
  if (tiny) add<TinyModel, float>(works, 5), add<TinyModel, bfloat16>(works, 5);
  else add<MiddleModel, bfloat16>(works, 1024);
}

}  // namespace gpu_works
