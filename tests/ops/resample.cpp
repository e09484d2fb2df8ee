// ops/resample.hpp and cpu/resample.hpp.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "support/gradient_check.hpp"
#include "wu/cpu/resample.hpp"

namespace {

using wu::Index, wu::View, wu::dyn;
using wu::test::dot, wu::test::poisoned, wu::test::random_values, wu::test::relative_error;

template <class T, Index C>
using Picture = View<T, dyn, dyn, dyn, C>;

struct Size {
  Index batch, height, width, factor;  // of the coarse picture
  Index coarse() const { return batch * height * width; }
  Index fine() const { return coarse() * factor * factor; }
};
std::vector<Size> sizes() {
  std::vector<Size> all;
  for (const Index factor : {1, 2, 3, 4, 7})
    for (const auto& [height, width] : {std::pair<Index, Index>{3, 5}, {1, 2}, {5, 1}, {1, 1}, {2, 3}})
      all.push_back({3, height, width, factor});
  return all;
}

template <Index C, class T>
Picture<T, C> coarse(std::vector<T>& v, const Size& s) {
  return {v.data(), std::array<Index, 3>{s.batch, s.height, s.width}};
}
template <Index C, class T>
Picture<const T, C> coarse(const std::vector<T>& v, const Size& s) {
  return {v.data(), std::array<Index, 3>{s.batch, s.height, s.width}};
}
template <Index C, class T>
Picture<T, C> fine(std::vector<T>& v, const Size& s) {
  return {v.data(), std::array<Index, 3>{s.batch, s.height * s.factor, s.width * s.factor}};
}
template <Index C, class T>
Picture<const T, C> fine(const std::vector<T>& v, const Size& s) {
  return {v.data(), std::array<Index, 3>{s.batch, s.height * s.factor, s.width * s.factor}};
}

/// Forward and backward of both on coarse values c and fine ones f.
template <Index C, class T>
std::array<std::vector<T>, 4> run_all(auto& ctx, const std::vector<T>& c, const std::vector<T>& f, const Size& s) {
  const auto poison = [](const auto& like) { return std::vector<T>(like.size(), static_cast<T>(NAN)); };
  std::array<std::vector<T>, 4> r{poison(f), poison(c), poison(f), poison(c)};
  upsample_forward(ctx, fine<C>(r[0], s), coarse<C>(c, s));
  upsample_backward(ctx, coarse<C>(r[1], s), fine<C>(f, s));
  pool_backward(ctx, fine<C>(r[2], s), coarse<C>(c, s));
  pool_forward(ctx, coarse<C>(r[3], s), fine<C>(f, s));
  return r;
}
template <class T>
std::vector<T> random_as(Index n, const char* name) {
  const auto v = random_values(n, name);
  return std::vector<T>(v.begin(), v.end());
}

/// Runs f(context) on the reference and on two threads.
void on_both(auto&& f) {
  wu::reference reference;
  f(reference);
  wu::cpu::Context cpu({.threads = 2});
  f(cpu);
}

}  // namespace

// Linear maps: <forward(x), y> == <x, backward(y)> for random x and y says that backward is forward's transpose.
BOOST_AUTO_TEST_CASE(resample_backward_is_the_transpose) {
  constexpr Index C = 2;
  on_both([](auto& ctx) {
    for (const Size& s : sizes()) BOOST_TEST_CONTEXT(s.height << " x " << s.width << ", factor " << s.factor) {
        const auto c = random_values(s.coarse() * C, "coarse"), f = random_values(s.fine() * C, "fine");
        auto up = poisoned(s.fine() * C), spread = up, down = poisoned(s.coarse() * C), gathered = down;
        upsample_forward(ctx, fine<C>(up, s), coarse<C>(c, s));
        upsample_backward(ctx, coarse<C>(gathered, s), fine<C>(f, s));
        BOOST_CHECK_SMALL(dot(up, f) - dot(c, gathered), 1e-11);
        pool_forward(ctx, coarse<C>(down, s), fine<C>(f, s));
        pool_backward(ctx, fine<C>(spread, s), coarse<C>(c, s));
        BOOST_CHECK_SMALL(dot(down, c) - dot(f, spread), 1e-11);
      }
  });
}

BOOST_AUTO_TEST_CASE(pool_and_upsample_gradients) {
  constexpr Index C = 2;
  on_both([](auto& ctx) {
    for (const Size& s : sizes()) {
      if (s.factor == 7) continue;
      BOOST_TEST_CONTEXT(s.height << " x " << s.width << ", factor " << s.factor) {
        auto small = random_values(s.coarse() * C, "coarse"), large = random_values(s.fine() * C, "fine");
        const auto dsmall = random_values(s.coarse() * C, "dcoarse"), dlarge = random_values(s.fine() * C, "dfine");
        auto up = poisoned(s.fine() * C), spread = up, down = poisoned(s.coarse() * C), gathered = down;
        pool_backward(ctx, fine<C>(spread, s), coarse<C>(dsmall, s));
        wu::test::check_gradient(
            "pool, fine", large, spread,
            [&] {
              pool_forward(ctx, coarse<C>(down, s), fine<C>(std::as_const(large), s));
              return dot(down, dsmall);
            },
            1e-7, 60);
        upsample_backward(ctx, coarse<C>(gathered, s), fine<C>(dlarge, s));
        wu::test::check_gradient(
            "upsample, coarse", small, gathered,
            [&] {
              upsample_forward(ctx, fine<C>(up, s), coarse<C>(std::as_const(small), s));
              return dot(up, dlarge);
            },
            1e-7, 60);
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(pool_is_the_mean_of_each_square) {
  constexpr Index C = 3;
  on_both([](auto& ctx) {
    for (const Size& s : sizes()) {
      const auto f = random_values(s.fine() * C, "fine");
      auto down = poisoned(s.coarse() * C);
      pool_forward(ctx, coarse<C>(down, s), fine<C>(f, s));
      for (Index b = 0; b < s.batch; ++b)
        for (Index h = 0; h < s.height; ++h)
          for (Index w = 0; w < s.width; ++w)
            for (Index c = 0; c < C; ++c) {
              double mean = 0;
              for (Index i = 0; i < s.factor; ++i)
                for (Index j = 0; j < s.factor; ++j)
                  mean += f[static_cast<std::size_t>(
                      ((b * s.height * s.factor + h * s.factor + i) * s.width * s.factor + w * s.factor + j) * C + c)];
              mean /= static_cast<double>(s.factor * s.factor);
              BOOST_REQUIRE_SMALL(down[static_cast<std::size_t>(((b * s.height + h) * s.width + w) * C + c)] - mean, 1e-13);
            }
    }
  });
}

// At fine position p the coarse position is (p + 1/2) / F - 1/2, kept within the outermost middles; along both axes.
BOOST_AUTO_TEST_CASE(upsample_is_bilinear_between_the_middles) {
  constexpr Index C = 3;
  on_both([](auto& ctx) {
    for (const Size& s : sizes()) {
      const auto c = random_values(s.coarse() * C, "coarse");
      auto up = poisoned(s.fine() * C);
      upsample_forward(ctx, fine<C>(up, s), coarse<C>(c, s));
      const auto place = [&](Index p, Index size) {
        return std::clamp((static_cast<double>(p) + 0.5) / static_cast<double>(s.factor) - 0.5, 0.0,
                          static_cast<double>(size - 1));
      };
      const auto hat = [](double at, Index k) { return std::max(0.0, 1 - std::fabs(at - static_cast<double>(k))); };
      for (Index k = 0; k < s.fine() * C; ++k) {
        const Index channel = k % C, w = k / C % (s.width * s.factor),
                    h = k / C / (s.width * s.factor) % (s.height * s.factor);
        const Index b = k / C / (s.width * s.factor) / (s.height * s.factor);
        double expected = 0;
        for (Index i = 0; i < s.height; ++i)
          for (Index j = 0; j < s.width; ++j)
            expected += hat(place(h, s.height), i) * hat(place(w, s.width), j) *
                        c[static_cast<std::size_t>(((b * s.height + i) * s.width + j) * C + channel)];
        BOOST_REQUIRE_SMALL(up[static_cast<std::size_t>(k)] - expected, 1e-13);
      }
    }
  });
}

// A picture of one value stays one value, and pooling an upsampled ramp keeps its mean.
BOOST_AUTO_TEST_CASE(resample_keeps_constants) {
  constexpr Index C = 1;
  on_both([](auto& ctx) {
    for (const Size& s : sizes()) {
      const std::vector<double> c(static_cast<std::size_t>(s.coarse()), 3.25);
      auto up = poisoned(s.fine()), down = poisoned(s.coarse());
      upsample_forward(ctx, fine<C>(up, s), coarse<C>(c, s));
      for (const double v : up) BOOST_REQUIRE_SMALL(v - 3.25, 1e-14);
      pool_forward(ctx, coarse<C>(down, s), fine<C>(up, s));
      for (const double v : down) BOOST_REQUIRE_SMALL(v - 3.25, 1e-13);
    }
  });
}

BOOST_AUTO_TEST_CASE(resample_cpu_equals_reference_on_any_number_of_threads) {
  constexpr Index C = 37;
  wu::reference reference;
  wu::cpu::Context cpu({.threads = 2}), three({.threads = 3});
  for (const Size& s : sizes()) BOOST_TEST_CONTEXT(s.height << " x " << s.width << ", factor " << s.factor) {
      const auto check = [&](auto zero, double tolerance) {
        using T = decltype(zero);
        const auto c = random_as<T>(s.coarse() * C, "coarse"), f = random_as<T>(s.fine() * C, "fine");
        const auto a = run_all<C>(reference, c, f, s), b = run_all<C>(cpu, c, f, s);
        for (std::size_t k = 0; k < 4; ++k) BOOST_CHECK_SMALL(relative_error(b[k], a[k]), tolerance);
        const auto again = run_all<C>(three, c, f, s);
        for (std::size_t k = 0; k < 4; ++k) BOOST_CHECK(std::ranges::equal(again[k], b[k]));
      };
      check(float{}, 1e-5), check(wu::bfloat16{}, 1e-2);
    }
}

BOOST_AUTO_TEST_CASE(resample_refuses_grids_that_are_no_multiple) {
  on_both([](auto& ctx) {
    std::vector<double> c(2 * 2 * 3, 1.0), f(2 * 4 * 9, 1.0);
    const Picture<double, 1> small(c.data(), 2, 2, 3), stretched(f.data(), 2, 4, 9), other_batch(f.data(), 1, 4, 6);
    const auto says = [](std::string wanted) {
      return [wanted](const wu::ShapeError& e) { return std::string(e.what()) == wanted; };
    };
    const std::string text = ": expected a fine grid that is a whole multiple of the coarse 2 x 3, found 4 x 9";
    BOOST_CHECK_EXCEPTION(pool_forward(ctx, small, stretched), wu::ShapeError, says("pool" + text));
    BOOST_CHECK_EXCEPTION(pool_backward(ctx, stretched, small), wu::ShapeError, says("pool backward" + text));
    BOOST_CHECK_EXCEPTION(upsample_forward(ctx, stretched, small), wu::ShapeError, says("upsample" + text));
    BOOST_CHECK_EXCEPTION(upsample_backward(ctx, small, stretched), wu::ShapeError, says("upsample backward" + text));
    BOOST_CHECK_EXCEPTION(pool_forward(ctx, small, other_batch), wu::ShapeError, says("pool: expected 2 pictures, found 1"));
    for (const auto* values : {&c, &f})
      for (const double v : *values) BOOST_REQUIRE_EQUAL(v, 1.0);
  });
}
