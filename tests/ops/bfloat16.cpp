// Long sums into bfloat16 gradients. A bfloat16 has 8 bits: 4096 ones added to it one by one make 256, and a test of a few rows
// does not see it. Here every sum has 4096 equal terms, and only a sum taken in float and stored once comes out right.
#include "support.hpp"

#include "wu/cpu/cpu.hpp"
#include "wu/generator/prior.hpp"

namespace {

using wu::bfloat16, wu::Index, wu::View, wu::dyn;
constexpr Index n = 4096, C = 3;

void on_each_device(auto check) {
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

/// A matrix of bfloat16, all of one value.
template <Index Width>
struct Matrix {
  std::vector<bfloat16> values;
  Index rows;
  explicit Matrix(Index r, float value = 0) : values(static_cast<std::size_t>(r * Width), bfloat16(value)), rows(r) {}
  View<bfloat16, dyn, Width> write() { return {values.data(), rows}; }
  View<const bfloat16, dyn, Width> read() const { return {values.data(), rows}; }
};

template <class T = bfloat16>
void check_all(const std::vector<T>& values, double expected) {
  for (const T v : values) BOOST_CHECK_CLOSE(static_cast<double>(v), expected, 1);
}

}  // namespace

BOOST_AUTO_TEST_CASE(bfloat16_sums_of_norms) {
  on_each_device([](auto& ctx) {
    const Matrix<C> x(n, 1), dy(n, 1);
    const std::vector<float> inverse(n, 1), mean(n, 0);
    const View<const float, dyn> vinverse(inverse.data(), n), vmean(mean.data(), n);
    const std::vector<bfloat16> gain(C, bfloat16(1.0f));
    std::vector<float> drms(C), dgain(C), dbias(C);
    std::vector<bfloat16> narrow(C);
    const View<const bfloat16, C> vgain(gain.data());
    rms_norm_backward(ctx, View<bfloat16, dyn, C>(), View<float, C>(drms.data()), dy.read(), x.read(), vinverse, vgain);
    rms_norm_backward(ctx, View<bfloat16, dyn, C>(), View<bfloat16, C>(narrow.data()), dy.read(), x.read(), vinverse, vgain);
    layer_norm_backward(ctx, View<bfloat16, dyn, C>(), View<float, C>(dgain.data()), View<float, C>(dbias.data()), dy.read(),
                        x.read(), vmean, vinverse, vgain);
    check_all(drms, n), check_all(narrow, n), check_all(dgain, n), check_all(dbias, n);
  });
}

BOOST_AUTO_TEST_CASE(bfloat16_sums_of_linear_and_lora) {
  on_each_device([](auto& ctx) {
    wu::Workspace ws;
    constexpr Index In = 2, Out = 3, R = 1;
    const Matrix<In> x(n, 1);
    const Matrix<Out> dy(n, 1);
    const Matrix<R> xa(n, 1);
    std::vector<bfloat16> W(Out * In, bfloat16(1.0f)), dW(Out * In), db(Out), adapter(R * (In + Out), bfloat16(1.0f)),
        dadapter(R * (In + Out));
    linear_backward(ctx, View<bfloat16, dyn, In>(), View<bfloat16, Out, In>(dW.data()), View<bfloat16, Out>(db.data()),
                    dy.read(), x.read(), View<const bfloat16, Out, In>(W.data()));
    check_all(dW, n), check_all(db, n);
    const std::vector<Index> which{0, 0};
    lora_backward(ctx, ws, View<bfloat16, dyn, In>(),
                  wu::AdapterView<bfloat16, In, Out, R>{dadapter.data(), dadapter.data() + R * In, R * (In + Out), 1},
                  dy.read(), x.read(), xa.read(),
                  wu::AdapterView<const bfloat16, In, Out, R>{adapter.data(), adapter.data() + R * In, R * (In + Out), 1},
                  which, 1.0);
    check_all({dadapter.begin(), dadapter.begin() + R * In}, n * Out);
    check_all({dadapter.begin() + R * In, dadapter.end()}, n);
  });
}

// Above 256 a bfloat16 counts in twos: 256 + 1.002 is 258, but 256 if the term is rounded to 1 before it is added.
BOOST_AUTO_TEST_CASE(bfloat16_terms_of_lora_are_rounded_once) {
  on_each_device([](auto& ctx) {
    wu::Workspace ws;
    const Matrix<1> one(1, 1);
    Matrix<1> y(1, 256), dx(1, 256), xa(1);
    const wu::AdapterView<const bfloat16, 1, 1, 1> adapter{one.values.data(), one.values.data(), 1, 1};
    const std::vector<Index> which{0};
    constexpr double scale = 1 + 1.0 / 512;
    lora_forward(ctx, ws, y.write(), xa.write(), one.read(), adapter, which, scale);
    lora_backward(ctx, ws, dx.write(), wu::AdapterView<bfloat16, 1, 1, 1>(), one.read(), one.read(), xa.read(), adapter,
                  which, scale);
    BOOST_CHECK_EQUAL(static_cast<float>(y.values[0]), 258.f);
    BOOST_CHECK_EQUAL(static_cast<float>(dx.values[0]), 258.f);
  });
}

BOOST_AUTO_TEST_CASE(bfloat16_sums_of_copies_and_ids) {
  on_each_device([](auto& ctx) {
    const Matrix<C> dy(n, 1);
    Matrix<C> dx(2), dtable(2);
    broadcast_rows_backward(ctx, dx.write(), dy.read());
    check_all(dx.values, n / 2.0);
    std::vector<std::int32_t> ids(n, 1);
    ids.front() = 0;
    embedding_backward(ctx, dtable.write(), dy.read(), ids);
    check_all({dtable.values.begin(), dtable.values.begin() + C}, 1);
    check_all({dtable.values.begin() + C, dtable.values.end()}, n - 1);
  });
}

BOOST_AUTO_TEST_CASE(bfloat16_sums_of_depthwise_and_upsample) {
  on_each_device([](auto& ctx) {
    using Picture = View<bfloat16, dyn, dyn, dyn, C>;
    using ConstPicture = View<const bfloat16, dyn, dyn, dyn, C>;
    const Matrix<C> all(n, 1);
    Matrix<C> dx(n), dW(9), one(1);
    const ConstPicture long_one(all.values.data(), 1, 1, n), square(all.values.data(), 1, 64, 64);
    depthwise_backward(ctx, Picture(dx.values.data(), 1, 1, n), View<bfloat16, 9, C>(dW.values.data()), long_one, long_one,
                       View<const bfloat16, 9, C>(all.values.data()));
    check_all(dW.values, n);
    upsample_backward(ctx, Picture(one.values.data(), 1, 1, 1), square);
    check_all(one.values, n);
  });
  // Two thousand terms for one input pixel: the one in the middle of a filter of 45 x 45, which every output reads.
  on_each_device([](auto& ctx) {
    constexpr Index K = 45;
    using Picture = View<bfloat16, dyn, dyn, dyn, 1>;
    const Matrix<1> ones(K * K, 1);
    Matrix<1> dx(1);
    const View<const bfloat16, dyn, dyn, dyn, 1> pixel(ones.values.data(), 1, 1, 1);
    depthwise_backward(ctx, Picture(dx.values.data(), 1, 1, 1), View<bfloat16, K * K, 1>(), pixel, pixel,
                       View<const bfloat16, K * K, 1>(ones.values.data()));
    check_all(dx.values, K * K);
  });
}

BOOST_AUTO_TEST_CASE(bfloat16_sums_of_attention) {
  on_each_device([](auto& ctx) {
    // One query and n keys, half of them with k = v = 1, half with 0; q = 0 and dout = n, so that p = 1 / n, out = 1 / 2 and
    // every key's ds = +-1 / 2: dq is a quarter of n.
    wu::Workspace ws;
    const Matrix<1> q(1, 0), out(1, 0.5f), dout(1, n);
    Matrix<1> k(n, 0), dq(1), dk(n), dv(n);
    for (std::size_t j = 0; j < n; j += 2) k.values[j] = bfloat16(1.0f);
    const std::vector<float> lse{std::log(static_cast<float>(n))};
    wu::AttentionRows rows;
    rows.key.push({n, 1});
    attention_backward<1>(ctx, ws, dq.write(), dk.write(), dv.write(), dout.read(), out.read(),
                          View<const float, dyn, 1>(lse.data(), 1), q.read(), k.read(), k.read(), rows);
    check_all(dq.values, n / 4.0);
    check_all(dv.values, 1);
  });
}

BOOST_AUTO_TEST_CASE(bfloat16_sums_of_the_prior) {
  on_each_device([](auto& ctx) {
    // dx = gain = inv_rms = 1 and x = 0, so that dsum is 1 everywhere.
    wu::Workspace ws;
    constexpr Index layers = 1024, tokens = 1024, width = 1;
    using Prior = wu::Prior<layers, tokens, 1, width, 1>;
    constexpr Index rows = layers * tokens;
    Matrix<width> zero(rows);
    std::vector<float> dhw(tokens), dlayer(layers);
    const Matrix<width> dx(rows, 1), gain(1, 1);
    std::vector<float> inverse(rows, 1);
    Prior::backward<bfloat16>(ctx, ws, {View<float, tokens, width>(dhw.data()), View<float, layers, width>(dlayer.data())},
                              View<float, width>(), dx.read(), {zero.write(), View<float, dyn>(inverse.data(), rows)},
                              View<const bfloat16, width>(gain.values.data()));
    check_all(dhw, layers);
    check_all(dlayer, tokens);
  });
}
