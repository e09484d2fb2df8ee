// One diffusion training step over a straight probability path:                                      Lipman et al. 2023, eq. 20
//     x_t = (1 - t) x_0 + t x_1          velocity u = x_1 - x_0          loss = mean over samples of f(mean (v - u)^2)
// RectifiedFlow: x_0 is noise. SourceBridge: x_0 is the source picture. x_1 is the target.
// A network that predicts an edit e of the source, x_1 = source + e, has the velocity
//     flow: v = (source + e - x_t) / (1 - t)          bridge: v = e
// f is the identity or a logarithm whose floor may move in the course of training.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "wu/core/describe.hpp"
#include "wu/core/workspace.hpp"
#include "wu/ops/elementwise.hpp"
#include "wu/ops/losses.hpp"
#include "wu/ops/path.hpp"

namespace wu::diffusion {

/// From noise; the default path.
struct RectifiedFlow {
  static constexpr bool from_noise = true;
  static std::string describe() { return "rectified flow, from noise"; }
  static constexpr double nearest = 0.05;
  /// dv/de; 1 - t is kept from 0, where the division would only blow up rounding.
  static double edit_factor(double t) { return 1 / std::max(1 - t, nearest); }
  /// How much of the velocity a network with the right edit then has: 1 but where it is held back.
  static double edit_reach(double t) { return std::min(1.0, (1 - t) / nearest); }
};

/// From the source picture to the target.
struct SourceBridge {
  static constexpr bool from_noise = false;
  static std::string describe() { return "bridge, from the source picture"; }
  /// dv/de: the edit is the velocity.
  static double edit_factor(double) { return 1; }
  /// Never held back.
  static double edit_reach(double) { return 1; }
};

/// What the network's output means.
enum class Predicts { velocity, edit };

/// f and f' of a sample's mean squared error.
struct MeanSquared {
  static std::string describe() { return "mean squared error"; }
  /// f(mse)
  double value(double mse) const { return mse; }
  /// f'(mse)
  double slope(double) const { return 1; }
};
/// Every sample counts by its relative error, faint edits as much as strong ones, until its error is about the floor. The
/// pull on the network's output, sqrt(mse) / (mse + floor), is strongest at the floor: a high one lets large errors lead.
struct LogMeanSquared {
  static std::string describe() { return "logarithm of the mean squared error"; }
  double floor = 1.0 / 2000;
  /// f(mse)
  double value(double mse) const { return std::log(mse + floor); }
  /// f'(mse)
  double slope(double mse) const { return 1 / (mse + floor); }
};

/// Path: RectifiedFlow or SourceBridge; Output: what the network predicts; Loss: f.
template <class Path = RectifiedFlow, Predicts Output = Predicts::velocity, class Loss = MeanSquared>
struct DiffusionStep {
  /// The probability path.
  using path = Path;
  /// f
  using loss_type = Loss;
  /// What the output means.
  static constexpr Predicts predicts = Output;

  static std::string describe() {
    return "DiffusionStep: x_t = (1 - t) x_0 + t x_1, " + wu::describe<Path>() + "; the network predicts the " +
           (Output == Predicts::velocity ? "velocity" : "edit") + "; loss: " + wu::describe<Loss>();
  }

  /// x_t for samples at times t. All views: (b, ...), b = t.size().
  static void interpolate(auto& ctx, auto x_t, auto x_0, auto x_1, std::span<const double> t) {
    check("interpolate", x_t, x_0, x_1, t);
    path_point(ctx, x_t, x_0, x_1, t);
  }

  /// The velocity from the network's output. For Predicts::velocity it is the output; source is then not read.
  static void velocity(auto& ctx, auto v, auto output, auto x_t, auto source, std::span<const double> t) {
    const Index per_sample = check("velocity", v, output, x_t, t);
    if constexpr (Output == Predicts::velocity || !Path::from_noise)
      copy(ctx, part(v, 0, t.size(), per_sample), part(output, 0, t.size(), per_sample));
    else {
      check("velocity", v, output, source, t);
      each_part(
          t, [](std::size_t, double at) { return Path::edit_factor(at); },
          [&](Index first, std::span<const double> factors) {
            const auto some = [&](auto all) { return part(all, first, factors.size(), per_sample); };
            edit_velocity(ctx, some(v), some(output), some(x_t), some(source), factors);
          });
    }
  }

  /// The loss, and its gradient with respect to the network's output (overwritten; null: not wanted). per_sample receives each
  /// sample's mean squared error of the velocity. Where an edit's velocity is held back, near t = 1, it is compared with the path's
  /// held back alike, so that the right edit has no loss at any time.
  static double loss(auto& ctx, Workspace& ws, auto doutput /* = */, View<double, dyn> per_sample, auto output, auto x_t,
                     auto source, auto x_0, auto x_1, std::span<const double> t, const Loss& f = {}) {
    const Index count = check("loss", output, x_0, x_1, t), samples = static_cast<Index>(t.size());
    if (per_sample.size() != samples || (doutput.data && doutput.size() != output.size()))
      throw ShapeError(message("diffusion step, loss: expected one error for each of ", samples,
                               " samples and a gradient of ", output.size(), " values, found ", per_sample.size(), " and ",
                               doutput.size()));
    using T = value_of<decltype(output)>;
    const Workspace::Scope scope(ws);
    const auto v = ws.take<T, dyn, 1>(output.size()), u = ws.take<T, dyn, 1>(output.size());
    velocity(ctx, v, output, x_t, source, t);
    each_part(
        t, [](std::size_t, double at) { return Output == Predicts::edit ? Path::edit_reach(at) : 1; },
        [&](Index first, std::span<const double> factors) {
          const auto some = [&](auto all) { return part(all, first, factors.size(), count); };
          path_velocity(ctx, some(u), some(x_0), some(x_1), factors);
        });
    mse_forward(ctx, per_sample, as_const(v), as_const(u));
    double total = 0;
    for (const double mse : per_sample) total += f.value(mse) / static_cast<double>(samples);
    if (!doutput.data) return total;
    const auto weight = [&](std::size_t s, double at) {
      const double chain = Output == Predicts::edit ? Path::edit_factor(at) : 1;
      return f.slope(per_sample[static_cast<Index>(s)]) / static_cast<double>(samples) * chain;
    };
    each_part(t, weight, [&](Index first, std::span<const double> weights) {
      const auto some = [&](auto all) { return part(all, first, weights.size(), count); };
      mse_backward(ctx, some(doutput), some(as_const(v)), some(as_const(u)), weights);
    });
    return total;
  }

 private:
  static Index check(const char* what, const auto& a, const auto& b, const auto& c, std::span<const double> t) {
    if (t.empty() || a.size() != b.size() || a.size() != c.size() || a.size() % static_cast<Index>(t.size()) != 0)
      throw ShapeError(message("diffusion step, ", what, ": expected tensors of one size for ", t.size(), " samples, found ",
                               a.size(), ", ", b.size(), " and ", c.size(), " values"));
    return a.size() / static_cast<Index>(t.size());
  }

  /// Calls f(first sample, factors) for some samples at a time, factor(s, t_s) for each. The factors are the host's wherever the
  /// pictures lie, and of a fixed number, so that a step allocates nothing.
  static void each_part(std::span<const double> t, auto&& factor, auto&& f) {
    constexpr std::size_t most = 128;
    std::array<double, most> factors;
    for (std::size_t first = 0; first < t.size(); first += most) {
      const std::size_t count = std::min(most, t.size() - first);
      for (std::size_t s = 0; s < count; ++s) factors[s] = factor(first + s, t[first + s]);
      f(static_cast<Index>(first), std::span<const double>(factors.data(), count));
    }
  }
  /// Some samples' values out of all.
  template <class T, Index... E>
  static View<T, dyn, 1> part(View<T, E...> all, Index first, std::size_t count, Index per_sample) {
    return {all.data + first * per_sample, static_cast<Index>(count) * per_sample};
  }
};

}  // namespace wu::diffusion
