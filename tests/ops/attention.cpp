// ops/attention.hpp and cpu/attention.hpp.
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <initializer_list>
#include <limits>

#include "support/gradient_check.hpp"
#include "wu/cpu/attention.hpp"

namespace {

using wu::AttentionRows, wu::Index, wu::RowMap, wu::View, wu::dyn;
using wu::test::dot, wu::test::poisoned, wu::test::random_values, wu::test::relative_error;

RowMap map(std::initializer_list<RowMap::Axis> axes) {
  RowMap m;
  for (const RowMap::Axis& axis : axes) m.push(axis);
  return m;
}

struct Case {
  const char* name;
  AttentionRows rows;
  Index queries() const { return rows.groups() * rows.query.size(); }
  Index keys() const { return rows.groups() * rows.key.size(); }
};
Case self(const char* name, RowMap group, RowMap inside) { return {name, {group, inside, group, inside}}; }

/// Groups that are whole, strided, and scattered; self and cross; one key, one query, and more queries than a tile holds.
std::vector<Case> cases() {
  return {
      self("contiguous, 3 groups of 5", map({{3, 5}}), map({{5, 1}})),
      self("the outer of two axes, 2 x 7 x 3", map({{2, 21}, {3, 1}}), map({{7, 3}})),
      self("first and last of three axes, 2 x 3 x 5, twice", map({{2, 30}, {3, 5}}), map({{2, 15}, {5, 1}})),
      self("one row", map({{1, 1}}), map({{1, 1}})),
      {"cross, 2 groups of 7 queries and 3 keys", {map({{2, 7}}), map({{7, 1}}), map({{2, 3}}), map({{3, 1}})}},
      {"cross, one key", {map({{3, 2}}), map({{2, 1}}), map({{3, 1}}), map({{1, 1}})}},
      {"cross, one query, strided keys", {map({{3, 1}}), map({{1, 1}}), map({{3, 1}}), map({{5, 3}})}},
      {"cross, two tiles of queries and three more",
       {map({{1, 1}}), map({{2 * wu::cpu::detail::query_tile + 3, 1}}), map({{1, 1}}), map({{5, 1}})}},
      self("16 rows, the most that the short path takes, 2 groups", map({{2, 1}}), map({{16, 2}})),
      self("6 rows, 8 with those that are missing", map({{5, 6}}), map({{6, 1}})),
      {"cross, 9 queries and 4 keys", {map({{2, 9}}), map({{9, 1}}), map({{2, 4}}), map({{4, 1}})}},
      {"cross, 17 queries, one more than the short path takes, 2 keys",
       {map({{2, 17}}), map({{17, 1}}), map({{2, 2}}), map({{2, 1}})}},
      {"cross, 3 queries, blocks of 512, 512 and 13 keys", {map({{1, 1}}), map({{3, 1}}), map({{1, 1}}), map({{1037, 1}})}},
      self("evenly spaced, more than a tile, 2 groups", map({{2, 131}}), map({{131, 1}})),
      self("evenly spaced, 2 rows apart, 2 groups", map({{2, 1}}), map({{71, 2}})),
      {"cross, 70 queries, 17 keys, 2 groups", {map({{2, 70}}), map({{70, 1}}), map({{2, 17}}), map({{17, 1}})}},
      self("scattered, 2 x 2 x 35", map({{2, 35}}), map({{2, 70}, {35, 1}})),
      {"scattered queries, more than a tile, strided keys",
       {map({{3, 43}}), map({{3, 129}, {43, 1}}), map({{3, 1}}), map({{7, 3}})}},
  };
}

/// Attention on these rows from random q, k, v and dout. Everything it writes is NaN before.
template <class T, Index C, Index Heads>
struct Separate {
  static constexpr Index D = C / Heads;
  AttentionRows rows;
  Index queries, keys;
  std::vector<T> q, k, v, dout, out, lse, dq, dk, dv;

  static std::vector<T> values(Index n, const char* purpose) {
    const auto x = random_values(n, purpose);
    return {x.begin(), x.end()};
  }
  static std::vector<T> nothing(Index n) { return std::vector<T>(static_cast<std::size_t>(n), static_cast<T>(NAN)); }

  explicit Separate(const Case& c)
      : rows(c.rows),
        queries(c.queries()),
        keys(c.keys()),
        q(values(queries * C, "q")),
        k(values(keys * C, "k")),
        v(values(keys * C, "v")),
        dout(values(queries * C, "dout")),
        out(nothing(queries * C)),
        lse(nothing(queries * Heads)),
        dq(nothing(queries * C)),
        dk(nothing(keys * C)),
        dv(nothing(keys * C)) {}

  using Const = View<const T, dyn, C>;
  using Mutable = View<T, dyn, C>;
  void forward(auto& ctx, wu::Workspace& ws) {
    attention_forward<D>(ctx, ws, Mutable(out.data(), queries), View<T, dyn, Heads>(lse.data(), queries),
                         Const(q.data(), queries), Const(k.data(), keys), Const(v.data(), keys), rows);
  }
  void backward(auto& ctx, wu::Workspace& ws) {
    attention_backward<D>(ctx, ws, Mutable(dq.data(), queries), Mutable(dk.data(), keys), Mutable(dv.data(), keys),
                          Const(dout.data(), queries), Const(out.data(), queries),
                          View<const T, dyn, Heads>(lse.data(), queries), Const(q.data(), queries), Const(k.data(), keys),
                          Const(v.data(), keys), rows);
  }
};

/// The same with q, k and v as columns of one matrix, and their gradients too.
template <Index C, Index Heads>
struct Joint {
  static constexpr Index D = C / Heads;
  AttentionRows rows;
  Index n;
  std::vector<double> qkv, dout, out, lse, dqkv;

  explicit Joint(const Case& c)
      : rows(c.rows),
        n(c.queries()),
        qkv(random_values(n * 3 * C, "qkv")),
        dout(random_values(n * C, "dout")),
        out(poisoned(n * C)),
        lse(poisoned(n * Heads)),
        dqkv(poisoned(n * 3 * C)) {}

  void forward(auto& ctx, wu::Workspace& ws) {
    const View<const double, dyn, 3 * C> all(qkv.data(), n);
    attention_forward<D>(ctx, ws, View<double, dyn, C>(out.data(), n), View<double, dyn, Heads>(lse.data(), n),
                         wu::columns<0, C>(all), wu::columns<C, C>(all), wu::columns<2 * C, C>(all), rows);
  }
  void backward(auto& ctx, wu::Workspace& ws) {
    const View<const double, dyn, 3 * C> all(qkv.data(), n);
    const View<double, dyn, 3 * C> grad(dqkv.data(), n);
    attention_backward<D>(ctx, ws, wu::columns<0, C>(grad), wu::columns<C, C>(grad), wu::columns<2 * C, C>(grad),
                          View<const double, dyn, C>(dout.data(), n), View<const double, dyn, C>(out.data(), n),
                          View<const double, dyn, Heads>(lse.data(), n), wu::columns<0, C>(all), wu::columns<C, C>(all),
                          wu::columns<2 * C, C>(all), rows);
  }
};

void check_gradients(auto& ctx) {
  wu::Workspace ws;
  for (const Case& c : cases()) BOOST_TEST_CONTEXT(c.name) {
      Separate<double, 10, 2> a(c);
      auto loss = [&] {
        a.forward(ctx, ws);
        return dot(a.out, a.dout);
      };
      loss();
      a.backward(ctx, ws);
      if (c.rows.key.size() > 1) {  // the softmax of one score is 1 whatever q and k are
        wu::test::check_gradient("q", a.q, a.dq, loss, 1e-7, 100);
        wu::test::check_gradient("k", a.k, a.dk, loss, 1e-7, 100);
      } else
        for (const auto* gradient : {&a.dq, &a.dk})
          for (const double g : *gradient) BOOST_CHECK_SMALL(g, 1e-14);
      wu::test::check_gradient("v", a.v, a.dv, loss, 1e-7, 100);
      if (c.queries() != c.keys() || c.rows.key.size() == 1) continue;
      Joint<15, 5> joint(c);
      auto joint_loss = [&] {
        joint.forward(ctx, ws);
        return dot(joint.out, joint.dout);
      };
      joint_loss();
      joint.backward(ctx, ws);
      wu::test::check_gradient("q, k, v in one matrix", joint.qkv, joint.dqkv, joint_loss, 1e-7, 100);
    }
}

template <class T>
void check_cpu_equals_reference(double tolerance) {
  wu::reference reference;
  for (const int threads : {1, 2, 3})
    for (const Case& c : cases()) BOOST_TEST_CONTEXT(c.name << ", " << threads << " threads") {
        wu::cpu::Context cpu({.threads = threads});
        wu::Workspace ws;
        Separate<T, 21, 3> a(c), b(c);
        a.forward(reference, ws), a.backward(reference, ws);
        b.forward(cpu, ws), b.backward(cpu, ws);
        BOOST_CHECK_SMALL(relative_error(b.out, a.out), tolerance);
        BOOST_CHECK_SMALL(relative_error(b.lse, a.lse), tolerance);
        BOOST_CHECK_SMALL(relative_error(b.dv, a.dv), tolerance);
        if (c.rows.key.size() > 1) {
          BOOST_CHECK_SMALL(relative_error(b.dq, a.dq), tolerance);
          BOOST_CHECK_SMALL(relative_error(b.dk, a.dk), tolerance);
        }
      }
}

/// Peak of the workspace over forward and backward of one group of n rows.
std::size_t peak(auto& ctx, Index n, bool scattered) {
  wu::Workspace ws;
  // The same two interleaved groups either way; `scattered` says whether the rows of one lie evenly.
  Separate<float, 8, 2> a(scattered ? self("", map({{2, 8}}), map({{n / 8, 16}, {8, 1}}))
                                    : self("", map({{2, 1}}), map({{n, 2}})));
  a.forward(ctx, ws), a.backward(ctx, ws);
  return ws.peak_bytes();
}

}  // namespace

BOOST_AUTO_TEST_CASE(row_map_counts_through_nested_axes) {
  const RowMap joined = map({{2, 15}, {3, 5}, {5, 1}}), apart = map({{2, 30}, {1, 1}, {3, 5}, {4, 1}}), none = map({});
  BOOST_CHECK(joined.regular() && none.regular());
  BOOST_CHECK(!apart.regular());
  BOOST_CHECK_EQUAL(joined.size(), 30);
  BOOST_CHECK_EQUAL(none.size(), 1);
  BOOST_CHECK_EQUAL(none(0), 0);
  for (Index i = 0; i < 30; ++i) BOOST_CHECK_EQUAL(joined(i), i);
  Index i = 0;
  for (Index a = 0; a < 2; ++a)
    for (Index b = 0; b < 3; ++b)
      for (Index c = 0; c < 4; ++c) BOOST_CHECK_EQUAL(apart(i++), 30 * a + 5 * b + c);
  BOOST_CHECK_EQUAL(apart.size(), i);
  BOOST_CHECK_EXCEPTION(map({{2, 1000}, {2, 300}, {2, 70}, {2, 9}, {2, 1}}), wu::ShapeError, [](const wu::ShapeError& e) {
    return std::string(e.what()) == "attention: more than four separate axes in one row map";
  });
}

BOOST_AUTO_TEST_CASE(attention_cases_reach_every_path) {
  constexpr Index tile = wu::cpu::detail::query_tile, few = wu::cpu::detail::short_rows;
  bool scattered_keys = false, even_tiles = false, scattered_tiles = false, few_rows = false, few_scattered_rows = false,
       many_keys = false;
  for (const Case& c : cases()) {
    const RowMap &query = c.rows.query, &key = c.rows.key;
    const bool is_short = query.size() <= few && key.size() <= few;
    scattered_keys |= !key.regular() && key.size() > few;
    even_tiles |= query.regular() && query.size() > tile && key.regular() && key.size() > few;
    scattered_tiles |= !query.regular() && query.size() > tile;
    few_rows |= is_short && query.regular();
    few_scattered_rows |= is_short && !query.regular();
    many_keys |= key.size() > 1024;
  }
  BOOST_CHECK(scattered_keys && even_tiles && scattered_tiles && few_rows && few_scattered_rows && many_keys);
}

BOOST_AUTO_TEST_CASE(attention_gradients_reference) {
  wu::reference ctx;
  check_gradients(ctx);
}

BOOST_AUTO_TEST_CASE(attention_gradients_cpu) {
  wu::cpu::Context ctx({.threads = 2});
  check_gradients(ctx);
}

BOOST_AUTO_TEST_CASE(attention_cpu_equals_reference) {
  check_cpu_equals_reference<double>(1e-12);
  check_cpu_equals_reference<float>(1e-5);
}

BOOST_AUTO_TEST_CASE(attention_cpu_gives_the_same_bits_on_any_number_of_threads) {
  for (const Case& c :
       {self("7 groups of 37", map({{7, 37}}), map({{37, 1}})), self("scattered", map({{2, 35}}), map({{2, 70}, {35, 1}})),
        self("few keys", map({{40, 11}}), map({{11, 1}}))}) {
    Separate<float, 60, 3> a(c);
    std::vector<float> alone;
    for (const int threads : {1, 2, 3, 5}) {
      wu::cpu::Context ctx({.threads = threads});
      wu::Workspace ws;
      a.forward(ctx, ws);
      a.backward(ctx, ws);
      std::vector<float> all;
      for (const auto* values : {&a.out, &a.lse, &a.dq, &a.dk, &a.dv}) all.insert(all.end(), values->begin(), values->end());
      if (threads == 1) alone = all;
      BOOST_CHECK_MESSAGE(std::memcmp(all.data(), alone.data(), all.size() * sizeof(float)) == 0,
                          c.name << " on " << threads << " threads");
    }
  }
}

// One group by hand: p = softmax(q k^T / sqrt(D)), out = p v.
BOOST_AUTO_TEST_CASE(attention_is_the_formula) {
  const Case c{"", {map({}), map({{3, 1}}), map({}), map({{5, 1}})}};
  Separate<double, 7, 1> a(c);
  wu::reference ctx;
  wu::Workspace ws;
  a.forward(ctx, ws);
  for (std::size_t i = 0; i < 3; ++i) {
    double weights[5], total = 0;
    for (std::size_t j = 0; j < 5; ++j) {
      weights[j] = std::exp(dot(std::span(a.q).subspan(7 * i, 7), std::span(a.k).subspan(7 * j, 7)) / std::sqrt(7.0));
      total += weights[j];
    }
    BOOST_CHECK_CLOSE(a.lse[i], std::log(total), 1e-10);
    for (std::size_t n = 0; n < 7; ++n) {
      double mixed = 0;
      for (std::size_t j = 0; j < 5; ++j) mixed += weights[j] / total * a.v[7 * j + n];
      BOOST_CHECK_CLOSE(a.out[7 * i + n], mixed, 1e-10);
    }
  }
}

BOOST_AUTO_TEST_CASE(attention_memory_grows_linearly_with_the_sequence) {
  wu::cpu::Context cpu({.threads = 2});
  for (const bool scattered : {false, true}) {
    const std::size_t once = peak(cpu, 128, scattered), twice = peak(cpu, 256, scattered), four = peak(cpu, 512, scattered);
    BOOST_CHECK_GT(once, 0u);
    BOOST_CHECK_LT(static_cast<double>(twice), 2.1 * static_cast<double>(once));
    BOOST_CHECK_LT(static_cast<double>(four), 2.1 * static_cast<double>(twice));
  }
}

// exp of these scores is beyond float; the largest is taken off before. Few keys, and several blocks of them.
BOOST_AUTO_TEST_CASE(attention_survives_huge_scores) {
  const auto check = [&](auto& ctx, Index keys) {
    const std::size_t n_keys = static_cast<std::size_t>(keys);
    Separate<float, 6, 2> a(Case{"", {map({{2, 3}}), map({{3, 1}}), map({{2, keys}}), map({{keys, 1}})}});
    for (float& x : a.q) x = std::fabs(x) + 0.5f;
    for (std::size_t n = 0; n < 6; ++n) {
      a.k[6 * (n_keys - 3) + n] = 1e4f;                                          // in group 0 one key takes everything
      for (std::size_t j = n_keys; j < 2 * n_keys; ++j) a.k[6 * j + n] = -1e4f;  // in group 1 every score is hugely negative
    }
    wu::Workspace ws;
    a.forward(ctx, ws), a.backward(ctx, ws);
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t n = 0; n < 6; ++n) {
        BOOST_CHECK_EQUAL(a.out[6 * i + n], a.v[6 * (n_keys - 3) + n]);
        float mean = 0;
        for (std::size_t j = n_keys; j < 2 * n_keys; ++j) mean += a.v[6 * j + n] / static_cast<float>(keys);
        BOOST_CHECK_SMALL(a.out[6 * (3 + i) + n] - mean, 1e-3f);
      }
    for (const auto* values : {&a.lse, &a.dq, &a.dk, &a.dv})
      for (const float x : *values) BOOST_REQUIRE(std::isfinite(x));
  };
  wu::reference reference;
  check(reference, 5);
  wu::cpu::Context cpu({.threads = 2});
  for (const Index keys : {5, 530}) check(cpu, keys);
}

// A score of -inf has the weight 0, in whatever block it stands, even where a whole block has no other.
BOOST_AUTO_TEST_CASE(attention_gives_no_weight_to_scores_of_minus_infinity) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  wu::cpu::Context cpu({.threads = 1});
  for (const std::size_t keys : {std::size_t{3}, std::size_t{20}, std::size_t{600}}) {
    const Index n = static_cast<Index>(keys);
    Separate<float, 6, 2> a(Case{"", {map({{1, 1}}), map({{2, 1}}), map({{1, 1}}), map({{n, 1}})}});
    for (float& x : a.q) x = std::fabs(x) + 0.5f;
    for (std::size_t at = 0; at < 6 * (keys - 2); ++at) a.k[at] = -infinity;
    wu::Workspace ws;
    a.forward(cpu, ws);
    Separate<float, 6, 2> last(Case{"", {map({{1, 1}}), map({{2, 1}}), map({{1, 1}}), map({{2, 1}})}});
    last.q = a.q, last.k.assign(a.k.end() - 12, a.k.end()), last.v.assign(a.v.end() - 12, a.v.end());
    last.forward(cpu, ws);
    BOOST_CHECK_SMALL(relative_error(a.out, last.out), 1e-6);
    BOOST_CHECK_SMALL(relative_error(a.lse, last.lse), 1e-6);
  }
}

BOOST_AUTO_TEST_CASE(attention_without_queries_gives_keys_no_gradient) {
  const auto check = [](auto& ctx) {
    for (const Index keys : {Index{0}, Index{5}, Index{20}}) {
      wu::Workspace ws;
      Separate<double, 4, 2> a(Case{"", {map({{2, 0}}), map({{0, 1}}), map({{2, keys}}), map({{keys, 1}})}});
      a.forward(ctx, ws), a.backward(ctx, ws);
      const std::vector<double> zeros(static_cast<std::size_t>(2 * keys * 4));
      BOOST_CHECK(a.dk == zeros && a.dv == zeros);
    }
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

// What a program may ask for in advance is what the workspace gives out.
BOOST_AUTO_TEST_CASE(attention_takes_the_scratch_that_it_says) {
  for (const Index n : {Index{7}, Index{130}}) {
    wu::cpu::Context cpu({.threads = 2});
    wu::Workspace forward, backward;
    Separate<float, 8, 2> a(self("", map({{2, 1}}), map({{n, 2}})));
    a.forward(cpu, forward), a.backward(cpu, backward);
    BOOST_CHECK_EQUAL(forward.peak_bytes(), wu::cpu::attention_scratch_bytes<float>(n, n, 4, 2));
    BOOST_CHECK_EQUAL(backward.peak_bytes(), wu::cpu::attention_backward_scratch_bytes<float>(n, n, 4, 2));
  }
}

BOOST_AUTO_TEST_CASE(attention_refuses_rows_that_do_not_fit) {
  wu::Workspace ws;
  const auto says = [](std::string wanted) { return [wanted](const wu::ShapeError& e) { return e.what() == wanted; }; };
  const auto check = [&](auto& ctx) {
    const Case good{"", {map({{2, 5}}), map({{5, 1}}), map({{2, 3}}), map({{3, 1}})}};
    using Two = Separate<double, 4, 2>;
    Two a(good);
    a.queries = 9;
    BOOST_CHECK_EXCEPTION(a.forward(ctx, ws), wu::ShapeError,
                          says("attention: expected 2 groups of 5 queries and 3 keys, found 9 rows of q and 6 rows of k"));
    BOOST_CHECK_EXCEPTION(a.backward(ctx, ws), wu::ShapeError,
                          says("attention: expected 2 groups of 5 queries and 3 keys, found 9 rows of q and 6 rows of k"));
    Two b(good);
    b.rows.key_group = map({{3, 3}});
    BOOST_CHECK_EXCEPTION(b.forward(ctx, ws), wu::ShapeError,
                          says("attention: expected 2 groups of 5 queries and 3 keys, found 10 rows of q and 6 rows of k"));
    Two d(good);
    d.rows.key = map({{0, 1}}), d.keys = 0;
    BOOST_CHECK_EXCEPTION(d.forward(ctx, ws), wu::ShapeError, says("attention: expected at least one key, found none"));
    Two e(good);
    const View<const double, dyn, 4> q(e.q.data(), 10), k(e.k.data(), 6), short_v(e.v.data(), 5);
    const View<double, dyn, 4> out(e.out.data(), 10), short_out(e.out.data(), 8);
    const View<double, dyn, 2> lse(e.lse.data(), 10);
    BOOST_CHECK_EXCEPTION(attention_forward<2>(ctx, ws, out, lse, q, k, short_v, e.rows), wu::ShapeError,
                          says("attention, keys and values: expected 6 rows, found 5"));
    BOOST_CHECK_EXCEPTION(attention_forward<2>(ctx, ws, short_out, lse, q, k, k, e.rows), wu::ShapeError,
                          says("attention, queries and outputs: expected 10 rows, found 8"));
    Two f(good), g(good), h(good);  // as many rows as there are, but the last lies beyond, or the first before
    f.rows.query = map({{5, 2}});
    BOOST_CHECK_EXCEPTION(f.forward(ctx, ws), wu::ShapeError,
                          says("attention: expected a map to 10 rows of q, found one from row 0 to 13"));
    BOOST_CHECK_EXCEPTION(f.backward(ctx, ws), wu::ShapeError,
                          says("attention: expected a map to 10 rows of q, found one from row 0 to 13"));
    g.rows.key_group = map({{2, 4}});
    BOOST_CHECK_EXCEPTION(g.forward(ctx, ws), wu::ShapeError,
                          says("attention: expected a map to 6 rows of k, found one from row 0 to 6"));
    h.rows.key = map({{3, -1}});
    BOOST_CHECK_EXCEPTION(h.forward(ctx, ws), wu::ShapeError,
                          says("attention: expected a map to 6 rows of k, found one from row -2 to 3"));
    for (const auto* written :
         {&a.out, &b.out, &d.out, &e.out, &f.out, &g.out, &h.out, &a.lse, &e.lse, &f.lse, &f.dq, &f.dk})
      for (const double x : *written) BOOST_REQUIRE(std::isnan(x));
  };
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}
