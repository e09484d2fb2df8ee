// ops/lora.hpp, cpu/lora.hpp and cpu/skinny.hpp.
#include <boost/test/unit_test.hpp>

#include <cstring>

#include "support/gradient_check.hpp"
#include "wu/cpu/lora.hpp"

namespace {

using wu::AdapterView, wu::Index, wu::View, wu::dyn, wu::no_adapter;
using wu::test::random_values, wu::test::relative_error;

/// Adapters 0 and 2 serve two samples each, 3 one, 1 none; two samples have none.
const std::vector<Index> which{0, no_adapter, 2, 0, 3, no_adapter, 2};
constexpr Index adapters = 4, samples = 7;

/// A batch with its adapters: A, then B, then a gap, request by request. B is random, not 0: where B is 0 the gradient of A
/// vanishes whatever the code does.
/// G: what the adapters' gradients are held in.
template <class T, Index In, Index Out, Index R, class G = T>
struct Batch {
  static constexpr Index stride = R * (In + Out) + 3;
  Index rows;
  double scale = 0.75;
  std::vector<Index> which = ::which;
  std::vector<T> x, y, xa, adapter, dy, dx;
  std::vector<G> dadapter;

  /// Numbers that bfloat16 holds too, so that batches of all types begin with the same.
  template <class V = T>
  static std::vector<V> values(Index n, const char* purpose) {
    const auto v = random_values(n, purpose);
    std::vector<V> rounded;
    for (const double value : v) rounded.push_back(static_cast<V>(static_cast<float>(wu::bfloat16(value))));
    return rounded;
  }
  explicit Batch(Index rows_per_sample)
      : rows(samples * rows_per_sample),
        x(values(rows * In, "x")),
        y(values(rows * Out, "y")),
        xa(values(rows * R, "xa")),
        adapter(values(adapters * stride, "adapter")),
        dy(values(rows * Out, "dy")),
        dx(values(rows * In, "dx")),
        dadapter(values<G>(adapters * stride, "dadapter")) {}

  void forward(auto& ctx, wu::Workspace& ws) {
    lora_forward(ctx, ws, View<T, dyn, Out>(y.data(), rows), View<T, dyn, R>(xa.data(), rows),
                 View<const T, dyn, In>(x.data(), rows),
                 AdapterView<const T, In, Out, R>{adapter.data(), adapter.data() + R * In, stride, adapters}, which, scale);
  }
  void backward(auto& ctx, wu::Workspace& ws, bool want_x = true, bool want_adapter = true) {
    lora_backward(ctx, ws, View<T, dyn, In>(want_x ? dx.data() : nullptr, rows),
                  want_adapter ? AdapterView<G, In, Out, R>{dadapter.data(), dadapter.data() + R * In, stride, adapters}
                               : AdapterView<G, In, Out, R>{},
                  View<const T, dyn, Out>(dy.data(), rows), View<const T, dyn, In>(x.data(), rows),
                  View<const T, dyn, R>(xa.data(), rows),
                  AdapterView<const T, In, Out, R>{adapter.data(), adapter.data() + R * In, stride, adapters}, which, scale);
  }
};

template <Index In, Index Out, Index R>
void check_gradients(auto& ctx, Index rows_per_sample) {
  BOOST_TEST_CONTEXT("In " << In << ", Out " << Out << ", R " << R << ", " << rows_per_sample << " rows per sample") {
    wu::Workspace ws;
    Batch<double, In, Out, R> a(rows_per_sample);
    const auto start = a.y;
    auto loss = [&] {
      a.y = start;
      a.forward(ctx, ws);
      return wu::test::dot(a.y, a.dy);
    };
    loss();
    std::fill(a.dx.begin(), a.dx.end(), 0);
    std::fill(a.dadapter.begin(), a.dadapter.end(), 0);
    a.backward(ctx, ws);
    wu::test::check_gradient("x", a.x, a.dx, loss, 1e-7, 150);
    wu::test::check_gradient("A and B", a.adapter, a.dadapter, loss, 1e-7, 150);
    const std::span<double> all(a.adapter), gradient(a.dadapter);
    for (const std::size_t k : {0u, 2u, 3u}) {  // by name: the used adapters' A and B
      const auto from = k * static_cast<std::size_t>(a.stride);
      wu::test::check_gradient("A", all.subspan(from, R * In), gradient.subspan(from, R * In), loss, 1e-7, 50);
      wu::test::check_gradient("B", all.subspan(from + R * In, R * Out), gradient.subspan(from + R * In, R * Out), loss,
                               1e-7, 50);
    }
    for (Index i = a.stride; i < 2 * a.stride; ++i)
      BOOST_REQUIRE_EQUAL(a.dadapter[static_cast<std::size_t>(i)], 0);  // nobody uses adapter 1
  }
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// Forward and backward from the same start, gradients added to what was there: on the CPU in T, with one thread and with more
/// to the bit, against the reference in double.
template <class T, Index In, Index Out, Index R, class G = T>
void check_cpu_equals_reference(Index rows_per_sample, double tolerance) {
  BOOST_TEST_CONTEXT(wu::dtype_name<T> << ", In " << In << ", Out " << Out << ", R " << R << ", " << rows_per_sample
                                       << " rows per sample") {
    wu::reference reference;
    wu::Workspace ws;
    Batch<double, In, Out, R> expected(rows_per_sample);
    expected.forward(reference, ws), expected.backward(reference, ws);
    const auto run = [&](int threads) {
      wu::cpu::Context cpu({.threads = threads});
      Batch<T, In, Out, R, G> batch(rows_per_sample);
      batch.forward(cpu, ws), batch.backward(cpu, ws);
      return batch;
    };
    const auto once = run(1);
    BOOST_CHECK_SMALL(relative_error(once.y, expected.y), tolerance);
    BOOST_CHECK_SMALL(relative_error(once.xa, expected.xa), tolerance);
    BOOST_CHECK_SMALL(relative_error(once.dx, expected.dx), tolerance);
    BOOST_CHECK_SMALL(relative_error(once.dadapter, expected.dadapter), tolerance);
    for (const int threads : {2, 3}) {
      const auto again = run(threads);
      BOOST_CHECK(same_bits(again.y, once.y) && same_bits(again.xa, once.xa) && same_bits(again.dx, once.dx) &&
                  same_bits(again.dadapter, once.dadapter));
    }
  }
}

/// Products of every shape against three plain loops, on numbers that all types hold.
template <class T>
void check_skinny(Index R, Index N, Index rows) {
  BOOST_TEST_CONTEXT(wu::dtype_name<T> << ", R " << R << ", N " << N << ", " << rows << " rows") {
    using Skinny = wu::cpu::kernel::Skinny<T>;
    using Values = std::vector<T>;
    const auto values = [](Index n, const char* purpose) { return Batch<T, 1, 1, 1>::values(n, purpose); };
    const auto at = [](const auto& matrix, Index row, Index width, Index column) {
      return static_cast<double>(matrix[static_cast<std::size_t>(row * width + column)]);
    };
    const auto size = [](Index rows_of, Index columns) { return static_cast<std::size_t>(rows_of * columns); };
    const Index width = Skinny::width(R), m_row = Skinny::up_to(Skinny::panel, N);
    const Values x = values(rows * N, "x"), v = values(N * R, "v");
    Values turned(v.size()), p(size(rows, width));  // v as (R, N), and (rows, R) with its zeros
    for (Index n = 0; n < N; ++n)
      for (Index j = 0; j < R; ++j) turned[static_cast<std::size_t>(j * N + n)] = v[static_cast<std::size_t>(n * R + j)];
    const Values low = values(rows * R, "p");
    for (Index r = 0; r < rows; ++r) std::copy_n(low.data() + r * R, R, p.data() + r * width);

    std::vector<typename Skinny::Word> V(size(Skinny::tall_words(N, R), 1)), U(size(Skinny::wide_words(R, N), 1)),
        again_V(V.size()), again_U(U.size()), P(size(Skinny::low_words(rows, R), 1));
    Skinny::pack_tall(V.data(), v.data(), N, R), Skinny::pack_tall_transposed(again_V.data(), turned.data(), N, R);
    Skinny::pack_wide(U.data(), turned.data(), R, N), Skinny::pack_wide_transposed(again_U.data(), v.data(), R, N);
    Skinny::pack_low(P.data(), low.data(), rows, R);
    BOOST_CHECK(same_bits(again_V, V) && same_bits(again_U, U));
    Values projected(size(rows, width), static_cast<T>(NAN)), expanded = x;
    std::vector<typename Skinny::Sum> reduced(size(width, m_row), 1);
    Skinny::project(projected.data(), x.data(), V.data(), R, N, rows);
    Skinny::expand(expanded.data(), p.data(), U.data(), R, N, rows, typename Skinny::Sum(0.75));
    const Index left = N / 3;  // as two ranges of columns
    for (const auto& [from, count] : {std::pair{Index{0}, left}, std::pair{left, N - left}}) {
      std::vector<typename Skinny::Sum> sums(size(width, Skinny::up_to(Skinny::panel, count)), 1);
      Skinny::reduce(sums.data(), P.data(), x.data() + from, N, R, count, rows);
      for (Index j = 0; j < R; ++j)
        std::copy_n(sums.data() + j * Skinny::up_to(Skinny::panel, count), count, reduced.data() + j * m_row + from);
    }

    std::vector<double> expected_P(projected.size()), Y(x.begin(), x.end()), M(reduced.size(), 1);
    for (Index r = 0; r < rows; ++r)
      for (Index j = 0; j < R; ++j)
        for (Index n = 0; n < N; ++n) {
          expected_P[size(r, width) + static_cast<std::size_t>(j)] += at(x, r, N, n) * at(v, n, R, j);
          Y[static_cast<std::size_t>(r * N + n)] += 0.75 * at(low, r, R, j) * at(v, n, R, j);
          M[static_cast<std::size_t>(j * m_row + n)] += at(low, r, R, j) * at(x, r, N, n);
        }
    const double sum = sizeof(typename Skinny::Sum) == 4 ? 1e-5 : 1e-13, rounding = sizeof(T) == 2 ? 0x1p-8 : sum;
    BOOST_CHECK_SMALL(relative_error(projected, expected_P), rounding);
    BOOST_CHECK_SMALL(relative_error(expanded, Y), rounding);
    for (Index j = 0; j < R; ++j) {
      const auto row = [&](const auto& all) { return std::span(all).subspan(size(j, m_row), static_cast<std::size_t>(N)); };
      BOOST_CHECK_SMALL(relative_error(row(reduced), row(M)), sum);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(skinny_products_of_any_shape) {
  const auto check = []<class T>(T) {
    for (const Index R : {1, 4, 7, 8, 13, 16, 20, 32, 40, 63, 64}) check_skinny<T>(R, 70, 13);
    for (const Index rows : {1, 2, 8, 31}) check_skinny<T>(16, 3, rows), check_skinny<T>(5, 129, rows);
  };
  check(float{}), check(double{}), check(wu::bfloat16{});
}

BOOST_AUTO_TEST_CASE(lora_gradients_reference) {
  wu::reference ctx;
  check_gradients<5, 3, 2>(ctx, 7);
  check_gradients<2, 7, 3>(ctx, 1);
}

BOOST_AUTO_TEST_CASE(lora_gradients_cpu) {
  wu::cpu::Context ctx({.threads = 2});
  check_gradients<5, 3, 2>(ctx, 7);
  check_gradients<2, 7, 3>(ctx, 1);
  check_gradients<35, 67, 5>(ctx, 13);  // enough work for both threads, and sizes that no vector divides
}

BOOST_AUTO_TEST_CASE(lora_cpu_equals_reference) {
  for (const Index rows : {1, 5, 8, 37}) {
    check_cpu_equals_reference<double, 67, 35, 13>(rows, 1e-12);
    check_cpu_equals_reference<float, 64, 128, 8>(rows, 1e-5);
    check_cpu_equals_reference<wu::bfloat16, 67, 35, 13>(rows, 0x1p-7);
    check_cpu_equals_reference<wu::bfloat16, 64, 128, 8, float>(rows, 0x1p-7);
  }
  // Several blocks of rows.
  check_cpu_equals_reference<float, 24, 16, 4>(wu::cpu::kernel::Skinny<float>::most_rows + 3, 1e-4);
}

BOOST_AUTO_TEST_CASE(lora_leaves_samples_without_adapter_bit_for_bit) {
  const auto check = [](auto& ctx) {
    wu::Workspace ws;
    constexpr Index per = 41, In = 19, Out = 23, R = 3;
    Batch<float, In, Out, R> a(per);
    const auto before = a;
    a.forward(ctx, ws), a.backward(ctx, ws);
    const auto same = [](const std::vector<float>& now, const std::vector<float>& then, Index from, Index count) {
      return std::memcmp(now.data() + from, then.data() + from, static_cast<std::size_t>(count) * sizeof(float)) == 0;
    };
    for (Index s = 0; s < samples; ++s) {
      const bool none = which[static_cast<std::size_t>(s)] == no_adapter;
      BOOST_CHECK_EQUAL(same(a.y, before.y, s * per * Out, per * Out), none);
      BOOST_CHECK_EQUAL(same(a.xa, before.xa, s * per * R, per * R), none);
      BOOST_CHECK_EQUAL(same(a.dx, before.dx, s * per * In, per * In), none);
    }
    // Nobody has one: nothing at all is touched, and no adapters need exist.
    Batch<float, In, Out, R> b(per);
    b.which.assign(samples, no_adapter);
    b.forward(ctx, ws), b.backward(ctx, ws);
    BOOST_CHECK(b.y == before.y && b.xa == before.xa && b.dx == before.dx && b.dadapter == before.dadapter);
    lora_forward(ctx, ws, View<float, dyn, Out>(b.y.data(), b.rows), View<float, dyn, R>(b.xa.data(), b.rows),
                 View<const float, dyn, In>(b.x.data(), b.rows), AdapterView<const float, In, Out, R>{}, b.which, 1.0);
    BOOST_CHECK(b.y == before.y);
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

BOOST_AUTO_TEST_CASE(lora_computes_only_the_gradients_that_are_wanted) {
  const auto check = [](auto& ctx) {
    wu::Workspace ws;
    Batch<double, 5, 3, 2> all(7), only_x(7), only_adapter(7);
    const auto before = all;
    for (auto* batch : {&all, &only_x, &only_adapter}) batch->forward(ctx, ws);
    all.backward(ctx, ws), only_x.backward(ctx, ws, true, false), only_adapter.backward(ctx, ws, false, true);
    BOOST_CHECK(only_x.dx == all.dx && only_x.dadapter == before.dadapter);
    BOOST_CHECK(only_adapter.dadapter == all.dadapter && only_adapter.dx == before.dx);
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

BOOST_AUTO_TEST_CASE(lora_refuses_what_does_not_fit_and_changes_nothing) {
  const auto says = [](std::string wanted) { return [wanted](const wu::ShapeError& e) { return e.what() == wanted; }; };
  const auto check = [&](auto& ctx) {
    wu::Workspace ws;
    Batch<double, 5, 3, 2> a(7);
    const auto before = a;
    const std::string index = "lora: expected an adapter index below 4 or no_adapter, found ";
    a.which.back() = 4;
    BOOST_CHECK_EXCEPTION(a.forward(ctx, ws), wu::ShapeError, says(index + "4"));
    BOOST_CHECK_EXCEPTION(a.backward(ctx, ws), wu::ShapeError, says(index + "4"));
    a.which.back() = -2;
    BOOST_CHECK_EXCEPTION(a.forward(ctx, ws), wu::ShapeError, says(index + "-2"));
    BOOST_CHECK_EXCEPTION(a.backward(ctx, ws), wu::ShapeError, says(index + "-2"));
    a.which = {0, 1, 2};
    BOOST_CHECK_EXCEPTION(a.forward(ctx, ws), wu::ShapeError,
                          says("lora: expected a multiple of 3 samples' rows, found 49"));
    a.which = {};
    BOOST_CHECK_EXCEPTION(a.backward(ctx, ws), wu::ShapeError,
                          says("lora: expected a multiple of 0 samples' rows, found 49"));
    using A = AdapterView<double, 5, 3, 2>;
    BOOST_CHECK_EXCEPTION(lora_forward(ctx, ws, View<double, dyn, 3>(a.y.data(), 48), View<double, dyn, 2>(a.xa.data(), 49),
                                       View<double, dyn, 5>(a.x.data(), 49),
                                       A{a.adapter.data(), a.adapter.data() + 10, a.stride, 4}, before.which, 1.0),
                          wu::ShapeError, says("lora: expected 49 rows, found 48"));
    BOOST_CHECK_EXCEPTION(
        lora_backward(ctx, ws, View<double, dyn, 5>(a.dx.data(), 49),
                      A{a.dadapter.data(), a.dadapter.data() + 10, a.stride, 3}, View<double, dyn, 3>(a.dy.data(), 49),
                      View<double, dyn, 5>(a.x.data(), 49), View<double, dyn, 2>(a.xa.data(), 49),
                      A{a.adapter.data(), a.adapter.data() + 10, a.stride, 4}, before.which, 1.0),
        wu::ShapeError, says("lora backward: expected gradients of 4 adapters, found 3"));
    BOOST_CHECK(a.y == before.y && a.xa == before.xa && a.dx == before.dx && a.dadapter == before.dadapter);
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}
