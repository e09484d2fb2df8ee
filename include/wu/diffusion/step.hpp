// One diffusion training step over a straight probability path:                                      Lipman et al. 2023, eq. 20
//     x_t = (1 - t) x_0 + t x_1          velocity u = x_1 - x_0          loss = mean over samples of f(mean (v - u)^2)
// RectifiedFlow: x_0 is noise. SourceBridge: x_0 is the source picture. x_1 is the target.
// A network that predicts an edit e of the source, x_1 = source + e, has the velocity
//     flow: v = (source + e - x_t) / (1 - t)          bridge: v = e
// f is the identity or a logarithm whose floor may move in the course of training.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include "wu/core/describe.hpp"
#include "wu/core/workspace.hpp"
#include "wu/ops/losses.hpp"

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
  static void interpolate(auto x_t, auto x_0, auto x_1, std::span<const double> t) {
    const Index per_sample = check("interpolate", x_t, x_0, x_1, t);
    for (std::size_t s = 0; s < t.size(); ++s)
      for (Index k = static_cast<Index>(s) * per_sample; k < static_cast<Index>(s + 1) * per_sample; ++k)
        x_t[k] = static_cast<value_of<decltype(x_t)>>((1 - t[s]) * static_cast<double>(x_0[k]) +
                                                      t[s] * static_cast<double>(x_1[k]));
  }

  /// The velocity from the network's output. For Predicts::velocity it is the output; source is then not read.
  static void velocity(auto v, auto output, auto x_t, auto source, std::span<const double> t) {
    const Index per_sample = check("velocity", v, output, x_t, t);
    if constexpr (Output == Predicts::edit && Path::from_noise) check("velocity", v, output, source, t);
    using T = value_of<decltype(v)>;
    for (std::size_t s = 0; s < t.size(); ++s) {
      const T factor = static_cast<T>(Path::edit_factor(t[s]));
      for (Index k = static_cast<Index>(s) * per_sample; k < static_cast<Index>(s + 1) * per_sample; ++k) {
        if constexpr (Output == Predicts::velocity || !Path::from_noise) v[k] = output[k];
        else v[k] = (source[k] + output[k] - x_t[k]) * factor;
      }
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
    velocity(v, output, x_t, source, t);
    for (Index s = 0; s < samples; ++s) {
      const T reach = static_cast<T>(Output == Predicts::edit ? Path::edit_reach(t[static_cast<std::size_t>(s)]) : 1);
      for (Index k = s * count; k < (s + 1) * count; ++k) u[k] = (x_1[k] - x_0[k]) * reach;
    }
    mse_forward(ctx, per_sample, as_const(v), as_const(u));
    double total = 0;
    const auto weights = ws.take<double, dyn>(samples);
    for (Index s = 0; s < samples; ++s) {
      total += f.value(per_sample[s]) / static_cast<double>(samples);
      const double chain = Output == Predicts::edit ? Path::edit_factor(t[static_cast<std::size_t>(s)]) : 1;
      weights[s] = f.slope(per_sample[s]) / static_cast<double>(samples) * chain;
    }
    if (!doutput.data) return total;
    const View<T, dyn, 1> gradient(doutput.data, count * samples);
    mse_backward(ctx, gradient, as_const(v), as_const(u),
                 std::span<const double>(weights.data, static_cast<std::size_t>(samples)));
    return total;
  }

 private:
  static Index check(const char* what, const auto& a, const auto& b, const auto& c, std::span<const double> t) {
    if (t.empty() || a.size() != b.size() || a.size() != c.size() || a.size() % static_cast<Index>(t.size()) != 0)
      throw ShapeError(message("diffusion step, ", what, ": expected tensors of one size for ", t.size(), " samples, found ",
                               a.size(), ", ", b.size(), " and ", c.size(), " values"));
    return a.size() / static_cast<Index>(t.size());
  }
};

}  // namespace wu::diffusion
