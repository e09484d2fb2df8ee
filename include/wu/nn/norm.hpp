// RMSNorm's parameters.
#pragma once

#include "wu/core/describe.hpp"
#include "wu/ops/rms_norm.hpp"

namespace wu {

/// y = x / sqrt(mean(x^2) + 1e-6) * weight.   x, y: (rows, C)
template <Index C>
struct RMSNorm {
  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    View<T, C> weight;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) { at("weight", weight); }
  };
  static std::string describe() {
    return "RMSNorm over " + text::counted(C, "channel") + ": " + text::parameters<RMSNorm>();
  }
};

}  // namespace wu
