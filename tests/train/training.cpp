// train/schedule.hpp and train/training.hpp, on a linear regression: y = x W^T + b with known W and b.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

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

/// All that a run is: what a checkpoint holds of it, the number of steps, and the weights as the module reads them.
template <class T>
struct Snapshot {
  std::vector<Weights<Module, accumulator_t<T>>> state;
  Weights<Module, T> values;
  Index step;
  explicit Snapshot(Run<T>& run) : values(run.values().clone()), step(run.step) {
    run.visit([&](auto&&, const auto& weights) { state.push_back(weights.clone()); });
  }
  bool equals(Run<T>& run) const {
    const Snapshot other(run);
    return same_bytes(values.flat(), other.values.flat()) && step == other.step &&
           std::ranges::equal(state, other.state,
                              [](const auto& x, const auto& y) { return same_bytes(x.flat(), y.flat()); });
  }
};

/// Saves a run and loads it into another object.
template <class T>
Run<T> saved_and_loaded(Run<T>& run) {
  const test::Folder folder;
  std::vector<io::TensorToSave> tensors;
  run.visit([&](const std::string& what, auto& weights) {
    for (auto& tensor : io::to_tensors(weights.frozen(), what + ".")) tensors.push_back(std::move(tensor));
  });
  io::save_safetensors(folder / "run.safetensors", std::move(tensors), {{"step", std::to_string(run.step)}});
  const auto file = io::SafeTensors::open(folder / "run.safetensors");
  Run<T> loaded;
  if (run.average) loaded.average.emplace();
  loaded.visit([&](const std::string& what, auto& weights) { io::load_parameters(file, weights.view(), what + "."); });
  loaded.step = std::stoi(file.metadata().at("step"));
  return loaded;
}

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
    BOOST_CHECK_LT(test::relative_error(run.weights().flat(), regression.truth.flat()), std::sqrt(error));
  };
  check(double{}, 1e-7);
  check(float{}, 1e-7);
  check(bfloat16{}, 1e-4);  // the module's weights, its inputs and its answers are rounded to 8 bits
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
  BOOST_CHECK(same_bytes<double>(clipped.gradients().flat(), gradients.flat()));  // before clipping
  for (std::size_t k = 0; k < gradients.flat().size(); ++k)
    BOOST_CHECK_SMALL(clipped.first.flat()[k] - free.first.flat()[k] / 3, 1e-15);
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
    for (double& g : parts.gradients().flat()) g /= 2;  // the sum over two parts
    BOOST_CHECK_LT(test::relative_error(parts.gradients().flat(), whole.gradients().flat()), 1e-13);
    BOOST_CHECK_LT(test::relative_error(parts.first.flat(), whole.first.flat()), 1e-13);
    BOOST_CHECK_LT(test::relative_error(parts.weights().flat(), whole.weights().flat()), 1e-13);
  }
  BOOST_CHECK((seen == std::vector<Index>{0, 1, 0, 1, 0, 1}));
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_stops_a_step_before_anything_changes) {
  const auto check = []<class T>(T) {
    Regression regression;
    Run<T> run;
    auto o = options(100);
    o.average_decay = 0.9;
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
                                          dp.bias[Out - 1] = static_cast<accumulator_t<T>>(wrong);
                                          return loss;
                                        }),
                            NonFiniteError, says("a gradient is not finite at step 4"));
      BOOST_CHECK(before.equals(run));
    }
    // Nor does an average begin with a step that is refused.
    Run<T> without;
    BOOST_CHECK_THROW(without.advance(regression.ctx, o,
                                      [&](const auto& p, const auto& dp, Index step, Index) {
                                        const double loss = regression.compute<T>(p, dp, step);
                                        dp.bias[0] = static_cast<accumulator_t<T>>(infinity);
                                        return loss;
                                      }),
                      NonFiniteError);
    BOOST_CHECK(!without.average && without.step == 0);
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
  check(bfloat16{});
}

BOOST_AUTO_TEST_CASE(a_run_that_is_stopped_and_resumed_is_the_uninterrupted_run_bit_for_bit) {
  const auto check = []<class T>(T, double average_decay) {
    Regression regression;
    auto o = options(20);
    o.average_decay = average_decay;
    Run<T> whole;
    std::vector<double> losses;
    for (int k = 0; k < 20; ++k) losses.push_back(whole.advance(regression.ctx, o, regression.whole_batches<T>()).loss);
    Regression same;
    Run<T> begun;
    for (int k = 0; k < 7; ++k) begun.advance(same.ctx, o, same.whole_batches<T>());
    Run<T> resumed = saved_and_loaded(begun);
    BOOST_CHECK_EQUAL(resumed.step, 7);
    BOOST_CHECK_EQUAL(resumed.average.has_value(), average_decay > 0);
    for (std::size_t k = 7; k < 20; ++k)
      BOOST_CHECK_EQUAL(resumed.advance(same.ctx, o, same.whole_batches<T>()).loss, losses[k]);
    BOOST_CHECK(Snapshot<T>(whole).equals(resumed));
  };
  check(double{}, 0.9);
  check(float{}, 0);
  check(float{}, 0.9);
  check(bfloat16{}, 0);
  check(bfloat16{}, 0.9);
}

BOOST_AUTO_TEST_CASE(in_bfloat16_the_module_reads_the_float32_weights_rounded) {
  Regression regression;
  Run<bfloat16> run;
  const auto rounded = [&] { return std::as_const(run).weights().to<bfloat16>(); };
  const auto reads_them = [&](const auto& p) {
    const auto expected = rounded();
    return std::ranges::equal(p.weight, expected.frozen().weight) && std::ranges::equal(p.bias, expected.frozen().bias);
  };
  const auto advance = [&] {
    run.advance(regression.ctx, options(100), [&](const auto& p, const auto& dp, Index step, Index) {
      BOOST_CHECK(reads_them(p));
      return regression.compute<bfloat16>(p, dp, step);
    });
    BOOST_CHECK(same_bytes<bfloat16>(run.values().flat(), rounded().flat()));  // as the step left them, not made again
  };
  fill_normal(run.weights().view().weight, test::seed, "start", 0.5);
  advance();
  advance();
  BOOST_CHECK(
      !same_bytes<float>(std::as_const(run).weights().flat(), run.values().to<float>().flat()));  // something is lost
  fill_normal(run.weights().view().weight, test::seed, "other", 0.5);  // in the middle of a run, as by loading
  advance();
  advance();
}

BOOST_AUTO_TEST_CASE(in_bfloat16_steps_too_small_for_a_weight_add_up) {
  reference ctx;
  Run<bfloat16> run;
  std::ranges::fill(run.weights().flat(), 1.0f);
  train::Options o;
  o.schedule = {.peak = 1e-5, .warmup = 0, .steps = 1000, .last_fraction = 1};
  for (int k = 0; k < 1000; ++k)
    run.advance(ctx, o, [](const auto&, const auto& dp, Index, Index) {
      std::ranges::fill(dp.bias, 1.0f);
      return 0.0;
    });
  BOOST_CHECK(bfloat16(1 - 1e-5f) == bfloat16(1));
  for (const float v : run.weights().view().bias) BOOST_CHECK_CLOSE(v, 0.99f, 1e-2f);
  for (const bfloat16 v : run.values().view().bias) BOOST_CHECK_EQUAL(static_cast<float>(v), 0.98828125f);
}

BOOST_AUTO_TEST_CASE(the_average_is_the_weighted_mean_of_the_weights_after_every_step) {
  const auto check = []<class T>(T, double tolerance) {
    Regression regression;
    Run<T> run, without;
    auto o = options(10);
    std::vector<double> sum(run.weights().flat().size());
    double weighing = 0;
    for (int k = 0; k < 10; ++k) {
      o.average_decay = 0;
      without.advance(regression.ctx, o, regression.whole_batches<T>());
      o.average_decay = 0.8;
      run.advance(regression.ctx, o, regression.whole_batches<T>());
      weighing = 0.8 * weighing + 1;
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = 0.8 * sum[i] + static_cast<double>(run.weights().flat()[i]);
    }
    for (double& v : sum) v /= weighing;
    BOOST_CHECK_LT(test::relative_error(run.average->flat(), sum), tolerance);
    BOOST_CHECK(!without.average);
    BOOST_CHECK(same_bytes<accumulator_t<T>>(without.weights().flat(), run.weights().flat()));
  };
  check(double{}, 1e-14);
  check(float{}, 1e-6);
  check(bfloat16{}, 1e-6);
}

BOOST_AUTO_TEST_CASE(an_average_may_begin_in_the_middle_of_a_run_and_end) {
  Regression regression;
  Run<double> run;
  auto o = options(10);
  for (int k = 0; k < 3; ++k) run.advance(regression.ctx, o, regression.whole_batches<double>());
  const auto before = run.weights().clone();
  o.average_decay = 0.5;
  run.advance(regression.ctx, o, regression.whole_batches<double>());
  // The weights before it stand for those of steps 1, 2 and 3, which weigh 1/8 + 1/4 + 1/2, beside 1.
  for (std::size_t k = 0; k < before.flat().size(); ++k)
    BOOST_CHECK_SMALL(run.average->flat()[k] - (0.875 * before.flat()[k] + run.weights().flat()[k]) / 1.875, 1e-15);
  o.average_decay = 0;
  const Snapshot<double> now(run);
  BOOST_CHECK_EXCEPTION(run.advance(regression.ctx, o, regression.whole_batches<double>()), Error, [](const Error& e) {
    return std::string_view(e.what()) ==
           "training: expected the decay of the average that this run has, found 0; to go on without it, reset() it";
  });
  for (const double decay : {1.0, -0.5, std::nan("")}) {
    o.average_decay = decay;
    BOOST_CHECK_THROW(run.advance(regression.ctx, o, regression.whole_batches<double>()), Error);
  }
  BOOST_CHECK(now.equals(run));
  o.average_decay = 0;
  run.average.reset();
  run.advance(regression.ctx, o, regression.whole_batches<double>());
  BOOST_CHECK(!run.average);
}
