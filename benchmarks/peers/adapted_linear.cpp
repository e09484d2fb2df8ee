// A frozen linear layer 1024 -> 4096 on 8 samples of 256 rows, each sample with an adapter of its own of rank 16.
#include "work.hpp"
#include "wu/nn/linear.hpp"

namespace peers {

namespace {

constexpr Index in = 1024, out = 4096, rank = 16, samples = 8, rows = samples * 256;
constexpr double scale = 1.0 / rank;
constexpr std::array<Index, samples> which{0, 1, 2, 3, 4, 5, 6, 7};
using Layer = LoRALinear<in, out, rank>;
constexpr double frozen = Linear<in, out>::operations(rows), adapted = Layer::operations(rows) - frozen;

template <class T>
struct Inputs {
  typename Layer::template Parameters<const T> p;
  View<const T, dyn, in> x;
  View<T, dyn, out> y;
  AdapterView<const T, in, out, rank> adapter;
  explicit Inputs(Setup& s)
      : p(s.weights<Linear<in, out>, T>().frozen()),
        x(s.input<T, dyn, in>("x", rows)),
        y(s.output<T, dyn, out>("y", rows)),
        adapter(adapters(s)) {}

 private:
  // A and B of all samples beside each other, as generated tokens hold them.
  static AdapterView<const T, in, out, rank> adapters(Setup& s) {
    const auto both = s.input<T, dyn, rank*(in + out)>("adapters", samples);
    return {both.data, both.data + rank * in, rank * (in + out), samples};
  }
};

template <class T>
void add(std::vector<Work>& works) {
  const std::string name = message("adapted_linear/", dtype_name<T>);
  works.push_back({name + "/forward", frozen + adapted, [](Setup& s) {
                     const Inputs<T> i(s);
                     s.step = [=, &s] { Layer::template forward<T>(s.ctx, s.ws, i.y, i.x, i.p, i.adapter, which, scale); };
                   }});
  // Backward: dx of the frozen layer, two products for each of the adapter's two.
  works.push_back({name + "/forward+backward", 2 * frozen + 3 * adapted, [](Setup& s) {
                     const Inputs<T> i(s);
                     const auto dy = s.input<T, dyn, out>("cotangent", rows);
                     const auto dx = s.output<T, dyn, in>("grad.x", rows);
                     const auto dadapters = s.output<T, dyn, rank*(in + out)>("grad.adapters", samples);
                     const AdapterView<T, in, out, rank> dadapter{dadapters.data, dadapters.data + rank * in,
                                                                  rank * (in + out), samples};
                     s.kept_bytes += static_cast<std::size_t>(dadapters.size()) * sizeof(T);
                     const typename Layer::template Parameters<accumulator_t<T>> no_gradient;
                     s.step = [=, &s] {
                       zero(s.ctx, dadapters);
                       const auto xa = Layer::template forward<T>(s.ctx, s.ws, i.y, i.x, i.p, i.adapter, which, scale);
                       Layer::template backward<T>(s.ctx, s.ws, dx, no_gradient, dadapter, dy, i.x, xa, i.p, i.adapter,
                                                   which, scale);
                     };
                   }});
}

}  // namespace

void add_adapted_linear(std::vector<Work>& works) {
  add<float>(works);
  add<bfloat16>(works);
}

}  // namespace peers
