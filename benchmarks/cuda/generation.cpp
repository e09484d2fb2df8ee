// One generation, from a condition to the tokens of all adapters: the operations put on the stream one by one, and recorded as
// a CUDA graph.
#include "shapes.hpp"
#include "work.hpp"
#include "wu/generator/stream.hpp"

namespace gpu_works {

namespace {
/// SlabRows: a device needs many rows at once, and the activations beside the weights are to stay below 8 GiB.
template <class Model, class T, Index SlabRows>
void add(std::vector<Work>& works, Index length) {
  const auto set_up = [length](Setup& s) {
    const auto p = s.weights<Model, T>().frozen();
    const auto condition = s.input<T, dyn, dyn, Model::input>("condition", 1, length);
    const auto tokens = s.output<T, dyn, Model::n, Model::h, Model::r, Model::d>("tokens", 1);
    s.ws = Workspace(stream_plan<Model, T, SlabRows>(1, length).workspace(), s.ctx.memory());
    s.step = [=, &s] { generate_tokens<Model, T, SlabRows>(s.ctx, s.ws, tokens, condition, p); };
  };
  const double operations = Model::operations(1, length).total();
  works.push_back({message("generation/", scalar_name<T>), operations, set_up});
  works.push_back({message("generation/", scalar_name<T>, "/graph"), operations, [set_up](Setup& s) {
                     set_up(s);
                     const auto in_scope = [work = s.step, &s] {
                       const Workspace::Scope scope(s.ws);
                       work();
                     };
                     in_scope();  // workspace and context have grown, products have their algorithms
                     s.ctx.synchronise();
                     auto& graph = s.keep(std::make_shared<cuda::Recording>(s.ctx, in_scope));
                     s.step = [&s, &graph] { graph.run(s.ctx); };
                   }});
}
constexpr Index layers_of_slab = 8;
}  // namespace

void add_generation(std::vector<Work>& works, bool tiny) {
  if (tiny) {
    add<TinyModel, float, 2 * TinyModel::h * TinyModel::w>(works, 5);
    add<TinyModel, bfloat16, 2 * TinyModel::h * TinyModel::w>(works, 5);
  } else {
    add<ReleasedModel, bfloat16, layers_of_slab * ReleasedModel::h * ReleasedModel::w>(works, 1024);
  }
}

}  // namespace gpu_works
