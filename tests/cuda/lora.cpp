// cuda/lora.hpp.
#include "support.hpp"

namespace {
using wu::AdapterView, wu::Index, wu::View, wu::dyn, wu::no_adapter, wu::test::check;

template <Index In, Index Out, Index R>
void lora(const std::vector<Index>& which, Index adapters, Index rows_of_one) {
  constexpr Index stride = R * (In + Out) + 3;
  const Index rows = rows_of_one * static_cast<Index>(which.size());
  check(
      [&](auto zero, auto& on) {
        using T = decltype(zero);
        using Sum = wu::accumulator_t<T>;
        const View<const T, dyn, In> x(on.template input<T>("x", rows * In), rows);
        const View<const T, dyn, Out> dy(on.template input<T>("dy", rows * Out), rows);
        const View<const T, Out, In> W(on.template input<T>("W", Out * In));
        const View<const T, Out> b(on.template input<T>("b", Out));
        const View<T, dyn, R> xa(on.template input_and_output<T>("xa", rows * R), rows);  // rows without an adapter stay
        const T* const tokens = on.template input<T>("adapter", adapters * stride);
        const AdapterView<const T, In, Out, R> adapter{tokens, tokens + R * In, stride, adapters};
        lora_linear_forward(on.ctx, on.ws, View<T, dyn, Out>(on.template output<T>("y", rows * Out), rows), xa, x, W, b,
                            adapter, which, 0.75);
        const auto backward = [&]<class G>(G, const char* dx, const char* dadapter) {
          G* const d = on.template sum<G>(dadapter, adapters * stride);
          lora_linear_backward(on.ctx, on.ws, View<T, dyn, In>(on.template output<T>(dx, rows * In), rows),
                               View<Sum, Out, In>(), View<Sum, Out>(),
                               AdapterView<G, In, Out, R>{d, d + R * In, stride, adapters}, dy, x, as_const(xa), W, adapter,
                               which, 0.75);
        };
        backward(T{}, "dx", "dadapter");
        backward(Sum{}, "dx again", "dadapter in its sums' type");
      },
      {.of_bfloat16 = 2e-2});
}
}  // namespace

BOOST_AUTO_TEST_CASE(adapters_of_samples) {
  lora<7, 5, 3>({0, no_adapter, 2, 0, 3, no_adapter, 2}, 4, 3);
  lora<33, 17, 4>({0, 1, 2, 3}, 4, 5);
  lora<16, 8, 2>({1, 1, 1, 2, 2, 0}, 3, 1);
  lora<3, 3, 1>({no_adapter}, 1, 2);
}
