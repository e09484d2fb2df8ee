// A linear layer with its adapters in one product on the CPU, in every type, against the reference loops in double on the same
// numbers.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstring>
#include <vector>

#include "support/gradient_check.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/cpu/library_product.hpp"

using wu::AdapterView, wu::Index, wu::View, wu::bfloat16, wu::dyn, wu::no_adapter;

namespace {

/// Two samples share an adapter, one has none, adapter 1 is not used.
const std::vector<Index> which{0, 2, no_adapter, 2};
constexpr Index samples = 4, adapters = 3;
constexpr double scale = 0.7;

template <class T>
constexpr double tolerance = std::is_same_v<T, double>  ? 1e-13
                             : std::is_same_v<T, float> ? 1e-5
                                                        : 0x1p-7;

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <class T, Index In, Index Out, Index R>
struct Problem {
  using Sum = wu::accumulator_t<T>;
  static constexpr Index stride = R * (In + Out) + 5;
  Index rows;
  std::vector<T> x, W, b, adapter, dy, y, xa, dx;
  std::vector<Sum> dW, db, dadapter;

  /// Numbers that bfloat16 holds, so that problems of all types begin with the same.
  template <class V = T>
  static std::vector<V> values(Index n, const char* purpose) {
    std::vector<V> rounded;
    for (const double v : wu::test::random_values(n, purpose))
      rounded.push_back(static_cast<V>(static_cast<float>(bfloat16(v))));
    return rounded;
  }
  static std::vector<T> poisoned(Index n) {
    return std::vector<T>(static_cast<std::size_t>(n), static_cast<T>(std::nanf("")));
  }
  explicit Problem(Index rows_per_sample)
      : rows(samples * rows_per_sample),
        x(values(rows * In, "x")),
        W(values(Out * In, "W")),
        b(values(Out, "b")),
        adapter(values(adapters * stride, "adapter")),
        dy(values(rows * Out, "dy")),
        y(poisoned(rows * Out)),
        xa(values(rows * R, "xa")),
        dx(poisoned(rows * In)),
        dW(values<Sum>(Out * In, "dW")),
        db(values<Sum>(Out, "db")),
        dadapter(values<Sum>(adapters * stride, "dadapter")) {}

  void run(auto& ctx, bool adapted = true) {
    wu::Workspace ws;
    const View<const T, dyn, In> vx(x.data(), rows);
    const View<const T, Out, In> vW(W.data());
    AdapterView<const T, In, Out, R> a{adapter.data(), adapter.data() + R * In, stride, adapters};
    AdapterView<Sum, In, Out, R> da{dadapter.data(), dadapter.data() + R * In, stride, adapters};
    if (!adapted) a = {}, da = {};
    const View<T, dyn, R> vxa(xa.data(), rows);
    lora_linear_forward(ctx, ws, View<T, dyn, Out>(y.data(), rows), vxa, vx, vW, View<const T, Out>(b.data()), a, which,
                        scale);
    lora_linear_backward(ctx, ws, View<T, dyn, In>(dx.data(), rows), View<Sum, Out, In>(dW.data()),
                         View<Sum, Out>(db.data()), da, View<const T, dyn, Out>(dy.data(), rows), vx, as_const(vxa), vW, a,
                         which, scale);
  }
};

template <class T, Index In, Index Out, Index R>
void check(Index rows_per_sample) {
  BOOST_TEST_CONTEXT(wu::dtype_name<T> << ", In " << In << ", Out " << Out << ", R " << R << ", " << rows_per_sample
                                       << " rows per sample") {
    wu::reference reference;
    Problem<double, In, Out, R> expected(rows_per_sample);
    expected.run(reference);
    const auto run = [&](int threads, bool adapted) {
      wu::cpu::Context cpu({.threads = threads});
      Problem<T, In, Out, R> problem(rows_per_sample);
      problem.run(cpu, adapted);
      return problem;
    };
    const auto once = run(1, true), frozen = run(1, false);
    const auto close = [](const auto& found, const auto& wanted) {
      BOOST_CHECK_SMALL(wu::test::relative_error(found, wanted), tolerance<T>);
    };
    close(once.y, expected.y), close(once.xa, expected.xa), close(once.dx, expected.dx), close(once.dW, expected.dW);
    close(once.db, expected.db), close(once.dadapter, expected.dadapter);
    for (const int threads : {2, 3}) {
      const auto again = run(threads, true), frozen_again = run(threads, false);
      BOOST_CHECK(same_bits(again.xa, once.xa) && same_bits(again.dadapter, once.dadapter));
      // Only a library's product may have other bits for another number of threads; the adapters' part adds no others.
      BOOST_CHECK(wu::cpu::kernel::LibraryProduct<T>::available ||
                  (same_bits(frozen_again.y, frozen.y) && same_bits(frozen_again.dx, frozen.dx)));
      if (same_bits(frozen_again.y, frozen.y)) BOOST_CHECK(same_bits(again.y, once.y));
      if (same_bits(frozen_again.dx, frozen.dx)) BOOST_CHECK(same_bits(again.dx, once.dx));
    }
    for (Index s = 0; s < samples; ++s) {  // a sample without adapter is the frozen layer's, bit for bit
      const auto part = [&](const std::vector<T>& all, Index width) {
        const auto from = all.begin() + s * rows_per_sample * width;
        return std::vector<T>(from, from + rows_per_sample * width);
      };
      const bool none = which[static_cast<std::size_t>(s)] == no_adapter;
      BOOST_CHECK_EQUAL(same_bits(part(once.y, Out), part(frozen.y, Out)), none);
      BOOST_CHECK_EQUAL(same_bits(part(once.dx, In), part(frozen.dx, In)), none);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lora_linear)

BOOST_AUTO_TEST_CASE(equals_the_reference) {
  const auto all = []<class T>(T) {
    check<T, 35, 1057, 16>(29);  // two blocks of outputs; tiles of rows that samples' borders cut
    for (const Index rows : {3, 8, 61}) check<T, 67, 41, 5>(rows);
  };
  all(float{}), all(double{}), all(bfloat16{});
}

BOOST_AUTO_TEST_CASE(is_the_linear_layer_without_adapters) {
  wu::cpu::Context cpu({.threads = 2});
  Problem<float, 19, 33, 4> problem(13);
  const auto before = problem;
  problem.run(cpu, false);
  std::vector<float> y(problem.y.size());
  linear_forward(cpu, View<float, dyn, 33>(y.data(), problem.rows),
                 View<const float, dyn, 19>(problem.x.data(), problem.rows), View<const float, 33, 19>(problem.W.data()),
                 View<const float, 33>(problem.b.data()));
  BOOST_CHECK(problem.y == y && problem.xa == before.xa && problem.dadapter == before.dadapter);
}

BOOST_AUTO_TEST_SUITE_END()
