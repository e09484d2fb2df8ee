// Which linear layers of a backbone are adapted: the shape that a tokenizer is made for.                 paper section 3.4
#pragma once

#include <array>
#include <numeric>
#include <string>
#include <string_view>

#include "wu/core/describe.hpp"
#include "wu/core/name.hpp"
#include "wu/core/view.hpp"

namespace wu {

/// One adapted linear layer In -> Out: adapter A (rank, In), B (Out, rank).
template <Name ModuleName, Index In, Index Out>
struct Adapted {
  static_assert(In > 0 && Out > 0, "Adapted: widths must be positive");
  static constexpr std::size_t count = 1;
  /// Calls add(group, sub, in, out, experts).
  static constexpr void list(auto&& add) { add(ModuleName.view(), std::string_view{}, In, Out, Index{1}); }
};

/// A group of Experts experts; each of Modules (Adapted) stands once for all experts, named "group.module".
template <Name GroupName, Index Experts, class... Modules>
struct AdaptedExperts {
  static_assert(Experts > 0, "AdaptedExperts: the number of experts must be positive");
  static constexpr std::size_t count = sizeof...(Modules);
  /// Calls add(group, sub, in, out, experts) for each module.
  static constexpr void list(auto&& add) {
    (Modules::list([&](std::string_view name, std::string_view, Index in, Index out, Index) {
       add(GroupName.view(), name, in, out, Experts);
     }),
     ...);
  }
};

/// A module as the tokenizer sees it.
struct AdaptedModule {
  std::string_view group, sub;  ///< the module's name is group, or "group.sub" for experts
  Index in = 0, out = 0, experts = 1;

  /// As adapters' files name it.
  std::string name() const { return sub.empty() ? std::string(group) : std::string(group) + "." + std::string(sub); }
  std::string describe() const { return name() + (sub.empty() ? "" : ", " + text::counted(experts, "expert")); }
  /// Whether name() is `wanted`, at compile time too.
  constexpr bool named(std::string_view wanted) const {
    if (sub.empty()) return wanted == group;
    return wanted.size() == group.size() + 1 + sub.size() && wanted.substr(0, group.size()) == group &&
           wanted[group.size()] == '.' && wanted.substr(group.size() + 1) == sub;
  }
};

/// `Layers` equal layers, each with these adapted modules, in the order in which their tokens lie.
template <Index Layers, class... Modules>
struct AdaptedLayers {
  static_assert(Layers > 0, "AdaptedLayers: a backbone has at least one layer");
  static_assert(sizeof...(Modules) > 0,
                "AdaptedLayers: the list of adapted modules is empty; name at least one wu::Adapted");
  static constexpr Index layers = Layers;
  static constexpr std::size_t module_count = (std::size_t{0} + ... + Modules::count);
  static constexpr std::array<AdaptedModule, module_count> modules = [] {
    std::array<AdaptedModule, module_count> all{};
    std::size_t n = 0;
    (Modules::list([&](std::string_view group, std::string_view sub, Index in, Index out, Index experts) {
       all[n++] = {group, sub, in, out, experts};
     }),
     ...);
    return all;
  }();
  /// Every module has a name of its own.
  static constexpr bool names_differ = [] {
    for (std::size_t i = 0; i < module_count; ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (modules[i].group == modules[j].group && modules[i].sub == modules[j].sub) return false;
    return true;
  }();
  static_assert(names_differ, "AdaptedLayers: a module is listed twice");
  /// The largest token width that divides every adapted width (paper section 3.4).
  static constexpr Index gcd_width = [] {
    Index g = 0;
    for (const AdaptedModule& m : modules) g = std::gcd(std::gcd(g, m.in), m.out);
    return g;
  }();

  static std::string describe() {
    std::vector<std::vector<std::string>> rows{{"module", "in", "out"}};
    for (const AdaptedModule& m : modules) rows.push_back({m.describe(), text::grouped(m.in), text::grouped(m.out)});
    return text::counted(layers, "layer") + " with " + text::counted(static_cast<Index>(module_count), "adapted module") +
           "; every width is a multiple of " + text::grouped(gcd_width) + text::table(rows, 1);
  }
};

/// The largest token width that divides every adapted width of Shape.
template <class Shape>
inline constexpr Index gcd_width = Shape::gcd_width;

}  // namespace wu
