// A frozen linear layer 4096 -> 6144 on 8 samples of 1024 rows: alone, and with an adapter of its own of rank 16 for each sample.
#include <array>

#include "work.hpp"
#include "wu/nn/linear.hpp"

namespace gpu_works {

namespace {
constexpr Index samples = 8;
constexpr std::array<Index, samples> which{0, 1, 2, 3, 4, 5, 6, 7};

template <class T, Index In, Index Out, Index Rank>
void add(std::vector<Work>& works, Index rows) {
  using Alone = Linear<In, Out>;
  using Adapted = LoRALinear<In, Out, Rank>;
  works.push_back({message("linear/", scalar_name<T>), Alone::operations(rows), [=](Setup& s) {
                     const auto p = s.weights<Alone, T>().frozen();
                     const auto x = s.input<T, dyn, In>("x", rows);
                     const auto y = s.output<T, dyn, Out>("y", rows);
                     s.step = [=, &s] { Alone::forward(s.ctx, y, x, p); };
                   }});
  works.push_back({message("adapted_linear/", scalar_name<T>), Adapted::operations(rows), [=](Setup& s) {
                     const auto p = s.weights<Alone, T>().frozen();
                     const auto x = s.input<T, dyn, In>("x", rows);
                     const auto y = s.output<T, dyn, Out>("y", rows);
                     // A and B of a sample beside each other, as generated tokens hold them.
                     const auto both = s.input<T, dyn, Rank*(In + Out)>("adapters", samples);
                     const AdapterView<const T, In, Out, Rank> adapter{both.data, both.data + Rank * In, Rank * (In + Out),
                                                                       samples};
                     s.step = [=, &s] { Adapted::template forward<T>(s.ctx, s.ws, y, x, p, adapter, which, 1.0 / Rank); };
                   }});
}
}  // namespace

void add_adapted_linear(std::vector<Work>& works, bool tiny) {
  if (tiny) add<float, 24, 40, 4>(works, samples * 5), add<bfloat16, 24, 40, 4>(works, samples * 5);
  else add<bfloat16, 4096, 6144, 16>(works, samples * 1024);
}

}  // namespace gpu_works
