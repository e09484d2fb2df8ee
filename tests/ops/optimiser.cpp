// ops/adamw.hpp, ops/clip.hpp and the CPU's versions.
#include "support.hpp"

#include <limits>

#include "wu/cpu/cpu.hpp"

namespace {

using wu::Index, wu::AdamW;

void on_each_device(auto check) {
  wu::reference reference;
  check(reference);
  wu::cpu::Context cpu({.threads = 2});
  check(cpu);
}

/// Three steps written out as in the paper, in double.
std::vector<double> by_the_book(std::vector<double> w, const std::vector<std::vector<double>>& gradients,
                                const AdamW& rule) {
  std::vector<double> m(w.size()), v(w.size());
  for (std::size_t t = 1; t <= gradients.size(); ++t)
    for (std::size_t k = 0; k < w.size(); ++k) {
      const double g = gradients[t - 1][k];
      m[k] = rule.beta1 * m[k] + (1 - rule.beta1) * g;
      v[k] = rule.beta2 * v[k] + (1 - rule.beta2) * g * g;
      const double m_hat = m[k] / (1 - std::pow(rule.beta1, t)), v_hat = v[k] / (1 - std::pow(rule.beta2, t));
      w[k] -= rule.rate * (m_hat / (std::sqrt(v_hat) + rule.epsilon) + rule.weight_decay * w[k]);
    }
  return w;
}

template <class T, class S>
std::vector<double> run(auto& ctx, const std::vector<double>& start, const std::vector<std::vector<double>>& gradients,
                        const AdamW& rule) {
  auto w = wu::test::cast<T>(start);
  std::vector<S> m(w.size()), v(w.size());
  for (std::size_t t = 0; t < gradients.size(); ++t) {
    const auto g = wu::test::cast<T>(gradients[t]);
    adamw_update(ctx, std::span<T>(w), std::span<S>(m), std::span<S>(v), std::span<const T>(g), rule,
                 static_cast<Index>(t) + 1);
  }
  return wu::test::widen(w);
}

}  // namespace

BOOST_AUTO_TEST_CASE(adamw_follows_the_algorithm) {
  AdamW rule;
  rule.rate = 0.01, rule.beta1 = 0.8, rule.beta2 = 0.95, rule.epsilon = 1e-6, rule.weight_decay = 0.1;
  for (const Index n : {7, 20011}) {
    const auto start = wu::test::random_values(n, "w");
    const std::vector<std::vector<double>> g{wu::test::random_values(n, "g1"), wu::test::random_values(n, "g2"),
                                             wu::test::random_values(n, "g3")};
    const auto expected = by_the_book(start, g, rule);
    on_each_device([&](auto& ctx) {
      BOOST_CHECK_LE(wu::test::relative_error(run<double, double>(ctx, start, g, rule), expected), 1e-13);
      BOOST_CHECK_LE(wu::test::relative_error(run<float, float>(ctx, start, g, rule), expected), 1e-5);
      BOOST_CHECK_LE(wu::test::relative_error(run<wu::bfloat16, float>(ctx, start, g, rule), expected), 3e-2);
    });
  }
}

BOOST_AUTO_TEST_CASE(adamw_first_step_has_the_length_of_the_rate) {
  on_each_device([](auto& ctx) {
    AdamW rule;
    rule.rate = 0.25;
    const auto w = run<double, double>(ctx, {1, 1, 1}, {{1e-3, -5, 100}}, rule);
    const std::vector<double> expected{0.75, 1.25, 0.75};
    BOOST_CHECK_LE(wu::test::relative_error(w, expected), 1e-5);
  });
}

BOOST_AUTO_TEST_CASE(adamw_decays_what_has_no_gradient) {
  on_each_device([](auto& ctx) {
    AdamW rule;
    rule.rate = 0.5, rule.weight_decay = 0.25;
    const auto w = run<double, double>(ctx, {8, -8}, {{0, 0}}, rule);
    BOOST_CHECK_CLOSE(w[0], 7, 1e-12);
    BOOST_CHECK_CLOSE(w[1], -7, 1e-12);
  });
}

BOOST_AUTO_TEST_CASE(adamw_refuses_buffers_of_another_size_and_step_zero) {
  on_each_device([](auto& ctx) {
    std::vector<float> w(5), m(5), v(5), g(5);
    auto call = [&](std::size_t moments, std::size_t gradients, Index step) {
      adamw_update(ctx, std::span(w), std::span(m).first(moments), std::span(v), std::span<const float>(g).first(gradients),
                   AdamW{}, step);
    };
    const std::string start = "adamw: expected moments and gradients for 5 values and a step from 1, found ";
    BOOST_CHECK_EXCEPTION(call(5, 5, 0), wu::ShapeError, wu::test::says(start + "5, 5, 5 and step 0"));
    BOOST_CHECK_EXCEPTION(call(5, 4, 1), wu::ShapeError, wu::test::says(start + "5, 5, 4 and step 1"));
    BOOST_CHECK_EXCEPTION(call(4, 5, 1), wu::ShapeError, wu::test::says(start + "4, 5, 5 and step 1"));
  });
}

BOOST_AUTO_TEST_CASE(clip_norm_shortens_what_is_too_long) {
  on_each_device([](auto& ctx) {
    std::vector<float> x{3, 0, -4};
    BOOST_CHECK_CLOSE(clip_norm(ctx, std::span(x), 10), 5, 1e-6);
    BOOST_CHECK(x == (std::vector<float>{3, 0, -4}));
    BOOST_CHECK_CLOSE(clip_norm(ctx, std::span(x), 0.5), 5, 1e-6);
    BOOST_CHECK_CLOSE(x[0], 0.3f, 1e-4f);
    BOOST_CHECK_CLOSE(x[2], -0.4f, 1e-4f);
    BOOST_CHECK_EQUAL(x[1], 0);
  });
}

BOOST_AUTO_TEST_CASE(squared_norm_sums_in_double_and_repeats_itself) {
  on_each_device([](auto& ctx) {
    const std::vector<float> x(1 << 20, 0.1f);
    const double expected = static_cast<double>(0.1f) * static_cast<double>(0.1f) * (1 << 20),
                 found = squared_norm(ctx, std::span<const float>(x));
    BOOST_CHECK_CLOSE(found, expected, 1e-8);
    for (int i = 0; i < 20; ++i) BOOST_REQUIRE_EQUAL(squared_norm(ctx, std::span<const float>(x)), found);
    const auto r = wu::test::random_values(20011, "x");
    BOOST_CHECK_CLOSE(squared_norm(ctx, std::span<const double>(r)), wu::test::dot(r, r), 1e-10);
  });
}

BOOST_AUTO_TEST_CASE(squared_norm_shows_what_is_not_finite) {
  on_each_device([](auto& ctx) {
    for (const std::size_t at : {0u, 10000u, 20010u}) {
      std::vector<float> x(20011, 1);
      x[at] = std::numeric_limits<float>::quiet_NaN();
      BOOST_CHECK(std::isnan(squared_norm(ctx, std::span<const float>(x))));
      x[at] = -std::numeric_limits<float>::infinity();
      BOOST_CHECK(std::isinf(squared_norm(ctx, std::span<const float>(x))));
    }
  });
}

BOOST_AUTO_TEST_CASE(scale_multiplies) {
  on_each_device([](auto& ctx) {
    for (const Index n : {7, 20011}) {
      const auto start = wu::test::random_values(n, "x");
      auto x = start;
      scale(ctx, std::span(x), 0.25);
      for (std::size_t k = 0; k < x.size(); ++k) BOOST_REQUIRE_EQUAL(x[k], start[k] / 4);
    }
  });
}
