// diffusion/step.hpp: paths, velocities, and the loss with its gradient.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "support/gradient_check.hpp"
#include "wu/diffusion/step.hpp"

namespace {

using namespace wu;
using namespace wu::diffusion;
constexpr Index samples = 5, height = 2, width = 3, per_sample = height * width * 3, count = samples * per_sample;

using Pictures = View<double, dyn, dyn, dyn, 3>;
using ConstPictures = View<const double, dyn, dyn, dyn, 3>;
Pictures view(std::vector<double>& values) {
  return {values.data(), static_cast<Index>(values.size()) / per_sample, height, width};
}
ConstPictures view(const std::vector<double>& values) {
  return {values.data(), static_cast<Index>(values.size()) / per_sample, height, width};
}

/// The last time lies where the flow's 1 / (1 - t) is held back.
const std::vector<double> t{0, 0.125, 0.5, 0.875, 0.97};

/// Pictures of a batch. On the bridge x_0 is the source.
template <class Step>
struct Batch {
  std::vector<double> source = test::random_values(count, "source"),
                      x_0 = Step::path::from_noise ? test::random_values(count, "noise") : source,
                      x_1 = test::random_values(count, "target"), x_t = test::poisoned(count),
                      output = test::random_values(count, "output"), each = test::poisoned(samples);
  typename Step::loss_type f;
  reference ctx;
  Workspace ws;

  Batch() { Step::interpolate(ctx, view(x_t), view(x_0), view(x_1), t); }
  double loss(double* doutput = nullptr) {
    return Step::loss(ctx, ws, Pictures(doutput, samples, height, width), View<double, dyn>(each.data(), samples),
                      view(std::as_const(output)), view(std::as_const(x_t)), view(std::as_const(source)),
                      view(std::as_const(x_0)), view(std::as_const(x_1)), t, f);
  }
};

/// The output of a network that is right.
template <class Step>
std::vector<double> perfect(const Batch<Step>& batch) {
  std::vector<double> output(batch.x_1);
  for (std::size_t k = 0; k < output.size(); ++k)
    output[k] -= Step::predicts == Predicts::edit ? batch.source[k] : batch.x_0[k];
  return output;
}

/// Calls f(Step{}, name) for every path, meaning of the output and loss.
void each_step(auto&& f) {
  auto losses = [&]<class Path, Predicts Output>(std::integral_constant<Predicts, Output>, Path, const std::string& name) {
    BOOST_TEST_CONTEXT(name << ", mean squared") { f(DiffusionStep<Path, Output, MeanSquared>{}); }
    BOOST_TEST_CONTEXT(name << ", logarithm") { f(DiffusionStep<Path, Output, LogMeanSquared>{}); }
  };
  losses(std::integral_constant<Predicts, Predicts::velocity>{}, RectifiedFlow{}, "flow, velocity");
  losses(std::integral_constant<Predicts, Predicts::edit>{}, RectifiedFlow{}, "flow, edit");
  losses(std::integral_constant<Predicts, Predicts::velocity>{}, SourceBridge{}, "bridge, velocity");
  losses(std::integral_constant<Predicts, Predicts::edit>{}, SourceBridge{}, "bridge, edit");
}

auto says(std::string sentence) {
  return [sentence = std::move(sentence)](const ShapeError& e) {
    if (sentence != e.what()) BOOST_TEST_MESSAGE("found: " << e.what());
    return sentence == e.what();
  };
}

}  // namespace

BOOST_AUTO_TEST_CASE(paths_lead_straight_from_x_0_to_x_1) {
  using Step = DiffusionStep<>;
  reference ctx;
  const auto x_0 = test::random_values(count, "x_0"), x_1 = test::random_values(count, "x_1");
  auto x_t = test::poisoned(count);
  const std::vector<double> times{0, 0.25, 0.5, 0.75, 1};
  Step::interpolate(ctx, view(x_t), view(x_0), view(x_1), times);
  for (std::size_t k = 0; k < x_t.size(); ++k) {
    const double at = times[k / per_sample];
    BOOST_CHECK_SMALL(x_t[k] - (x_0[k] + at * (x_1[k] - x_0[k])), 1e-15);
    if (at == 0) BOOST_CHECK_EQUAL(x_t[k], x_0[k]);
    if (at == 1) BOOST_CHECK_EQUAL(x_t[k], x_1[k]);
  }
}

BOOST_AUTO_TEST_CASE(a_network_that_is_right_has_the_velocity_of_the_path) {
  each_step([]<class Step>(Step) {
    Batch<Step> batch;
    const auto output = perfect(batch);
    auto v = test::poisoned(count);
    Step::velocity(batch.ctx, view(v), view(output), view(std::as_const(batch.x_t)), view(std::as_const(batch.source)), t);
    for (std::size_t k = 0; k < v.size(); ++k) {
      double expected = batch.x_1[k] - batch.x_0[k];
      if (const double at = t[k / per_sample]; Step::path::from_noise && Step::predicts == Predicts::edit && at > 0.95)
        expected *= (1 - at) / 0.05;  // held back
      BOOST_CHECK_SMALL(v[k] - expected, 1e-12);
    }
  });
}

BOOST_AUTO_TEST_CASE(following_the_velocity_for_the_rest_of_the_time_reaches_what_the_network_means) {
  each_step([]<class Step>(Step) {
    Batch<Step> batch;
    auto v = test::poisoned(count);
    Step::velocity(batch.ctx, view(v), view(std::as_const(batch.output)), view(std::as_const(batch.x_t)),
                   view(std::as_const(batch.source)), t);
    for (std::size_t k = 0; k < v.size(); ++k) {
      const double at = t[k / per_sample];
      if constexpr (Step::predicts == Predicts::velocity) BOOST_CHECK_EQUAL(v[k], batch.output[k]);
      else if constexpr (!Step::path::from_noise)
        BOOST_CHECK_SMALL(batch.source[k] + v[k] - (batch.source[k] + batch.output[k]), 1e-14);
      else if (at <= 0.95) BOOST_CHECK_SMALL(batch.x_t[k] + (1 - at) * v[k] - (batch.source[k] + batch.output[k]), 1e-14);
    }
  });
}

BOOST_AUTO_TEST_CASE(loss_is_the_mean_of_f_of_each_samples_error) {
  each_step([]<class Step>(Step) {
    Batch<Step> batch;
    const double loss = batch.loss();
    auto v = test::poisoned(count);
    Step::velocity(batch.ctx, view(v), view(std::as_const(batch.output)), view(std::as_const(batch.x_t)),
                   view(std::as_const(batch.source)), t);
    double expected = 0;
    for (std::size_t s = 0; s < samples; ++s) {
      double square = 0;
      const double reach = Step::path::from_noise && Step::predicts == Predicts::edit ? std::min(1.0, (1 - t[s]) / 0.05) : 1;
      for (std::size_t k = s * per_sample; k < (s + 1) * per_sample; ++k)
        square += std::pow(v[k] - reach * (batch.x_1[k] - batch.x_0[k]), 2) / per_sample;
      BOOST_CHECK_CLOSE(batch.each[s], square, 1e-10);
      expected += (std::is_same_v<Step, DiffusionStep<typename Step::path, Step::predicts, MeanSquared>>
                       ? square
                       : std::log(square + LogMeanSquared{}.floor)) /
                  samples;
    }
    BOOST_CHECK_CLOSE(loss, expected, 1e-10);
  });
}

BOOST_AUTO_TEST_CASE(loss_gradients) {
  int checked = 0;
  each_step([&]<class Step>(Step) {
    Batch<Step> batch;
    auto doutput = test::poisoned(count);
    const double loss = batch.loss(doutput.data());
    BOOST_CHECK_EQUAL(loss, batch.loss());  // with and without its gradient
    test::check_gradient("output", batch.output, doutput, [&] { return batch.loss(); });
    if constexpr (!std::is_same_v<Step, DiffusionStep<typename Step::path, Step::predicts, MeanSquared>>) {
      batch.f.floor = 0.7;
      batch.loss(doutput.data());
      test::check_gradient("output, another floor", batch.output, doutput, [&] { return batch.loss(); });
    }
    ++checked;
  });
  BOOST_CHECK_EQUAL(checked, 8);
}

BOOST_AUTO_TEST_CASE(a_network_that_is_right_has_no_loss_and_no_gradient) {
  each_step([]<class Step>(Step) {
    Batch<Step> batch;
    batch.output = perfect(batch);
    auto doutput = test::poisoned(count);
    batch.loss(doutput.data());
    for (std::size_t s = 0; s < samples; ++s) BOOST_CHECK_SMALL(batch.each[s], 1e-24);
    for (const double g : doutput) BOOST_CHECK_SMALL(g, 1e-9);
  });
}

BOOST_AUTO_TEST_CASE(an_edit_is_compared_with_the_whole_velocity_until_it_is_held_back) {
  for (const double at : {0.0, 0.1, 1.0 / 3, 0.5, 0.77, 0.95}) BOOST_CHECK_EQUAL(RectifiedFlow::edit_reach(at), 1);
  for (const double at : {0.951, 0.97, 0.999, 1.0})
    BOOST_CHECK_CLOSE(RectifiedFlow::edit_reach(at) + 1, (1 - at) * RectifiedFlow::edit_factor(at) + 1, 1e-12);
}

BOOST_AUTO_TEST_CASE(the_logarithm_counts_relative_errors) {
  // Once an error is far above the floor, ten times the error is the same step up, whatever the error.
  const auto value = [](double mse) { return LogMeanSquared{}.value(mse); };
  BOOST_CHECK_CLOSE(value(1000) - value(100), value(100) - value(10), 0.01);
  BOOST_CHECK_CLOSE(value(0), std::log(LogMeanSquared{}.floor), 1e-10);
  for (const double mse : {0.0, 1e-4, 0.3, 20.0}) {
    const double h = 1e-6 * (mse + 1e-3);
    BOOST_CHECK_CLOSE(LogMeanSquared{}.slope(mse), (value(mse + h) - value(mse - h)) / (2 * h), 1e-3);
  }
}

BOOST_AUTO_TEST_CASE(sizes_that_differ_are_refused_before_anything_is_written) {
  using Step = DiffusionStep<RectifiedFlow, Predicts::edit>;
  Batch<Step> batch;
  const std::vector<double> few(static_cast<std::size_t>(count - per_sample)), times(t.begin(), t.end() - 1);
  auto out = test::random_values(count, "out"), each = batch.each;
  const auto before = out;
  auto& [source, x_0, x_1, x_t, output, ignored, f, ctx, ws] = batch;
  const auto whole = view(std::as_const(output));
  BOOST_CHECK_EXCEPTION(
      Step::interpolate(ctx, view(out), view(few), whole, t), ShapeError,
      says("diffusion step, interpolate: expected tensors of one size for 5 samples, found 90, 72 and 90 values"));
  BOOST_CHECK_EXCEPTION(
      Step::interpolate(ctx, view(out), whole, whole, times), ShapeError,
      says("diffusion step, interpolate: expected tensors of one size for 4 samples, found 90, 90 and 90 values"));
  BOOST_CHECK_EXCEPTION(
      Step::interpolate(ctx, view(out), whole, whole, {}), ShapeError,
      says("diffusion step, interpolate: expected tensors of one size for 0 samples, found 90, 90 and 90 values"));
  BOOST_CHECK_EXCEPTION(
      Step::velocity(ctx, view(out), whole, view(few), whole, t), ShapeError,
      says("diffusion step, velocity: expected tensors of one size for 5 samples, found 90, 90 and 72 values"));
  BOOST_CHECK_EXCEPTION(
      Step::velocity(ctx, view(out), whole, whole, view(few), t), ShapeError,
      says("diffusion step, velocity: expected tensors of one size for 5 samples, found 90, 90 and 72 values"));
  auto loss = [&, &ctx = ctx, &ws = ws](Pictures doutput, Index errors, ConstPictures target) {
    Step::loss(ctx, ws, doutput, View<double, dyn>(each.data(), errors), whole, whole, whole, whole, target, t);
  };
  std::vector<double> short_gradient(few);
  BOOST_CHECK_EXCEPTION(
      loss(view(out), samples, view(few)), ShapeError,
      says("diffusion step, loss: expected tensors of one size for 5 samples, found 90, 90 and 72 values"));
  BOOST_CHECK_EXCEPTION(
      loss(view(out), samples - 1, whole), ShapeError,
      says("diffusion step, loss: expected one error for each of 5 samples and a gradient of 90 values, found 4 and 90"));
  BOOST_CHECK_EXCEPTION(
      loss(view(short_gradient), samples, whole), ShapeError,
      says("diffusion step, loss: expected one error for each of 5 samples and a gradient of 90 values, found 5 and 72"));
  BOOST_CHECK(out == before);
  // Where the source is not read it may be missing.
  DiffusionStep<SourceBridge, Predicts::edit>::velocity(ctx, view(out), whole, whole, ConstPictures(), t);
  DiffusionStep<RectifiedFlow, Predicts::velocity>::velocity(ctx, view(out), whole, whole, ConstPictures(), t);
  BOOST_CHECK(out == output);
}

BOOST_AUTO_TEST_CASE(many_samples_are_as_each_of_them_alone) {
  using Step = DiffusionStep<RectifiedFlow, Predicts::edit, LogMeanSquared>;
  constexpr Index many = 300;
  const auto values = [](const char* name) { return test::random_values(many * per_sample, name); };
  const auto output = values("output"), x_t = values("x_t"), source = values("source"), x_0 = values("x_0"),
             x_1 = values("x_1");
  auto gradient = test::poisoned(many * per_sample), errors = test::poisoned(many);
  std::vector<double> times;
  for (Index s = 0; s < many; ++s) times.push_back(static_cast<double>(s) / many);
  reference ctx;
  Workspace ws;
  const double loss = Step::loss(ctx, ws, view(gradient), View<double, dyn>(errors.data(), many), view(output), view(x_t),
                                 view(source), view(x_0), view(x_1), times);
  double sum = 0;
  for (Index s = 0; s < many; ++s) {
    const auto one = [&](const auto& all) { return ConstPictures(all.data() + s * per_sample, 1, height, width); };
    auto alone = test::poisoned(per_sample);
    double error = 0;
    sum += Step::loss(ctx, ws, view(alone), View<double, dyn>(&error, 1), one(output), one(x_t), one(source), one(x_0),
                      one(x_1), std::span<const double>(times).subspan(static_cast<std::size_t>(s), 1));
    BOOST_CHECK_EQUAL(errors[static_cast<std::size_t>(s)], error);
    for (std::size_t k = 0; k < alone.size(); ++k)
      BOOST_CHECK_CLOSE(gradient[static_cast<std::size_t>(s * per_sample) + k], alone[k] / many, 1e-9);
  }
  BOOST_CHECK_CLOSE(loss, sum / many, 1e-10);
}
