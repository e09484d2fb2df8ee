// nn/recompute.hpp on the modules of nn: the gradients are the same bit for bit, and nothing is kept.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <vector>

#include "support/gradient_check.hpp"
#include "wu/core/parameters.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/nn/nn.hpp"

namespace {

using namespace wu;
constexpr Index C = 6, head = 2, batch = 2, length = 3, rows = batch * length;
using Rows = View<double, dyn, C>;
using ConstRows = View<const double, dyn, C>;

struct Result {
  std::vector<double> y, dx, dp;
  std::size_t kept = 0;
  bool operator==(const Result& other) const { return y == other.y && dx == other.dx && dp == other.dp; }
};

/// Gradients by Module: `forward` and `backward` call it.
template <class Module>
Result run(auto&& forward, auto&& backward) {
  Weights<Module, double> weights, gradients;
  std::ranges::copy(test::random_values(weights.extent, "weights"), weights.flat().begin());
  const auto x = test::random_values(rows * C, "x"), dy = test::random_values(rows * C, "dy");
  Result result{test::poisoned(rows * C), dy, {}, 0};
  Workspace ws;
  const Rows y(result.y.data(), rows), dx(result.dx.data(), rows);
  const auto saved = forward(ws, y, ConstRows(x.data(), rows), weights.frozen());
  result.kept = ws.taken_bytes();
  std::vector<double> written = result.y;
  std::ranges::fill(result.y, 1e30);  // the output may be overwritten
  backward(ws, dx, gradients.view(), ConstRows(dy.data(), rows), saved, weights.frozen());
  BOOST_CHECK_EQUAL(std::ranges::count(result.y, 1e30), rows * C);
  result.y = written;
  result.dp.assign(gradients.flat().begin(), gradients.flat().end());
  BOOST_CHECK_EQUAL(ws.taken_bytes(), result.kept);
  return result;
}

template <class Module>
Result of_encoder_block() {
  cpu::Context ctx({.threads = 2});
  return run<Module>([&](Workspace& ws, Rows y, ConstRows x,
                         const auto& p) { return Module::template forward<double>(ctx, ws, y, x, p, batch); },
                     [&](Workspace& ws, Rows dx, const auto& dp, ConstRows, const auto& saved, const auto& p) {
                       Module::template backward<double>(ctx, ws, dx, dp, saved, p, batch);
                     });
}

template <class Module>
Result of_feed_forward() {
  cpu::Context ctx({.threads = 2});
  return run<Module>(
      [&](Workspace& ws, Rows y, ConstRows x, const auto& p) { return Module::template forward<double>(ctx, ws, y, x, p); },
      [&](Workspace& ws, Rows dx, const auto& dp, ConstRows dy, const auto& saved, const auto& p) {
        Module::template backward<double>(ctx, ws, dx, dp, dy, saved, p);
      });
}

template <class Module>
Result of_self_attention() {
  cpu::Context ctx({.threads = 2});
  AttentionRows attended;
  attended.query_group.push({batch, length}), attended.query.push({length, 1});
  attended.key_group = attended.query_group, attended.key = attended.query;
  const Rotary<double, 0> no_rotation;
  return run<Module>(
      [&](Workspace& ws, Rows y, ConstRows x, const auto& p) {
        return Module::template forward<double>(ctx, ws, y, x, x, p, no_rotation, no_rotation, attended);
      },
      [&](Workspace& ws, Rows dx, const auto& dp, ConstRows dy, const auto& saved, const auto& p) {
        Module::template backward<double>(ctx, ws, dx, Rows(), dp, dy, saved, p, no_rotation, no_rotation, attended);
      });
}

void check(const Result& saved, const Result& recomputed) {
  BOOST_CHECK(recomputed == saved);
  BOOST_CHECK_GT(saved.kept, 0u);
  BOOST_CHECK_EQUAL(recomputed.kept, 0u);
  BOOST_CHECK(std::ranges::any_of(saved.dp, [](double v) { return v != 0; }));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_recomputed_module_has_the_same_gradients_and_keeps_nothing) {
  using Block = EncoderBlock<C, head, 5>;
  using Hidden = FeedForward<C, 5>;
  using Self = Attention<C, head>;
  check(of_encoder_block<Block>(), of_encoder_block<Recompute<Block>>());
  check(of_feed_forward<Hidden>(), of_feed_forward<Recompute<Hidden>>());
  check(of_self_attention<Self>(), of_self_attention<Recompute<Self>>());
  static_assert(Recompute<Block>::saved_bytes<double>(rows) == 0);
}
