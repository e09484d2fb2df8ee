// Which linear layers of a backbone are adapted: the shape that a tokenizer is made for.                 paper section 3.4
#pragma once

#include <array>
#include <numeric>
#include <string>
#include <string_view>

#include "wu/core/describe.hpp"
#include "wu/core/fits.hpp"
#include "wu/core/name.hpp"
#include "wu/core/view.hpp"

namespace wu {

/// One adapted linear layer In -> Out: adapter A (rank, In), B (Out, rank).
template <Name ModuleName, Index In, Index Out>
struct Adapted {
  static_assert(fits<(In > 0 && Out > 0), "Adapted: expected widths In and Out of at least 1, found ", In, Out>);
  static constexpr std::size_t count = 1;
  /// Calls add(group, sub, in, out, experts).
  static constexpr void list(auto&& add) { add(ModuleName.view(), std::string_view{}, In, Out, Index{1}); }
};

/// A group of Experts experts; each of Modules (Adapted) stands once for all experts, named "group.module".
template <Name GroupName, Index Experts, class... Modules>
struct AdaptedExperts {
  static_assert(fits<(Experts > 0), "AdaptedExperts: expected at least 1 expert, found ", Experts>);
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

namespace detail {
template <class... Modules>
inline constexpr std::array<AdaptedModule, (std::size_t{0} + ... + Modules::count)> listed_modules = [] {
  std::array<AdaptedModule, (std::size_t{0} + ... + Modules::count)> all{};
  std::size_t n = 0;
  (Modules::list([&](std::string_view group, std::string_view sub, Index in, Index out, Index experts) {
     all[n++] = {group, sub, in, out, experts};
   }),
   ...);
  return all;
}();
constexpr void spell_module(auto&& put, const AdaptedModule& m) {
  for (const char letter : m.group) put(letter);
  if (!m.sub.empty()) put('.');
  for (const char letter : m.sub) put(letter);
}
/// Texts: the names of all modules, and the first that is listed twice, or nothing.
template <class... Modules>
struct ModuleNames {
  static constexpr void spell(auto&& put) {
    bool first = true;
    for (const AdaptedModule& m : listed_modules<Modules...>) {
      if (!first) put(','), put(' ');
      spell_module(put, m);
      first = false;
    }
  }
};
template <class... Modules>
struct RepeatedModule {
  static constexpr void spell(auto&& put) {
    const auto& all = listed_modules<Modules...>;
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (all[i].group == all[j].group && all[i].sub == all[j].sub) return spell_module(put, all[i]);
  }
};
template <bool Any>
struct AnyModules {
  static_assert(fits<Any, "AdaptedLayers: expected at least 1 module, as wu::Adapted<name, In, Out>, found none">);
  static constexpr bool value = true;
};
template <class Repeated>
struct ModulesDiffer;
template <char... Repeated>
struct ModulesDiffer<Spelled<Repeated...>> {
  static_assert(fits<(sizeof...(Repeated) == 0), "AdaptedLayers: module ", Repeated...,
                     " is listed twice; list it once, or give one of the two another name">);
  static constexpr bool value = true;
};
}  // namespace detail

/// `Layers` equal layers, each with these adapted modules, in the order in which their tokens lie.
template <Index Layers, class... Modules>
struct AdaptedLayers {
  static_assert(fits<(Layers > 0), "AdaptedLayers: expected at least 1 layer, found ", Layers>);
  static_assert(detail::AnyModules<(sizeof...(Modules) > 0)>::value);
  static_assert(detail::ModulesDiffer<detail::spelled<detail::RepeatedModule<Modules...>>>::value);
  static constexpr Index layers = Layers;
  static constexpr std::size_t module_count = (std::size_t{0} + ... + Modules::count);
  static constexpr const std::array<AdaptedModule, module_count>& modules = detail::listed_modules<Modules...>;
  /// Their names, for messages.
  using names = detail::ModuleNames<Modules...>;
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
