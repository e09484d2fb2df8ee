// train/schedule.hpp and train/training.hpp, on a linear regression: y = x W^T + b with known W and b.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstring>
#include <limits>

#include "io/support.hpp"
#include "support/gradient_check.hpp"
#include "wu/io/parameters.hpp"
#include "wu/nn/initialise.hpp"
#include "wu/nn/linear.hpp"
#include "wu/ops/losses.hpp"
#include "wu/train/training.hpp"

namespace {

using namespace wu;
constexpr Index In = 5, Out = 3, rows = 8;
using Module = Linear<In, Out>;
template <class T>
using Run = train::Training<Module, T>;

/// A problem whose batches are keyed by the step, as a run that can be resumed needs them.
struct Regression {
  Weights<Module, double> truth;
  reference ctx;
  Regression() {
    fill_normal(truth.view().weight, test::seed, "truth.weight", 0.5);
    fill_normal(truth.view().bias, test::seed, "truth.bias", 0.5);
  }

  /// Adds the gradient of the mean squared error over rows first .. first + count - 1 of a step's batch, and returns the error.
  template <class T>
  double compute(const auto& p, const auto& dp, Index step, Index first = 0, Index count = rows) {
    Random random(test::seed, "batch", static_cast<std::uint64_t>(step));
    std::vector<double> all(static_cast<std::size_t>(rows * In)), target(static_cast<std::size_t>(count * Out));
    for (double& v : all) v = random.normal();
    linear_forward(ctx, View<double, dyn, Out>(target.data(), count),
                   View<const double, dyn, In>(all.data() + first * In, count), truth.frozen().weight, truth.frozen().bias);
    const std::vector<T> x(all.begin() + first * In, all.begin() + (first + count) * In),
        wanted(target.begin(), target.end());
    std::vector<T> y(wanted.size()), dy(wanted.size());
    const View<const T, dyn, In> vx(x.data(), count);
    const View<T, dyn, Out> vy(y.data(), count), vdy(dy.data(), count);
    linear_forward(ctx, vy, vx, p.weight, p.bias);
    double error = 0;
    const View<const T, dyn, Out> vwanted(wanted.data(), count);
    mse_forward(ctx, View<double, dyn>(&error, 1), vy, vwanted);
    const double whole = 1;
    mse_backward(ctx, vdy, vy, vwanted, std::span(&whole, 1));
    linear_backward(ctx, View<T, dyn, In>(), dp.weight, dp.bias, vdy, vx, p.weight);
    return error;
  }
  template <class T>
  auto whole_batches() {
    return [this](const auto& p, const auto& dp, Index step, Index) { return this->template compute<T>(p, dp, step); };
  }
};

train::Options options(Index steps) {
  train::Options o;
  o.schedule = {.peak = 0.05, .warmup = 5, .steps = steps, .last_fraction = 0.01};
  return o;
}

template <class T>
bool same_bytes(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

/// All that a run is: values, both moments, the number of steps.
template <class T>
struct Snapshot {
  Weights<Module, T> values;
  Weights<Module, float> first, second;
  Index step;
  explicit Snapshot(const Run<T>& run)
      : values(run.values.clone()), first(run.first.clone()), second(run.second.clone()), step(run.step) {}
  bool equals(const Run<T>& run) const {
    return same_bytes(values.flat(), run.values.flat()) && same_bytes(first.flat(), run.first.flat()) &&
           same_bytes(second.flat(), run.second.flat()) && step == run.step;
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_rate_rises_in_a_line_and_falls_as_half_a_cosine) {
  const train::Schedule schedule{.peak = 0.8, .warmup = 4, .steps = 104, .last_fraction = 0.25};
  for (Index step = 1; step <= 4; ++step) BOOST_CHECK_CLOSE(schedule.rate(step), 0.2 * static_cast<double>(step), 1e-12);
  BOOST_CHECK_CLOSE(schedule.rate(4 + 25), 0.2 + 0.6 * (1 + std::sqrt(0.5)) / 2, 1e-12);
  BOOST_CHECK_CLOSE(schedule.rate(4 + 50), (0.8 + 0.2) / 2, 1e-12);
  BOOST_CHECK_CLOSE(schedule.rate(4 + 75), 0.2 + 0.6 * (1 - std::sqrt(0.5)) / 2, 1e-12);
  BOOST_CHECK_CLOSE(schedule.rate(104), 0.2, 1e-12);
  BOOST_CHECK_CLOSE(schedule.rate(1000), 0.2, 1e-12);
  for (Index step = 5; step <= 104; ++step) BOOST_CHECK_LT(schedule.rate(step), schedule.rate(step - 1));
}

BOOST_AUTO_TEST_CASE(a_schedule_may_have_no_warm_up_or_nothing_else) {
  const train::Schedule falling{.peak = 0.8, .warmup = 0, .steps = 2, .last_fraction = 0.5};
  BOOST_CHECK_CLOSE(falling.rate(1), 0.6, 1e-12);
  BOOST_CHECK_CLOSE(falling.rate(2), 0.4, 1e-12);
  const train::Schedule rising{.peak = 0.8, .warmup = 4, .steps = 4, .last_fraction = 0.5};
  BOOST_CHECK_CLOSE(rising.rate(3), 0.6, 1e-12);
  BOOST_CHECK_CLOSE(rising.rate(4), 0.8, 1e-12);
}

BOOST_AUTO_TEST_CASE(a_linear_regression_is_learned) {
  const auto check = []<class T>(T, double error) {
    Regression regression;
    Run<T> run;
    double first = 0, last = 0;
    for (Index k = 0; k < 400; ++k) {
      const auto result = run.advance(regression.ctx, options(400), regression.whole_batches<T>());
      if (k == 0) first = result.loss;
      last = result.loss;
      BOOST_CHECK_EQUAL(result.rate, options(400).schedule.rate(k + 1));
    }
    BOOST_CHECK_EQUAL(run.step, 400);
    BOOST_CHECK_GT(first, 0.5);
    BOOST_CHECK_LT(last, error);
    BOOST_CHECK_LT(test::relative_error(run.values.flat(), regression.truth.flat()), std::sqrt(error));
  };
  check(double{}, 1e-7);
  check(float{}, 1e-7);
}

BOOST_AUTO_TEST_CASE(the_gradients_norm_is_limited_and_reported_as_it_was) {
  Regression regression;
  Run<double> free, clipped;
  auto o = options(100);
  o.clip = 1e9;
  const auto result = free.advance(regression.ctx, o, regression.whole_batches<double>());
  const auto gradients = free.gradients().clone();
  const double norm = std::sqrt(test::dot(gradients.flat(), gradients.flat()));
  BOOST_CHECK_CLOSE(result.gradient_norm, norm, 1e-10);
  o.clip = norm / 3;
  BOOST_CHECK_CLOSE(clipped.advance(regression.ctx, o, regression.whole_batches<double>()).gradient_norm, norm, 1e-10);
  for (std::size_t k = 0; k < gradients.flat().size(); ++k)
    BOOST_CHECK_SMALL(clipped.gradients().flat()[k] - gradients.flat()[k] / 3, 1e-15);
}

BOOST_AUTO_TEST_CASE(a_largest_norm_that_is_not_above_0_is_refused) {
  Regression regression;
  Run<double> run;
  auto o = options(100);
  for (const double clip : {0.0, -1.0, std::nan("")}) {
    o.clip = clip;
    BOOST_CHECK_THROW(run.advance(regression.ctx, o, regression.whole_batches<double>()), Error);
  }
  BOOST_CHECK_EQUAL(run.step, 0);
  o.clip = std::numeric_limits<double>::infinity();
  BOOST_CHECK_GT(run.advance(regression.ctx, o, regression.whole_batches<double>()).gradient_norm, 0);
}

BOOST_AUTO_TEST_CASE(parts_of_a_batch_make_the_step_of_the_whole) {
  Regression regression;
  Run<double> whole, parts;
  auto o = options(100);
  std::vector<Index> seen;
  for (Index k = 0; k < 3; ++k) {
    o.accumulate = 1;
    const auto one = whole.advance(regression.ctx, o, regression.whole_batches<double>());
    o.accumulate = 2;
    const auto two = parts.advance(regression.ctx, o, [&](const auto& p, const auto& dp, Index step, Index part) {
      seen.push_back(part);
      return regression.compute<double>(p, dp, step, part * rows / 2, rows / 2);
    });
    BOOST_CHECK_CLOSE(one.loss, two.loss, 1e-10);
    BOOST_CHECK_CLOSE(one.gradient_norm, two.gradient_norm, 1e-10);
    // Rounding in the gradients is 1e-16, in the moments, which are float, 1e-7 of a step of at most the rate.
    BOOST_CHECK_LT(test::relative_error(parts.gradients().flat(), whole.gradients().flat()), 1e-7);
    BOOST_CHECK_LT(test::relative_error(parts.values.flat(), whole.values.flat()), 1e-6);
    if (k == 0) BOOST_CHECK_LT(test::relative_error(parts.gradients().flat(), whole.gradients().flat()), 1e-14);
  }
  BOOST_CHECK((seen == std::vector<Index>{0, 1, 0, 1, 0, 1}));
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_stops_a_step_before_anything_changes) {
  const auto check = []<class T>(T) {
    Regression regression;
    Run<T> run;
    auto o = options(100);
    for (int k = 0; k < 3; ++k) run.advance(regression.ctx, o, regression.whole_batches<T>());
    const Snapshot<T> before(run);
    const auto says = [](std::string sentence) {
      return [sentence](const NonFiniteError& e) { return e.what() == sentence; };
    };
    const double infinity = std::numeric_limits<double>::infinity();
    for (const double wrong : {std::nan(""), infinity, -infinity}) {
      o.accumulate = 2;
      BOOST_CHECK_EXCEPTION(run.advance(regression.ctx, o,
                                        [&](const auto& p, const auto& dp, Index step, Index part) {
                                          const double loss = regression.compute<T>(p, dp, step);
                                          return part == 1 ? wrong : loss;
                                        }),
                            NonFiniteError, says("the loss is not finite at step 4, part 2 of 2"));
      BOOST_CHECK(before.equals(run));
      o.accumulate = 1;
      BOOST_CHECK_EXCEPTION(run.advance(regression.ctx, o,
                                        [&](const auto& p, const auto& dp, Index step, Index) {
                                          const double loss = regression.compute<T>(p, dp, step);
                                          dp.bias[Out - 1] = static_cast<T>(wrong);
                                          return loss;
                                        }),
                            NonFiniteError, says("a gradient is not finite at step 4"));
      BOOST_CHECK(before.equals(run));
    }
    // Another exception changes nothing either, and the run goes on as if nothing had been.
    BOOST_CHECK_THROW(run.advance(regression.ctx, o,
                                  [&](const auto& p, const auto& dp, Index step, Index) -> double {
                                    regression.compute<T>(p, dp, step);
                                    throw Error("no data");
                                  }),
                      Error);
    BOOST_CHECK(before.equals(run));
    Run<T> undisturbed;
    for (int k = 0; k < 4; ++k) undisturbed.advance(regression.ctx, o, regression.whole_batches<T>());
    run.advance(regression.ctx, o, regression.whole_batches<T>());
    BOOST_CHECK(Snapshot<T>(undisturbed).equals(run));
    o.accumulate = 0;
    BOOST_CHECK_EXCEPTION(run.advance(regression.ctx, o, regression.whole_batches<T>()), Error, [](const Error& e) {
      return std::string(e.what()) == "training: expected at least one part of a batch, found 0";
    });
    BOOST_CHECK(Snapshot<T>(undisturbed).equals(run));
  };
  check(double{});
  check(float{});
}

BOOST_AUTO_TEST_CASE(a_run_that_is_stopped_and_resumed_is_the_uninterrupted_run_bit_for_bit) {
  const auto check = []<class T>(T) {
    const test::Folder folder;
    const std::string path = folder / "run.safetensors";
    Regression regression;
    const auto o = options(20);
    Run<T> whole;
    std::vector<double> losses;
    for (int k = 0; k < 20; ++k) losses.push_back(whole.advance(regression.ctx, o, regression.whole_batches<T>()).loss);
    {
      Regression same;
      Run<T> begun;
      for (int k = 0; k < 7; ++k) begun.advance(same.ctx, o, same.whole_batches<T>());
      auto tensors = io::to_tensors(begun.values.frozen(), "values.");
      for (const auto& [moment, prefix] : {std::pair{&begun.first, "first."}, {&begun.second, "second."}})
        for (auto& tensor : io::to_tensors(moment->frozen(), prefix)) tensors.push_back(std::move(tensor));
      io::save_safetensors(path, std::move(tensors), {{"step", std::to_string(begun.step)}});
    }
    Regression same;
    Run<T> resumed;
    const auto file = io::SafeTensors::open(path);
    io::load_parameters(file, resumed.values.view(), "values.");
    io::load_parameters(file, resumed.first.view(), "first.");
    io::load_parameters(file, resumed.second.view(), "second.");
    resumed.step = std::stoi(file.metadata().at("step"));
    BOOST_CHECK_EQUAL(resumed.step, 7);
    for (std::size_t k = 7; k < 20; ++k)
      BOOST_CHECK_EQUAL(resumed.advance(same.ctx, o, same.whole_batches<T>()).loss, losses[k]);
    BOOST_CHECK(Snapshot<T>(whole).equals(resumed));
  };
  check(double{});
  check(float{});
}
