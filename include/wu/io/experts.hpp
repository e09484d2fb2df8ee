// A group of experts as single modules, for programs that know an expert by its number.
//     "G.w1" of E experts  ->  "G.0.w1", "G.1.w1", ...
// HunyuanImage-3.0 stores an expert as two layers, named otherwise: down_proj is w2, and the rows of gate_and_up_proj are those
// of w3 and then those of w1. The pair of both is exact with the sum of their ranks:
//     A = [A_w3; A_w1]        B = [B_w3 0; 0 B_w1]
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/io/adapter.hpp"

namespace wu::io {

/// What the layers of an expert are called.
enum class ExpertNames {
  hunyuan_image,  ///< w1, w2, w3 of a group become gate_and_up_proj and down_proj; others keep their names
  as_generated,   ///< every name is kept
};

namespace detail {

/// "model.layers.0.mlp.experts", "w1" of a group's name, which has a point.
struct GroupName {
  std::string_view group, layer;
};
inline GroupName split_group(const std::string& module) {
  const std::size_t point = module.rfind('.');
  if (point == std::string::npos || point == 0 || point + 1 == module.size())
    throw Error(message("adapter of ", printable(module), ": expected a group of experts to be named \"group.layer\""));
  return {std::string_view(module).substr(0, point), std::string_view(module).substr(point + 1)};
}

inline std::string expert_name(std::string_view group, Index expert, std::string_view layer) {
  return std::string(group) + "." + std::to_string(expert) + "." + std::string(layer);
}

/// Expert e of a group under a name of its own.
template <class T>
Adapter<T> expert_of(const Adapter<T>& group, Index e, std::string name) {
  const auto A = group.A.begin() + e * group.rank * group.in, B = group.B.begin() + e * group.out * group.rank;
  return {std::move(name),
          group.in,
          group.out,
          group.rank,
          0,
          group.scale,
          {A, A + group.rank * group.in},
          {B, B + group.out * group.rank}};
}

/// Plain adapters of layers with one input, as one of a layer whose output is theirs one after the other: A stacked, each B in
/// a block of its own. The scale is the first that is not 0.
template <class T>
Adapter<T> stacked_outputs(std::vector<Adapter<T>> parts, std::string name) {
  Adapter<T> all{std::move(name), parts.front().in, 0, 0, 0, 0, {}, {}};
  for (const Adapter<T>& part : parts) {
    all.out += part.out;
    all.rank += part.rank;
    if (all.scale == 0) all.scale = part.scale;
  }
  if (all.scale == 0) all.scale = 1;
  all.B.assign(static_cast<std::size_t>(all.out * all.rank), T(0));
  Index row = 0, column = 0;
  for (Adapter<T>& part : parts) {
    rescale(part, all.scale);
    all.A.insert(all.A.end(), part.A.begin(), part.A.end());
    for (Index o = 0; o < part.out; ++o)
      std::copy_n(part.B.begin() + o * part.rank, part.rank, all.B.begin() + (row + o) * all.rank + column);
    row += part.out;
    column += part.rank;
  }
  return all;
}

}  // namespace detail

/// The same adapters without groups. Throws ShapeError where w1 and w3 of a group do not belong together, and Error where a
/// group's name has no point.
template <class T>
Adapters<T> split_experts(Adapters<T> adapters, ExpertNames names = ExpertNames::hunyuan_image) {
  check_adapters(adapters);
  std::map<std::string, std::size_t, std::less<>> places;
  for (std::size_t k = 0; k < adapters.size(); ++k)
    if (adapters[k].experts > 0) places.emplace(adapters[k].module, k);
  const auto partner = [&](const Adapter<T>& adapter, std::string_view group, const char* layer) -> Adapter<T>& {
    const auto at = places.find(std::string(group) + "." + layer);
    if (at == places.end())
      throw ShapeError(message("adapter of ", adapter.describe(), ": expected one of ",
                               printable(std::string(group) + "." + layer),
                               " too, for the two are one layer, gate_and_up_proj, of HunyuanImage-3.0"));
    Adapter<T>& other = adapters[at->second];
    if (other.in != adapter.in || other.out != adapter.out || other.experts != adapter.experts)
      throw ShapeError(message("expected equal widths of w3 and w1, found ", adapter.describe(), " and ", other.describe()));
    return other;
  };
  Adapters<T> split;
  for (Adapter<T>& adapter : adapters) {
    if (adapter.experts == 0) {
      split.push_back(std::move(adapter));
      continue;
    }
    const auto [group, layer] = detail::split_group(adapter.module);
    const bool fused = names == ExpertNames::hunyuan_image;
    if (fused && layer == "w1") {
      partner(adapter, group, "w3");
      continue;  // it goes with w3
    }
    for (Index e = 0; e < adapter.experts; ++e) {
      if (fused && layer == "w3")
        split.push_back(detail::stacked_outputs<T>(
            {detail::expert_of(adapter, e, ""), detail::expert_of(partner(adapter, group, "w1"), e, "")},
            detail::expert_name(group, e, "gate_and_up_proj")));
      else
        split.push_back(
            detail::expert_of(adapter, e, detail::expert_name(group, e, fused && layer == "w2" ? "down_proj" : layer)));
    }
  }
  check_adapters(split);
  return split;
}

}  // namespace wu::io
