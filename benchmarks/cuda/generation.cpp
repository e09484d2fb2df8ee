// One generation, from a condition to the tokens of all adapters: the operations put on the stream one by one, recorded as a CUDA
// graph, and with the products of linear layers in FP8.
#include "shapes.hpp"
#include "work.hpp"
#include "wu/generator/stream.hpp"

namespace gpu_works {

namespace {
template <class Model, class T>
struct Generation {
  typename Model::template Parameters<const T> weights;
  typename Model::Tokens::template Tokens<T> tokens;
};

/// SlabRows: a device needs many rows at once, and the activations beside the weights are to stay below 8 GiB.
template <class Model, class T, Index SlabRows>
Generation<Model, T> set_up(Setup& s, Index length) {
  const auto p = s.weights<Model, T>().frozen();
  const auto condition = s.input<T, dyn, dyn, Model::input>("condition", 1, length);
  const auto tokens = s.output<T, dyn, Model::n, Model::h, Model::r, Model::d>("tokens", 1);
  s.ws = Workspace(stream_plan<Model, T, SlabRows>(1, length).workspace(), s.ctx.memory());
  s.step = [=, &s] { generate_tokens<Model, T, SlabRows>(s.ctx, s.ws, tokens, condition, p); };
  return {p, tokens};
}
/// A step in a scope of the workspace, until it is done.
void once(Setup& s) {
  const Workspace::Scope scope(s.ws);
  s.step();
  s.ctx.synchronise();
}

template <class Model, class T, Index SlabRows>
void add(std::vector<Work>& works, Index length) {
  const double operations = Model::operations(1, length).total();
  works.push_back(
      {message("generation/", scalar_name<T>), operations, [=](Setup& s) { set_up<Model, T, SlabRows>(s, length); }});
  works.push_back({message("generation/", scalar_name<T>, "/graph"), operations, [=](Setup& s) {
                     set_up<Model, T, SlabRows>(s, length);
                     once(s);  // workspace and context have grown, products have their algorithms
                     const Workspace::Scope scope(s.ws);
                     auto& graph = s.keep(std::make_shared<cuda::Recording>(s.ctx, s.step));
                     s.step = [&s, &graph] { graph.run(s.ctx); };
                   }});
  if constexpr (std::is_same_v<T, bfloat16>)
    works.push_back({"generation/FP8", operations, [=](Setup& s) {
                       const auto made = set_up<Model, T, SlabRows>(s, length);
                       once(s);
                       const auto fetch = [&s, tokens = made.tokens] {
                         std::vector<T> host(static_cast<std::size_t>(tokens.size()));
                         s.ctx.download(host.data(), tokens.data, host.size() * sizeof(T));
                         return host;
                       };
                       s.keep(std::make_shared<cuda::Float8Weights>(s.ctx, made.weights));
                       s.error = [fetch, expected = fetch()] { return relative_difference(fetch(), expected); };
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
