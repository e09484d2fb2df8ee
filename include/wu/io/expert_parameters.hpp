// PEFT's adapters of parameters that hold all experts of a group (target_parameters). One A and one B serve all of them:
//     A: (experts * rank, in)      an expert's rows one after the other
//     B: (out, rank * experts)     an expert's columns as far apart as there are experts
// A tensor's name says the module only; where several parameters of a module are adapted, each further one lies a level deeper,
// "mlp.experts.base_layer". Which is which, and whether in and out are exchanged, the widths must tell.
// Newer versions of PEFT take a parameter as (experts, out, in) unless its module says otherwise, older ones always as
// (experts, in, out); a file of theirs for parameters that are (experts, out, in) has in and out exchanged, and so A and B.
// huggingface/peft, tuners/lora/layer.py (ParamWrapper)
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/io/adapter.hpp"

namespace wu::io {

/// A parameter of the model that holds the weights of all experts of a group.
struct ExpertParameter {
  std::string name;                              ///< "model.layers.0.mlp.experts.gate_up_proj"
  Index experts = 0, in = 0, out = 0;            ///< as the layer computes: y = W x, x: (in), y: (out), however W is stored
  std::optional<bool> exchanged = std::nullopt;  ///< whether files have in and out exchanged; nothing: what the widths say
};

namespace detail {

/// "mlp.experts" of "mlp.experts.base_layer.base_layer".
inline std::string without_base_layers(std::string module) {
  constexpr std::string_view level = ".base_layer";
  while (module.ends_with(level)) module.erase(module.size() - level.size());
  return module;
}

/// "model.layers.0.mlp.experts" of "model.layers.0.mlp.experts.gate_up_proj".
inline std::string module_of(const ExpertParameter& parameter) {
  const std::size_t point = parameter.name.rfind('.');
  return point == std::string::npos ? std::string() : parameter.name.substr(0, point);
}

/// A parameter that a pair of these widths can be of, and how.
struct ParameterFit {
  const ExpertParameter* parameter;
  bool exchanged;
};
/// All parameters of a module that a pair from a to b can be of.
inline std::vector<ParameterFit> parameters_that_fit(const std::vector<ExpertParameter>& parameters,
                                                     const std::string& module, Index a, Index b) {
  std::vector<ParameterFit> fits;
  for (const ExpertParameter& parameter : parameters) {
    if (module_of(parameter) != module) continue;
    if (parameter.in == a && parameter.out == b && parameter.exchanged != true) fits.push_back({&parameter, false});
    if (parameter.in == b && parameter.out == a && parameter.exchanged != false) fits.push_back({&parameter, true});
  }
  return fits;
}

/// A group's adapter from one that has the ranks of all its experts; its rank must be a multiple of the experts.
template <class T>
Adapter<T> experts_of(const Adapter<T>& all, const ParameterFit& fit) {
  const ExpertParameter& parameter = *fit.parameter;
  const Index experts = parameter.experts, rank = all.rank / experts;
  Adapter<T> group{parameter.name, parameter.in, parameter.out, rank, experts, all.scale, {}, {}};
  const auto A = [&](Index e, Index k, Index i) { return all.A[static_cast<std::size_t>((e * rank + k) * all.in + i)]; };
  const auto B = [&](Index e, Index o, Index k) { return all.B[static_cast<std::size_t>((o * rank + k) * experts + e)]; };
  group.A.reserve(static_cast<std::size_t>(experts * rank * group.in));
  group.B.reserve(static_cast<std::size_t>(experts * group.out * rank));
  for (Index e = 0; e < experts; ++e) {
    for (Index k = 0; k < rank; ++k)
      for (Index i = 0; i < group.in; ++i) group.A.push_back(fit.exchanged ? B(e, i, k) : A(e, k, i));
    for (Index o = 0; o < group.out; ++o)
      for (Index k = 0; k < rank; ++k) group.B.push_back(fit.exchanged ? A(e, k, o) : B(e, o, k));
  }
  return group;
}

}  // namespace detail

}  // namespace wu::io
