// RMSNorm's parameters.
#pragma once

#include "wu/ops/rms_norm.hpp"

namespace wu {

/// y = x / sqrt(mean(x^2) + 1e-6) * weight.   x, y: (rows, C)
template <Index C>
struct RMSNorm {
  template <class T>
  struct Parameters {
    View<T, C> weight;
    constexpr void visit(auto&& at) { at("weight", weight); }
  };
};

}  // namespace wu
