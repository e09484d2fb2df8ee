// The bytes and the floating-point operations that modules say a forward pass takes, against what it took.
#include <boost/test/unit_test.hpp>

#include <vector>

#include "support/counting.hpp"
#include "wu/core/parameters.hpp"
#include "wu/nn/nn.hpp"

namespace {

using namespace wu;
using test::Counting;

template <Index... E>
Tensor<double, E...> ones(auto... sizes) {
  Tensor<double, E...> tensor(sizes...);
  for (double& v : tensor.span()) v = 1;
  return tensor;
}

}  // namespace

BOOST_AUTO_TEST_CASE(linear_layers_take_what_they_say) {
  constexpr Index In = 5, Out = 7, R = 3, rows = 6;
  using Plain = Linear<In, Out>;
  using Lora = LoRALinear<In, Out, R>;
  static_assert(Lora::adapter_values == R * In + Out * R);
  const Weights<Plain, double> weights;
  const auto x = ones<dyn, In>(rows);
  Tensor<double, dyn, Out> y(rows);
  Counting plain;
  Plain::forward(plain, y.view(), x.view(), weights.frozen());
  BOOST_CHECK_EQUAL(plain.operations, Plain::operations(rows));

  const auto A = ones<R, In>();
  const auto B = ones<Out, R>();
  const std::vector<Index> which{0, 0};
  for (const bool adapted : {true, false}) {
    AdapterView<const double, In, Out, R> adapter;
    if (adapted) adapter = {A.data(), B.data(), 0, 1};
    Counting ctx;
    Workspace ws;
    Lora::forward<double>(ctx, ws, y, x, weights.frozen(), adapter, which, 1);
    BOOST_CHECK_EQUAL(ctx.operations, Lora::operations(rows, adapted));
    BOOST_CHECK_EQUAL(ws.taken_bytes(), Lora::saved_bytes<double>(rows, adapted));
  }
  BOOST_CHECK_GT(Lora::operations(rows), Plain::operations(rows));
}

BOOST_AUTO_TEST_CASE(attention_takes_what_it_says) {
  constexpr Index C = 6, batch = 2, queries = 5, keys = 3;
  using Module = Attention<C, 2>;
  const Weights<Module, double> weights;
  const auto x = ones<dyn, C>(batch * queries), u = ones<dyn, C>(batch * keys);
  Tensor<double, dyn, C> y(batch * queries);
  AttentionRows rows;
  rows.query_group.push({batch, queries}), rows.query.push({queries, 1});
  rows.key_group.push({batch, keys}), rows.key.push({keys, 1});
  const Rotary<double, 0> no_rotation;
  Counting ctx;
  Workspace ws;
  Module::forward<double>(ctx, ws, y, x, u, weights.frozen(), no_rotation, no_rotation, rows);
  BOOST_CHECK_EQUAL(ctx.operations, Module::operations(batch * queries, batch * keys, keys));
  BOOST_CHECK_EQUAL(ws.taken_bytes(), Module::saved_bytes<double>(batch * queries, batch * keys));
}

BOOST_AUTO_TEST_CASE(feed_forward_and_encoder_block_take_what_they_say) {
  constexpr Index C = 6, hidden = 5, batch = 3, rows = batch * 7;
  using Block = EncoderBlock<C, 2, hidden>;
  using Hidden = FeedForward<C, hidden>;
  const auto x = ones<dyn, C>(rows);
  Tensor<double, dyn, C> y(rows);
  const Weights<Block, double> weights;
  {
    Counting ctx;
    Workspace ws;
    Block::forward<double>(ctx, ws, y, x, weights.frozen(), batch);
    BOOST_CHECK_EQUAL(ctx.operations, Block::operations(rows, batch));
    BOOST_CHECK_EQUAL(ws.taken_bytes(), Block::saved_bytes<double>(rows));
  }
  Counting ctx;
  Workspace ws;
  Hidden::forward<double>(ctx, ws, y, x, weights.frozen().feed_forward);
  BOOST_CHECK_EQUAL(ctx.operations, Hidden::operations(rows));
  BOOST_CHECK_EQUAL(ws.taken_bytes(), Hidden::saved_bytes<double>(rows));
}
