// The learning rate over a run: a linear warm-up, then half a cosine down to a fraction of the peak.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include "wu/core/view.hpp"

namespace wu::train {

/// A linear warm-up to the peak, then half a cosine down to last_fraction of it.
struct Schedule {
  double peak = 1e-3;
  Index warmup = 40;            ///< steps from 0 to the peak
  Index steps = 1000;           ///< length of the run
  double last_fraction = 0.02;  ///< of the peak, at the end

  /// The rate of step 1, 2, ...
  double rate(Index step) const {
    if (step <= warmup) return peak * static_cast<double>(step) / static_cast<double>(warmup);
    const double done = static_cast<double>(step - warmup) / static_cast<double>(std::max<Index>(1, steps - warmup));
    return peak * (last_fraction + (1 - last_fraction) * 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, done))));
  }
};

}  // namespace wu::train
