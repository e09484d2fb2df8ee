// cpu/'s kernels of bfloat16 against the reference loops in double on the same rounded numbers: what differs is the rounding of
// the result and, in attention, of the weights.
#include <boost/test/unit_test.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/gradient_check.hpp"
#include "wu/cpu/cpu.hpp"

using wu::AttentionRows, wu::Index, wu::RotaryAxis, wu::Tensor, wu::View, wu::bfloat16, wu::dyn;

namespace {

/// Half the step between neighbouring values, relative.
constexpr double step = 0x1p-8;

/// Random values, rounded, and the same as doubles.
template <Index... E>
struct Both {
  Tensor<bfloat16, E...> small;
  Tensor<double, E...> wide;

  explicit Both(const char* purpose, auto... sizes) : small(sizes...), wide(sizes...) {
    const auto random = wu::test::random_values(small.size(), purpose);
    for (Index k = 0; k < small.size(); ++k) {
      small[k] = bfloat16(random[static_cast<std::size_t>(k)]);
      wide[k] = static_cast<double>(small[k]);
    }
  }
  auto of(bfloat16) const { return small.view(); }
  auto of(double) const { return wide.view(); }
};

/// Every value within `steps` half steps of what is expected, or of the largest times that where sums cancel.
void check_rounded(const auto& found, const auto& expected, double steps) {
  double largest = 0, worst = 0;
  for (Index k = 0; k < expected.size(); ++k) largest = std::max(largest, std::abs(static_cast<double>(expected[k])));
  BOOST_REQUIRE_GT(largest, 0);
  for (Index k = 0; k < expected.size(); ++k)
    worst = std::max(worst, std::abs(static_cast<double>(found[k]) - static_cast<double>(expected[k])) / largest);
  BOOST_CHECK_LE(worst, steps * step);
}

template <Index Out, Index In>
void check_linear(int threads, Index rows) {
  const Both<dyn, In> x("x", rows);
  const Both<Out, In> W("W");
  const Both<Out> b("b");
  for (const bool bias : {true, false}) {
    Tensor<bfloat16, dyn, Out> y(rows);
    Tensor<double, dyn, Out> expected(rows);
    for (bfloat16& v : y.span()) v = bfloat16(std::numeric_limits<float>::quiet_NaN());
    wu::cpu::Context cpu({.threads = threads});
    wu::reference reference;
    const auto run = [&](auto& ctx, auto zero, auto out) {
      auto bias_view = b.of(zero);
      if (!bias) bias_view.data = nullptr;
      linear_forward(ctx, out, x.of(zero), W.of(zero), bias_view);
    };
    run(cpu, bfloat16(0.0f), y.view());
    run(reference, 0.0, expected.view());
    check_rounded(y, expected, 1);
  }
}

template <Index C, Index D>
void check_attention(int threads, const AttentionRows& rows) {
  const Index queries = rows.groups() * rows.query.size(), keys = rows.groups() * rows.key.size();
  const Both<dyn, C> q("q", queries), k("k", keys), v("v", keys);
  Tensor<bfloat16, dyn, C> y(queries);
  Tensor<double, dyn, C> expected(queries);
  Tensor<float, dyn, C / D> lse(queries);
  Tensor<double, dyn, C / D> expected_lse(queries);
  for (bfloat16& value : y.span()) value = bfloat16(std::numeric_limits<float>::quiet_NaN());
  wu::cpu::Context cpu({.threads = threads});
  wu::reference reference;
  wu::Workspace ws;
  attention_forward<D>(cpu, ws, y.view(), lse.view(), q.small.view(), k.small.view(), v.small.view(), rows);
  attention_forward<D>(reference, ws, expected.view(), expected_lse.view(), q.wide.view(), k.wide.view(), v.wide.view(),
                       rows);
  check_rounded(y, expected, 2);
  for (Index i = 0; i < lse.size(); ++i) BOOST_CHECK_SMALL(static_cast<double>(lse[i]) - expected_lse[i], 1e-5);

  Both<dyn, C> dy("dy", queries), out("out", queries);  // both sides are given the rounded outputs
  for (Index i = 0; i < y.size(); ++i) out.wide[i] = static_cast<double>(y[i]);
  Tensor<bfloat16, dyn, C> dq(queries), dk(keys), dv(keys);
  Tensor<double, dyn, C> expected_dq(queries), expected_dk(keys), expected_dv(keys);
  for (auto* values : {&dq, &dk, &dv})
    for (bfloat16& value : values->span()) value = bfloat16(std::numeric_limits<float>::quiet_NaN());
  attention_backward<D>(cpu, ws, dq.view(), dk.view(), dv.view(), dy.small.view(), as_const(y.view()), as_const(lse.view()),
                        q.small.view(), k.small.view(), v.small.view(), rows);
  attention_backward<D>(reference, ws, expected_dq.view(), expected_dk.view(), expected_dv.view(), dy.wide.view(),
                        as_const(out.wide.view()), as_const(expected_lse.view()), q.wide.view(), k.wide.view(),
                        v.wide.view(), rows);
  check_rounded(dv, expected_dv, 2);
  if (rows.key.size() > 1) {  // the softmax of one score is 1 whatever q and k are
    check_rounded(dq, expected_dq, 6);
    check_rounded(dk, expected_dk, 6);
  }
}

AttentionRows evenly(Index groups, Index queries, Index keys) {
  AttentionRows rows;
  rows.query_group.push({groups, queries}), rows.query.push({queries, 1});
  rows.key_group.push({groups, keys}), rows.key.push({keys, 1});
  return rows;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bfloat16_kernels)

BOOST_AUTO_TEST_CASE(narrowing_rounds_as_the_constructor_does) {
  std::vector<float> values;
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (const std::uint32_t low : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu})
      values.push_back(std::bit_cast<float>(high << 16 | low));
  values.pop_back();  // a number of values that no register divides
  const auto count = static_cast<Index>(values.size());
  std::vector<bfloat16> rounded(values.size());
  wu::cpu::detail::narrow(rounded.data(), values.data(), count);
  std::vector<float> wide(values.size());
  wu::cpu::detail::widen(wide.data(), rounded.data(), count);
  std::size_t wrong = 0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    // A processor that rounds by an instruction may take subnormal numbers for zero.
    const bool zero =
        std::fpclassify(values[k]) == FP_SUBNORMAL && wide[k] == 0 && std::signbit(wide[k]) == std::signbit(values[k]);
    wrong += (rounded[k].bits != bfloat16(values[k]).bits && !zero) ||
             std::bit_cast<std::uint32_t>(wide[k]) != static_cast<std::uint32_t>(rounded[k].bits) << 16;
  }
  BOOST_CHECK_EQUAL(wrong, 0U);
}

BOOST_AUTO_TEST_CASE(linear_layers) {
  for (const int threads : {1, 2}) {
    check_linear<37, 41>(threads, 29);
    check_linear<1, 1>(threads, 1);
    check_linear<32, 2>(threads, 12);
    check_linear<3, 2049>(threads, 5);     // slices of k and an odd one over
    check_linear<1057, 35>(threads, 101);  // two blocks of outputs, a tile of rows and five more
  }
}

BOOST_AUTO_TEST_CASE(attention) {
  for (const int threads : {1, 2}) {
    check_attention<32, 16>(threads, evenly(3, 7, 5));
    check_attention<9, 3>(threads, evenly(1, 1, 1));
    check_attention<9, 3>(threads, evenly(2, 19, 1));
    check_attention<18, 6>(threads, evenly(2, 101, 1031));  // tiles of queries, blocks of keys, and some more
    AttentionRows strided;
    strided.query_group.push({5, 1}), strided.query.push({97, 5});
    strided.key_group.push({5, 1}), strided.key.push({33, 5});
    check_attention<16, 16>(threads, strided);
    AttentionRows scattered;
    scattered.query_group.push({3, 4}), scattered.query.push({2, 12}), scattered.query.push({2, 1}),
        scattered.query.push({2, 2});
    scattered.key_group = scattered.query_group, scattered.key = scattered.query;
    check_attention<24, 8>(threads, scattered);  // 8 x 8
    check_attention<80, 40>(threads, evenly(3, 4, 3)), check_attention<32, 16>(threads, evenly(3, 16, 16));
  }
}

BOOST_AUTO_TEST_CASE(attention_to_scores_far_apart) {
  // Scores of -60 to 60: the first block of keys holds the smallest ones, so that sums must shrink by more than float's range.
  constexpr Index D = 4, keys = 1030;
  Tensor<bfloat16, dyn, D> q(1), k(keys), v(keys), y(1);
  Tensor<float, dyn, 1> lse(1);
  for (Index c = 0; c < D; ++c) q[c] = bfloat16(c == 0 ? 2.0f : 0.0f);
  for (Index j = 0; j < keys; ++j)
    k[j * D] = bfloat16(j < 512 ? -60.0f : j < 1024 ? 0.0f : 60.0f), v[j * D] = bfloat16(j < 1024 ? 7.0f : 3.0f);
  wu::cpu::Context ctx({.threads = 1});
  wu::Workspace ws;
  attention_forward<D>(ctx, ws, y.view(), lse.view(), as_const(q.view()), as_const(k.view()), as_const(v.view()),
                       evenly(1, 1, keys));
  BOOST_CHECK_EQUAL(static_cast<float>(y[0]), 3.0f);
  BOOST_CHECK_CLOSE(lse[0], 60.0f + std::log(6.0f), 1e-4f);
}

BOOST_AUTO_TEST_CASE(rotary_positions) {
  constexpr Index C = 60, D = 20, rows = 30;
  const std::array<RotaryAxis, 2> axes{RotaryAxis{14, 5, 3, 0}, RotaryAxis{6, 1, 5, 4}};
  Both<dyn, C> x("x", rows);
  wu::cpu::Context cpu({.threads = 2});
  wu::reference reference;
  wu::Workspace ws;
  rope_forward<D>(cpu, x.small.view(), wu::Rotary<float, 2>::make(cpu, ws, axes));
  rope_forward<D>(reference, x.wide.view(), wu::Rotary<double, 2>::make(reference, ws, axes));
  check_rounded(x.small, x.wide, 1);
}

BOOST_AUTO_TEST_CASE(silu) {
  constexpr Index C = 7, rows = 211;
  const Both<dyn, C> x("x", rows);
  Tensor<bfloat16, dyn, C> y(rows);
  Tensor<double, dyn, C> expected(rows);
  wu::cpu::Context cpu({.threads = 2});
  wu::reference reference;
  silu_forward(cpu, y.view(), x.small.view());
  silu_forward(reference, expected.view(), x.wide.view());
  check_rounded(y, expected, 1);
}

BOOST_AUTO_TEST_SUITE_END()
