// A large product, as a linear layer calls it: what shares of the device's rate are taken of is the fastest of this and of the
// other side's, in the same run.
#include "work.hpp"
#include "wu/nn/linear.hpp"

namespace gpu_works {

namespace {
template <class T, Index N>
void add(std::vector<Work>& works) {
  using Layer = Linear<N, N>;
  works.push_back({message("product/", scalar_name<T>), Layer::operations(N), [](Setup& s) {
                     const auto p = s.weights<Layer, T>().frozen();
                     const auto x = s.input<T, dyn, N>("x", N);
                     const auto y = s.output<T, dyn, N>("y", N);
                     s.step = [=, &s] { Layer::forward(s.ctx, y, x, p); };
                   }});
}
}  // namespace

void add_products(std::vector<Work>& works, bool tiny) {
  if (tiny) add<float, 24>(works), add<bfloat16, 24>(works);
  else add<bfloat16, 8192>(works);
}

}  // namespace gpu_works
