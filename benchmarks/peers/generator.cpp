// The generator, forward and forward with backward, and how its time grows with the backbone's layers and with the batch.
#include "wu/generator/generator.hpp"
#include "work.hpp"
#include "wu/generator/stream.hpp"

namespace peers {

namespace {

/// 24 tokens in a layer, rank 16, width 128.
template <Index Layers>
using Shape = AdaptedLayers<Layers, Adapted<"attn.qkv", 256, 768>, Adapted<"attn.out", 256, 256>,
                            Adapted<"mlp.up", 256, 512>, Adapted<"mlp.down", 512, 256>>;
template <Index Layers, Index Joined>
using Wide = Generator<typename Tokenizer<16, 128>::template of<Shape<Layers>>, Width<512>, HeadWidth<64>, Blocks<4>,
                       JoinedRanks<Joined>, ConditionWidth<512>>;
static_assert(Wide<8, 4>::h == 24 && Wide<8, 4>::positions == 768 && Wide<8, 1>::positions == 3072);
constexpr Index condition_length = 128;

/// Inference: what needs no backward pass is not kept.
template <class T, class Model>
void add_forward(std::vector<Work>& works, const std::string& name) {
  works.push_back(
      {message(name, "/", dtype_name<T>, "/forward"), Model::operations(1, condition_length).total(), [](Setup& s) {
         const auto p = s.weights<Model, T>().frozen();
         const auto u = s.input<T, dyn, dyn, Model::input>("condition", 1, condition_length);
         const auto tokens = s.output<T, dyn, Model::n, Model::h, Model::r, Model::d>("tokens", 1);
         s.step = [=, &s] { generate_tokens<Model, T>(s.ctx, s.ws, tokens, u, p); };
       }});
}

/// The gradients of all weights and of the condition. Backward has two products for each of a linear layer and five for the
/// two of attention, whose scores it computes again. Keep: RecomputeBlocks runs every block's forward a second time, uncounted.
template <class T, class Model, class Keep = SaveBlocks>
void add_forward_backward(std::vector<Work>& works, const std::string& name, Index batch = 1) {
  const auto o = Model::operations(batch, condition_length);
  works.push_back({message(name, "/", dtype_name<T>, "/forward+backward"),
                   3 * o.linear + 3.5 * (o.self_attention + o.cross_attention), [=](Setup& s) {
                     const auto p = s.weights<Model, T>().frozen();
                     const auto u = s.input<T, dyn, dyn, Model::input>("condition", batch, condition_length);
                     const auto tokens = s.output<T, dyn, Model::n, Model::h, Model::r, Model::d>("tokens", batch);
                     const auto dtokens = s.input<T, dyn, Model::n, Model::h, Model::r, Model::d>("cotangent", batch);
                     const auto du = s.output<T, dyn, dyn, Model::input>("grad.condition", batch, condition_length);
                     auto& gradients = s.gradients<Model, accumulator_t<T>>();
                     s.ws = Workspace(
                         Model::template workspace_bytes<T, Keep>(batch, condition_length, cpu::Scratch{s.ctx.threads()}));
                     s.step = [=, &s, &gradients] {
                       zero(s.ctx, View<accumulator_t<T>, dyn>(gradients.flat().data(), gradients.extent));
                       const auto saved = Model::template forward<T, Keep>(s.ctx, s.ws, tokens, u, p);
                       Model::template backward<T>(s.ctx, s.ws, du, gradients.view(), dtokens, saved, p);
                     };
                   }});
}

}  // namespace

void add_generators(std::vector<Work>& works) {
  const auto both = [&]<class T>(std::type_identity<T>) {
    add_forward<T, Wide<8, 4>>(works, "generator/a:4");
    add_forward<T, Wide<8, 1>>(works, "generator/a:1");
    add_forward_backward<T, Wide<8, 4>>(works, "generator/a:4");
    add_forward_backward<T, Wide<8, 1>>(works, "generator/a:1");
    add_forward_backward<T, Wide<8, 4>, RecomputeBlocks>(works, "recompute/a:4");
    add_forward_backward<T, Wide<8, 1>, RecomputeBlocks>(works, "recompute/a:1");
  };
  both(std::type_identity<float>());
  both(std::type_identity<bfloat16>());

  add_forward_backward<float, Wide<1, 4>>(works, "growth/layers:1");
  add_forward_backward<float, Wide<2, 4>>(works, "growth/layers:2");
  add_forward_backward<float, Wide<4, 4>>(works, "growth/layers:4");
  add_forward_backward<float, Wide<8, 4>>(works, "growth/layers:8");
  for (const Index batch : {1, 2, 4, 8})
    add_forward_backward<float, Wide<8, 4>>(works, message("growth/batch:", batch), batch);
}

}  // namespace peers
