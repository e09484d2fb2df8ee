// The grid of parameter tokens and its named axes: FactorizedAttention<"token", "rank"> attends over the axes it names, within
// groups that share the others.                                                                         paper section 3.5
#pragma once

#include <array>

#include "wu/core/describe.hpp"
#include "wu/core/name.hpp"
#include "wu/ops/attention.hpp"
#include "wu/ops/rope.hpp"

namespace wu {

/// A named axis of a Grid.
template <Name AxisName, Index Size>
struct Axis {
  static_assert(Size > 0, "Axis: the size must be positive");
  static constexpr auto name = AxisName;
  static constexpr Index size = Size;
};

/// A row-major grid of positions, first axis outermost.
template <class... Axes>
struct Grid {
  static constexpr std::size_t rank = sizeof...(Axes);
  static constexpr std::array<Index, rank> sizes{Axes::size...};
  static constexpr Index size = (Index{1} * ... * Axes::size);

  /// "layer 4 × token 46 × rank 2 = 368 positions"
  static std::string describe() {
    std::string text;
    ((text += (text.empty() ? "" : " × ") + std::string(Axes::name.view()) + " " + text::grouped(Axes::size)), ...);
    return text + " = " + text::counted(size, "position");
  }

  /// The axis of this name; rank if there is none.
  template <Name Wanted>
  static constexpr std::size_t find() {
    const std::array<bool, rank> same{(Axes::name.view() == Wanted.view())...};
    for (std::size_t a = 0; a < rank; ++a)
      if (same[a]) return a;
    return rank;
  }
  /// Rows from one index of axis a to the next.
  static constexpr Index stride(std::size_t a) {
    Index n = 1;
    for (std::size_t k = a + 1; k < rank; ++k) n *= sizes[k];
    return n;
  }
  /// No name stands twice in the list.
  template <Name... Wanted>
  static constexpr bool names_differ() {
    const std::array<std::size_t, sizeof...(Wanted)> at{find<Wanted>()...};
    for (std::size_t i = 0; i < at.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (at[i] == at[j]) return false;
    return true;
  }

  /// Which rows attend to which when attention goes over the named axes, for `batch` grids one after the other.
  template <Name... Attended>
  static AttentionRows attend(Index batch) {
    static_assert(((find<Attended>() < rank) && ...), "FactorizedAttention: the grid has no axis of this name");
    static_assert(names_differ<Attended...>(), "FactorizedAttention: an axis is named twice");
    std::array<bool, rank> inside{};
    ((inside[find<Attended>()] = true), ...);
    AttentionRows rows;
    rows.query_group.push({batch, size});
    for (std::size_t a = 0; a < rank; ++a) (inside[a] ? rows.query : rows.query_group).push({sizes[a], stride(a)});
    rows.key_group = rows.query_group;
    rows.key = rows.query;
    return rows;
  }

  /// One rotary axis for each name, the head's channels shared equally.
  template <Index HeadWidth, Name... Attended>
  static constexpr std::array<RotaryAxis, sizeof...(Attended)> rotary() {
    constexpr Index share = HeadWidth / static_cast<Index>(sizeof...(Attended));
    static_assert(
        share % 2 == 0 && share * static_cast<Index>(sizeof...(Attended)) == HeadWidth,
        "FactorizedAttention: the head width must be a multiple of twice the number of attended axes, for rotary pairs");
    return {RotaryAxis{share, stride(find<Attended>()), sizes[find<Attended>()], 0}...};
  }
};

}  // namespace wu
