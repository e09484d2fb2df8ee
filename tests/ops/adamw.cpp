// ops/adamw.hpp and the CPU's version: by hand, against the formula in double, and what its one pass must not change.
#include "support.hpp"

#include <algorithm>
#include <cmath>

#include "wu/cpu/optimiser.hpp"

namespace {

using wu::AdamW, wu::Index, wu::bfloat16;

/// The buffers of one run, of `start` at first; master weights and an average where they are wanted.
template <class T>
struct Run {
  using S = wu::accumulator_t<T>;
  static constexpr bool has_master = wu::AdamWBuffers<T>::has_master;

  wu::Buffer<T> values;
  wu::Buffer<S> master, first, second, average, gradients;

  explicit Run(const std::vector<double>& start, bool with_average = false)
      : values(count(start)),
        master(has_master ? count(start) : 0),
        first(count(start)),
        second(count(start)),
        average(with_average ? count(start) : 0),
        gradients(count(start)) {
    fill(buffers().weights(), start);
    std::ranges::transform(start, values.data(), [](double v) { return static_cast<T>(v); });
  }

  static Index count(const std::vector<double>& start) { return static_cast<Index>(start.size()); }
  static void fill(std::span<S> to, const std::vector<double>& from) {
    std::ranges::transform(from, to.begin(), [](double v) { return static_cast<S>(v); });
  }

  wu::AdamWBuffers<T> buffers() {
    return {.values = values.span(),
            .master = master.span(),
            .first = first.span(),
            .second = second.span(),
            .average = average.span(),
            .gradients = gradients.span()};
  }
  void step(auto& ctx, const std::vector<double>& gradient, const AdamW& rule, Index number) {
    fill(gradients.span(), gradient);
    adamw_update(ctx, buffers(), rule, number);
  }
  std::vector<double> weights() { return {buffers().weights().begin(), buffers().weights().end()}; }
};

void on_each_device(auto check) {
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

std::vector<double> doubles(const auto& buffer) { return {buffer.span().begin(), buffer.span().end()}; }

bool same(const auto& a, const auto& b) { return std::ranges::equal(a.span(), b.span()); }

/// Steps written out as in the paper, in double; and the average as the weighted mean that it is.
struct ByTheBook {
  std::vector<double> w, average;

  ByTheBook(std::vector<double> start, const std::vector<std::vector<double>>& gradients, const AdamW& rule)
      : w(std::move(start)), average(w.size()) {
    std::vector<double> m(w.size()), v(w.size());
    double weighing = 0;
    for (std::size_t t = 1; t <= gradients.size(); ++t) {
      weighing = rule.average_decay * weighing + 1;
      for (std::size_t k = 0; k < w.size(); ++k) {
        const double g = rule.gradient_scale * gradients[t - 1][k];
        m[k] = rule.beta1 * m[k] + (1 - rule.beta1) * g;
        v[k] = rule.beta2 * v[k] + (1 - rule.beta2) * g * g;
        const double m_hat = m[k] / (1 - std::pow(rule.beta1, t)), v_hat = v[k] / (1 - std::pow(rule.beta2, t));
        w[k] -= rule.rate * (m_hat / (std::sqrt(v_hat) + rule.epsilon) + rule.weight_decay * w[k]);
        average[k] = rule.average_decay * average[k] + w[k];
      }
    }
    for (double& a : average) a /= weighing;
  }
};

std::vector<std::vector<double>> some_gradients(Index n) {
  return {wu::test::random_values(n, "g1"), wu::test::random_values(n, "g2"), wu::test::random_values(n, "g3")};
}

}  // namespace

BOOST_AUTO_TEST_CASE(adamw_two_steps_by_hand) {
  // beta1 = beta2 = 1/2, rate 0.1, epsilon 2, weight decay 0.5, g = gradient / 2, from w = 1, m = v = 0:
  //   g =  2:  m = 1     v = 2   m / (1 - 1/2) =  2      v / (1 - 1/2) = 4   w = 1   - 0.1 ( 2   / (2 + 2) + 0.5 * 1  ) = 0.9
  //   g = -2:  m = -1/2  v = 3   m / (1 - 1/4) = -2/3    v / (1 - 1/4) = 4   w = 0.9 - 0.1 (-2/3 / (2 + 2) + 0.5 * 0.9) = 0.9 + 1/60 - 0.045
  // No other order of bias correction, epsilon and decay gives these. The average's decay is 1/2 too: the second weight counts
  // twice as much as the first.
  const AdamW rule{.rate = 0.1,
                   .beta1 = 0.5,
                   .beta2 = 0.5,
                   .epsilon = 2,
                   .weight_decay = 0.5,
                   .gradient_scale = 0.5,
                   .average_decay = 0.5};
  const double one = 0.9, two = 0.9 + 1. / 60 - 0.045;
  const auto check = [&]<class T>(T, auto& ctx, std::size_t n, double tolerance) {
    Run<T> run(std::vector<double>(n, 1), true);
    const auto all = [&](const std::vector<double>& values, double expected, double error) {
      return wu::test::relative_error(values, std::vector<double>(n, expected)) <= error;
    };
    run.step(ctx, std::vector<double>(n, 4), rule, 1);
    BOOST_CHECK(all(doubles(run.first), 1, tolerance) && all(doubles(run.second), 2, tolerance));
    BOOST_CHECK(all(run.weights(), one, tolerance) && all(doubles(run.average), one, tolerance));
    run.step(ctx, std::vector<double>(n, -4), rule, 2);
    BOOST_CHECK(all(doubles(run.first), -0.5, tolerance) && all(doubles(run.second), 3, tolerance));
    BOOST_CHECK(all(run.weights(), two, tolerance) && all(doubles(run.average), (one + 2 * two) / 3, tolerance));
    BOOST_CHECK(all(doubles(run.values), two, std::max(tolerance, run.has_master ? 4e-3 : 0.)));
  };
  on_each_device([&](auto& ctx) {
    for (const std::size_t n : {1u, 5u, 20011u}) {
      check(double{}, ctx, n, 1e-14);
      check(float{}, ctx, n, 1e-6);
      check(bfloat16{}, ctx, n, 1e-6);
    }
  });
}

BOOST_AUTO_TEST_CASE(adamw_follows_the_algorithm) {
  const AdamW rule{.rate = 0.01,
                   .beta1 = 0.8,
                   .beta2 = 0.95,
                   .epsilon = 1e-6,
                   .weight_decay = 0.1,
                   .gradient_scale = 0.3,
                   .average_decay = 0.7};
  for (const Index n : {7, 20011}) {
    const auto start = wu::test::random_values(n, "w");
    const auto gradients = some_gradients(n);
    const ByTheBook book(start, gradients, rule);
    const auto check = [&]<class T>(T, auto& ctx, double tolerance) {
      Run<T> run(start, true);
      for (std::size_t t = 0; t < gradients.size(); ++t) run.step(ctx, gradients[t], rule, static_cast<Index>(t) + 1);
      BOOST_CHECK_LE(wu::test::relative_error(run.weights(), book.w), tolerance);
      BOOST_CHECK_LE(wu::test::relative_error(doubles(run.average), book.average), tolerance);
      for (Index k = 0; k < n; ++k)
        BOOST_REQUIRE(run.values[k] == static_cast<T>(run.weights()[static_cast<std::size_t>(k)]));
    };
    on_each_device([&](auto& ctx) {
      check(double{}, ctx, 1e-13);
      check(float{}, ctx, 1e-5);
      check(bfloat16{}, ctx, 1e-5);
    });
  }
}

BOOST_AUTO_TEST_CASE(adamw_without_an_average_leaves_the_same_weights) {
  const AdamW rule{.average_decay = 0.9};
  on_each_device([&](auto& ctx) {
    const auto start = wu::test::random_values(20011, "w");
    Run<float> with(start, true), without(start);
    for (Index t = 1; t <= 3; ++t) {
      with.step(ctx, some_gradients(20011)[0], rule, t);
      without.step(ctx, some_gradients(20011)[0], rule, t);
    }
    BOOST_CHECK(same(with.values, without.values) && same(with.second, without.second));
  });
}

BOOST_AUTO_TEST_CASE(adamw_with_the_clip_factor_inside_is_clipping_first) {
  on_each_device([](auto& ctx) {
    const auto start = wu::test::random_values(20011, "w"), gradient = wu::test::random_values(20011, "g");
    Run<float> inside(start), first(start);
    first.fill(first.gradients.span(), gradient);
    const double factor = wu::clip_factor(std::sqrt(squared_norm(ctx, std::span<const float>(first.gradients.span()))), 0.5);
    BOOST_CHECK_LT(factor, 0.01);
    for (float& g : first.gradients.span()) g *= static_cast<float>(factor);
    adamw_update(ctx, first.buffers(), AdamW{}, 1);
    inside.step(ctx, gradient, {.gradient_scale = factor}, 1);
    BOOST_CHECK_LE(wu::test::relative_error(doubles(inside.first), doubles(first.first)), 1e-6);
    BOOST_CHECK_LE(wu::test::relative_error(doubles(inside.second), doubles(first.second)), 1e-6);
    BOOST_CHECK_LE(wu::test::relative_error(inside.weights(), first.weights()), 1e-6);
  });
}

BOOST_AUTO_TEST_CASE(clipped_adamw_clips_to_the_limit) {
  on_each_device([](auto& ctx) {
    const auto start = wu::test::random_values(20011, "w"), gradient = wu::test::random_values(20011, "g");
    const auto buffers_of = [&](Run<float>& run) { return run.fill(run.gradients.span(), gradient), run.buffers(); };
    Run<float> expected(start), run(start);
    const auto buffers = buffers_of(expected);
    const double norm = std::sqrt(squared_norm(ctx, buffers.gradients));
    for (const double limit : {0.5, 1e9}) {
      adamw_update(ctx, buffers, {.gradient_scale = 0.25 * wu::clip_factor(0.25 * norm, limit)}, 1);
      BOOST_CHECK_CLOSE_FRACTION(clipped_adamw_update(ctx, buffers_of(run), {.gradient_scale = 0.25}, 1, limit), 0.25 * norm,
                                 1e-12);
      BOOST_CHECK(same(run.values, expected.values) && same(run.first, expected.first) && same(run.second, expected.second));
    }
  });
}

BOOST_AUTO_TEST_CASE(clipped_adamw_changes_nothing_where_a_gradient_is_not_finite) {
  on_each_device([](auto& ctx) {
    const auto start = wu::test::random_values(101, "w");
    Run<bfloat16> run(start, true), before(start, true);
    for (const double wrong : {std::nan(""), HUGE_VAL}) {
      auto gradient = wu::test::random_values(101, "g");
      gradient[77] = wrong;
      run.fill(run.gradients.span(), gradient);
      BOOST_CHECK(!std::isfinite(clipped_adamw_update(ctx, run.buffers(), {.average_decay = 0.5}, 1, 1)));
      BOOST_CHECK(same(run.values, before.values) && same(run.master, before.master) && same(run.first, before.first) &&
                  same(run.second, before.second) && same(run.average, before.average));
    }
  });
}

BOOST_AUTO_TEST_CASE(adamw_sums_updates_that_bfloat16_would_lose) {
  // Around 1 a bfloat16 moves by 1/128 downwards and by 1/256 below 1; a step here is 1e-4.
  BOOST_CHECK(bfloat16(1.0f - 1e-4f) == bfloat16(1.0f));
  on_each_device([](auto& ctx) {
    Run<bfloat16> run({1, 1, 1});
    for (Index step = 1; step <= 1000; ++step) run.step(ctx, {1, 1, 1}, {.rate = 1e-4}, step);
    for (Index k = 0; k < 3; ++k) {
      BOOST_CHECK_CLOSE(run.master[k], 0.9f, 1e-2f);
      BOOST_CHECK(run.values[k] == bfloat16(run.master[k]));
    }
  });
}

BOOST_AUTO_TEST_CASE(adamw_first_step_has_the_length_of_the_rate) {
  on_each_device([](auto& ctx) {
    Run<double> run({1, 1, 1});
    run.step(ctx, {1e-3, -5, 100}, {.rate = 0.25}, 1);
    BOOST_CHECK_LE(wu::test::relative_error(run.weights(), std::vector<double>{0.75, 1.25, 0.75}), 1e-5);
  });
}

BOOST_AUTO_TEST_CASE(adamw_decays_what_has_no_gradient) {
  on_each_device([](auto& ctx) {
    Run<double> run({8, -8});
    run.step(ctx, {0, 0}, {.rate = 0.5, .weight_decay = 0.25}, 1);
    BOOST_CHECK_CLOSE(run.values[0], 7, 1e-12);
    BOOST_CHECK_CLOSE(run.values[1], -7, 1e-12);
  });
}

BOOST_AUTO_TEST_CASE(adamw_gives_the_same_bits_on_any_number_of_threads) {
  const auto check = []<class T>(T) {
    const auto start = wu::test::random_values(20011, "w");
    const auto run = [&](int threads) {
      wu::cpu::Context ctx({.threads = threads});
      Run<T> result(start, true);
      for (Index t = 1; t <= 3; ++t)
        result.step(ctx, some_gradients(20011)[static_cast<std::size_t>(t - 1)], {.average_decay = 0.9}, t);
      return result;
    };
    const auto once = run(1);
    for (const int threads : {2, 3}) {
      const auto again = run(threads);
      BOOST_CHECK(same(again.values, once.values) && same(again.master, once.master) && same(again.average, once.average));
      BOOST_CHECK(same(again.first, once.first) && same(again.second, once.second));
    }
  };
  check(float{});
  check(bfloat16{});
}

BOOST_AUTO_TEST_CASE(adamw_refuses_buffers_that_do_not_fit) {
  // Once few values and once so many that they would be split.
  const auto check = []<class T>(T, auto& ctx, std::size_t n) {
    Run<T> run(std::vector<double>(n, 1), true);
    const std::size_t masters = run.master.span().size();
    const auto refuses = [&](const wu::AdamWBuffers<T>& to, Index step) {
      const std::string expected = wu::message(
          "adamw: expected two moments and gradients for ", n, " values, ", masters,
          " master weights, an average of as many values or none, and a step from 1, found ", to.first.size(), ", ",
          to.second.size(), ", ", to.gradients.size(), ", ", to.master.size(), ", ", to.average.size(), " and step ", step);
      BOOST_CHECK_EXCEPTION(adamw_update(ctx, to, AdamW{}, step), wu::ShapeError, wu::test::says(expected));
    };
    const auto whole = run.buffers();
    refuses(whole, 0);
    auto wrong = whole;
    wrong.first = whole.first.subspan(1), refuses(wrong, 1);
    wrong = whole, wrong.second = whole.second.subspan(1), refuses(wrong, 1);
    wrong = whole, wrong.gradients = whole.gradients.subspan(1), refuses(wrong, 1);
    wrong = whole, wrong.average = whole.average.subspan(1), refuses(wrong, 1);
    wrong = whole, wrong.master = whole.first.first(n - masters),
    refuses(wrong, 1);  // none, or some for those that are their own
    for (const double decay : {-0.1, 1.0, std::nan("")})
      BOOST_CHECK_EXCEPTION(
          adamw_update(ctx, whole, {.average_decay = decay}, 1), wu::Error,
          wu::test::says(wu::message("adamw: expected an average's decay from 0 to below 1, found ", decay)));
    BOOST_CHECK(std::ranges::all_of(run.values.span(), [](T v) { return v == T(1); }));
    BOOST_CHECK(run.weights() == std::vector<double>(n, 1));
  };
  on_each_device([&](auto& ctx) {
    for (const std::size_t n : {5u, 20011u}) check(float{}, ctx, n), check(bfloat16{}, ctx, n);
  });
}

BOOST_AUTO_TEST_CASE(adamw_of_nothing) {
  on_each_device([](auto& ctx) {
    Run<float> run({});
    adamw_update(ctx, run.buffers(), AdamW{}, 1);
    BOOST_CHECK(run.weights().empty());
  });
}
