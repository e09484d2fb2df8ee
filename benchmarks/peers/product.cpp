// Large products: what shares are taken of is the fastest of these and of the other side's, in the same run.
#include "work.hpp"
#include "wu/benchmark/machine.hpp"
#include "wu/nn/linear.hpp"

namespace peers {

namespace {

/// A linear layer on a square, as modules call it.
template <class T>
void add_square(std::vector<Work>& works) {
  constexpr Index n = 2048;
  using Layer = Linear<n, n>;
  works.push_back({message("product/square/", dtype_name<T>, "/forward"), Layer::operations(n), [](Setup& s) {
                     const auto p = s.weights<Layer, T>().frozen();
                     const auto x = s.input<T, dyn, n>("x", n);
                     const auto y = s.output<T, dyn, n>("y", n);
                     s.step = [=, &s] { Layer::forward(s.ctx, y, x, p); };
                   }});
}

/// One of the products that wu-bench compares with: operands of a size that suits it.
template <class T, class Peak>
void add_peak(std::vector<Work>& works, const std::string& name) {
  works.push_back({message("product/", name, "/", dtype_name<T>, "/forward"), Peak::operations, [](Setup& s) {
                     auto& peak = s.keep(std::make_shared<Peak>());
                     s.step = [&s, &peak] { peak(s.ctx); };
                   }});
}

}  // namespace

void add_products(std::vector<Work>& works) {
  add_square<float>(works);
  add_square<bfloat16>(works);
  add_peak<float, bench::PackedPeak<float>>(works, "packed");
  add_peak<bfloat16, bench::PackedPeak<bfloat16>>(works, "packed");
}

}  // namespace peers
