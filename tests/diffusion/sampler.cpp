// diffusion/sampler.hpp against a path whose velocity is known: x_0 ~ N(0, I), x_1 ~ N(m, S) independent of it. The marginal
// velocity E[x_1 - x_0 | x_t = x] of normal variables is linear in x:
//     u(x, t) = m + (t S - (1 - t) I) C_t^{-1} (x - t m),        C_t = (1 - t)^2 I + t^2 S
// Along it a point starts at x_0 and ends at m + S^{1/2} x_0, so normal points end with mean m and covariance S.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include "support/gradient_check.hpp"
#include "wu/diffusion/sampler.hpp"

namespace {

using namespace wu;
using Points = View<double, dyn, 2>;
reference ctx;

/// A symmetric 2 x 2 matrix [a b; b c].
struct Symmetric {
  double a, b, c;
};

constexpr std::array<double, 2> m{1.5, -0.75};
constexpr Symmetric S{2, 0.9, 0.7};  // correlation 0.76

/// The velocity above, for points x at time t.
void velocity(Points v, View<const double, dyn, 2> x, double t) {
  const double p = (1 - t) * (1 - t), q = t * t;
  const Symmetric C{p + q * S.a, q * S.b, p + q * S.c};
  const double det = C.a * C.c - C.b * C.b;
  const Symmetric M{t * S.a - (1 - t), t * S.b, t * S.c - (1 - t)};
  for (Index r = 0; r < x.rows(); ++r) {
    const double dx = x[2 * r] - t * m[0], dy = x[2 * r + 1] - t * m[1];
    const double solved_x = (C.c * dx - C.b * dy) / det, solved_y = (C.a * dy - C.b * dx) / det;
    v[2 * r] = m[0] + M.a * solved_x + M.b * solved_y;
    v[2 * r + 1] = m[1] + M.b * solved_x + M.c * solved_y;
  }
}

/// Since u is linear in x, so is the whole way: x_1 = shift + map x_0. Found from where 0 and the unit vectors end.
struct Affine {
  std::array<double, 2> shift;
  std::array<double, 4> map;  // row-major
  /// Covariance of the end points of x_0 ~ N(0, I).
  Symmetric covariance() const {
    return {map[0] * map[0] + map[1] * map[1], map[0] * map[2] + map[1] * map[3], map[2] * map[2] + map[3] * map[3]};
  }
};
Affine follow(Index steps) {
  std::vector<double> x{0, 0, 1, 0, 0, 1};
  Workspace ws;
  diffusion::sample_euler(ctx, ws, Points(x.data(), 3), steps, velocity);
  return {{x[0], x[1]}, {x[2] - x[0], x[4] - x[0], x[3] - x[1], x[5] - x[1]}};
}

double largest_difference(const Symmetric& x, const Symmetric& y) {
  return std::max({std::fabs(x.a - y.a), std::fabs(x.b - y.b), std::fabs(x.c - y.c)});
}

}  // namespace

BOOST_AUTO_TEST_CASE(normal_points_arrive_at_the_target_distribution) {
  constexpr Index n = 20000, steps = 200;
  std::vector<double> x(2 * n);
  Random random(test::seed, "points");
  for (double& v : x) v = random.normal();
  Workspace ws;
  diffusion::sample_euler(ctx, ws, Points(x.data(), n), steps, velocity);

  std::array<double, 2> mean{};
  for (Index k = 0; k < 2 * n; ++k) mean[static_cast<std::size_t>(k % 2)] += x[static_cast<std::size_t>(k)] / n;
  Symmetric found{0, 0, 0};
  for (std::size_t k = 0; k < x.size(); k += 2) {
    const double dx = x[k] - mean[0], dy = x[k + 1] - mean[1];
    found.a += dx * dx / (n - 1), found.b += dx * dy / (n - 1), found.c += dy * dy / (n - 1);
  }
  // Two errors add up: chance, of which four standard errors are allowed -- sqrt(S_ii / n) for a mean and
  // sqrt((S_ii S_jj + S_ij^2) / n) for a covariance -- and Euler's, at most 0.03 with so many steps (checked below).
  const auto allowed = [](double variance) { return 4 * std::sqrt(variance / n) + 0.03; };
  BOOST_CHECK_SMALL(mean[0] - m[0], allowed(S.a));
  BOOST_CHECK_SMALL(mean[1] - m[1], allowed(S.c));
  BOOST_CHECK_SMALL(found.a - S.a, allowed(2 * S.a * S.a));
  BOOST_CHECK_SMALL(found.b - S.b, allowed(S.a * S.c + S.b * S.b));
  BOOST_CHECK_SMALL(found.c - S.c, allowed(2 * S.c * S.c));
}

BOOST_AUTO_TEST_CASE(the_error_falls_in_proportion_to_the_step) {
  double before = 0;
  for (const Index steps : {50, 100, 200, 400}) {
    const Affine way = follow(steps);
    const double error = largest_difference(way.covariance(), S);
    BOOST_TEST_CONTEXT(steps << " steps, error " << error) {
      if (steps == 200) BOOST_CHECK_LT(error, 0.03);
      if (before > 0) {
        BOOST_CHECK_GT(before / error, 1.85);
        BOOST_CHECK_LT(before / error, 2.15);
      }
      // From 0, which is the mean, every step goes along m: nothing is lost on the way.
      BOOST_CHECK_SMALL(way.shift[0] - m[0], 1e-13);
      BOOST_CHECK_SMALL(way.shift[1] - m[1], 1e-13);
    }
    before = error;
  }
  // The limit is not only some root of S but the symmetric one.
  const Affine way = follow(100000);
  const double det = std::sqrt(S.a * S.c - S.b * S.b), trace = std::sqrt(S.a + S.c + 2 * det);
  BOOST_CHECK_SMALL(way.map[0] - (S.a + det) / trace, 1e-4);
  BOOST_CHECK_SMALL(way.map[1] - S.b / trace, 1e-4);
  BOOST_CHECK_SMALL(way.map[2] - S.b / trace, 1e-4);
  BOOST_CHECK_SMALL(way.map[3] - (S.c + det) / trace, 1e-4);
}

BOOST_AUTO_TEST_CASE(a_straight_way_takes_one_step) {
  std::vector<double> x{0.25, -1}, target{3, 5};
  const std::vector<double> start = x;
  Workspace ws;
  diffusion::sample_euler(ctx, ws, Points(x.data(), 1), 1, [&](Points v, View<const double, dyn, 2> at, double t) {
    BOOST_CHECK_EQUAL(t, 0);
    for (Index k = 0; k < 2; ++k) v[k] = target[static_cast<std::size_t>(k)] - at[k];
  });
  BOOST_CHECK(x == target);
}

BOOST_AUTO_TEST_CASE(times_are_visited_in_order_and_the_end_is_not) {
  std::vector<float> x(3);
  std::vector<double> times;
  Workspace ws;
  diffusion::sample_euler(ctx, ws, View<float, 3>(x.data()), 4, [&](View<float, 3> v, View<const float, 3>, double t) {
    times.push_back(t);
    for (float& value : v) value = 1;
  });
  BOOST_CHECK((times == std::vector<double>{0, 0.25, 0.5, 0.75}));
  BOOST_CHECK((x == std::vector<float>{1, 1, 1}));
}

BOOST_AUTO_TEST_CASE(memory_is_given_back) {
  std::vector<double> x(6, 1);
  Workspace ws(4096);
  for (int run = 0; run < 100; ++run) diffusion::sample_euler(ctx, ws, Points(x.data(), 3), 2, velocity);
  BOOST_CHECK_EQUAL(ws.allocations(), 1u);
  BOOST_CHECK_LE(ws.peak_bytes(), 64u);
  std::size_t calls = 0;
  BOOST_CHECK_THROW(diffusion::sample_euler(ctx, ws, Points(x.data(), 3), 2,
                                            [&](auto...) {
                                              ++calls;
                                              throw Error("no velocity");
                                            }),
                    Error);
  BOOST_CHECK_EQUAL(calls, 1u);
  BOOST_CHECK_LE(ws.peak_bytes(), 64u);
}

BOOST_AUTO_TEST_CASE(no_steps_are_refused) {
  std::vector<double> x{1, 2};
  Workspace ws;
  for (const Index steps : {Index{0}, Index{-3}}) {
    const std::string sentence = message("sampler: expected at least one step, found ", steps);
    BOOST_CHECK_EXCEPTION(diffusion::sample_euler(ctx, ws, Points(x.data(), 1), steps, velocity), ShapeError,
                          [&](const ShapeError& e) { return e.what() == sentence; });
  }
  BOOST_CHECK((x == std::vector<double>{1, 2}));
}
