// The task: a weight on a spring, pulled and let go. Each request is another spring, known from a few measurements alone.
//     position(t) = amplitude exp(-damping t) cos(frequency t + phase),  0 <= t <= 1
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "wu/core/buffer.hpp"
#include "wu/core/random.hpp"

namespace springs {

using wu::Index, wu::View, wu::dyn;

struct Spring {
  double amplitude, damping, frequency, phase;

  double position(double t) const { return amplitude * std::exp(-damping * t) * std::cos(frequency * t + phase); }
};

/// Requests: the measurements of some springs (b, L, 2), each a time and a position read with an error of 0.02, and the
/// questions about each spring: times t (b * questions, 1) and the positions y at these times, which are the right answers.
struct Batch {
  Index count;  ///< b
  std::vector<Spring> springs;
  std::vector<Index> which;  ///< for every spring its request: 0, 1, 2, ...
  wu::Tensor<float, dyn, dyn, 2> examples;
  wu::Tensor<float, dyn, 1> t, y;

  /// Springs number first .. first + count - 1 of those that `purpose` names: the same ones every time.
  Batch(std::uint64_t seed, std::string_view purpose, Index first, Index b, Index length, Index questions)
      : count(b), examples(b, length), t(b * questions), y(b * questions) {
    for (Index k = 0; k < count; ++k) {
      wu::Random random(seed, purpose, static_cast<std::uint64_t>(first + k));
      const Spring spring{random.uniform(0.4, 1.2), random.uniform(0.3, 3), random.uniform(5, 14), random.uniform(-1, 1)};
      springs.push_back(spring), which.push_back(k);
      for (Index q = k * questions; q < (k + 1) * questions; ++q) {
        const double time = random.uniform();
        t[q] = static_cast<float>(time), y[q] = static_cast<float>(spring.position(time));
      }
      for (Index i = k * length; i < (k + 1) * length; ++i) {
        const double time = random.uniform();
        examples[2 * i] = static_cast<float>(time);
        examples[2 * i + 1] = static_cast<float>(spring.position(time) + 0.02 * random.normal());
      }
    }
  }
};

}  // namespace springs
