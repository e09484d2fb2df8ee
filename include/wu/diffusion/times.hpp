// At which times a training step looks: t in [0, 1), 0 where the path begins and 1 at the target.
#pragma once

#include <cmath>

#include "wu/core/random.hpp"
#include "wu/core/view.hpp"

namespace wu::diffusion {

/// Uniform in [0, 1).
struct UniformTimes {
  /// A time drawn from the stream.
  double operator()(Random& random) const { return random.uniform(); }
};

/// t = 1 / (1 + exp(-z)), z normal: more of the middle, where the velocity is hardest.              Esser et al. 2024, eq. 19
struct LogitNormalTimes {
  double mean = 0, deviation = 1;
  /// A time drawn from the stream, in (0, 1).
  double operator()(Random& random) const { return 1 / (1 + std::exp(-(mean + deviation * random.normal()))); }
};

/// Only the times that an Euler sampler with this many steps visits: 0, 1/steps, ... For paths on which a later x_t gives the
/// target away (the bridge: (x_t - source) / t is the velocity), since the sampler's own x_t do not.
struct SamplerTimes {
  /// How many steps the sampler takes.
  Index steps = 1;
  /// A time drawn from the stream. Throws ShapeError if there are no steps.
  double operator()(Random& random) const {
    if (steps < 1) throw ShapeError(message("sampler times: expected at least one step, found ", steps));
    return static_cast<double>(random.below(static_cast<std::uint32_t>(steps))) / static_cast<double>(steps);
  }
};

}  // namespace wu::diffusion
