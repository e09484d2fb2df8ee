// The grid of parameter tokens and its named axes: FactorizedAttention<"token", "rank"> attends over the axes it names, within
// groups that share the others.                                                                         paper section 3.5
#pragma once

#include <array>

#include "wu/core/describe.hpp"
#include "wu/core/fits.hpp"
#include "wu/core/name.hpp"
#include "wu/ops/attention.hpp"
#include "wu/ops/rope.hpp"

namespace wu {

namespace detail {
template <class Wanted, class Listed>
struct AxisFound;
template <char... Wanted, char... Listed>
struct AxisFound<Spelled<Wanted...>, Spelled<Listed...>> {
  static_assert(fits<(sizeof...(Wanted) == 0), "FactorizedAttention: the grid has no axis named ", Wanted...,
                     "; name some of ", Listed...>);
  static constexpr bool value = true;
};
template <class Repeated>
struct AxesDiffer;
template <char... Repeated>
struct AxesDiffer<Spelled<Repeated...>> {
  static_assert(
      fits<(sizeof...(Repeated) == 0), "FactorizedAttention: axis ", Repeated..., " is named twice; name it once">);
  static constexpr bool value = true;
};
/// Attended axes share a head's channels equally, and each takes pairs of them.
template <Index HeadWidth, Index Attended>
struct RotaryShare {
  static_assert(fits<(HeadWidth % (2 * Attended) == 0), "FactorizedAttention: a head width of ", HeadWidth,
                     " has no even part for each of ", Attended, " attended axes; give a multiple of twice their number">);
  static constexpr Index value = HeadWidth / Attended / 2 * 2;
};
}  // namespace detail

/// A named axis of a Grid.
template <Name AxisName, Index Size>
struct Axis {
  static_assert(fits<(Size > 0), "Axis: expected a size of at least 1, found ", Size>);
  static constexpr auto name = AxisName;
  static constexpr Index size = Size;
};

namespace detail {
/// A grid without its outermost axis.
template <class Grid>
struct InnerGrid;
}  // namespace detail

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

  /// The grid that stands at each index of the first axis.
  using Inner = typename detail::InnerGrid<Grid>::type;

  /// The axis of this name; rank if there is none.
  template <Name Wanted>
  static constexpr std::size_t find() {
    const std::array<bool, rank> same{(Axes::name.view() == Wanted.view())...};
    for (std::size_t a = 0; a < rank; ++a)
      if (same[a]) return a;
    return rank;
  }
  /// The axis of this name, which must be one of the grid's.
  template <Name Wanted>
  static constexpr std::size_t axis() {
    return find<Wanted>() % rank;
  }
  /// For the message about an axis that is not there: its name, nothing if it is there; and the names of those that are.
  template <Name Wanted>
  using unknown = std::conditional_t<(find<Wanted>() < rank), detail::Spelled<>, detail::spelled<detail::NameList<Wanted>>>;
  /// The names of the axes, for messages.
  using names = detail::spelled<detail::NameList<Axes::name...>>;
  /// Rows from one index of axis a to the next.
  static constexpr Index stride(std::size_t a) {
    Index n = 1;
    for (std::size_t k = a + 1; k < rank; ++k) n *= sizes[k];
    return n;
  }

  /// Which rows attend to which when attention goes over the named axes, for `batch` grids one after the other.
  template <Name... Attended>
  static AttentionRows attend(Index batch) {
    static_assert((detail::AxisFound<unknown<Attended>, names>::value && ...));
    static_assert(detail::AxesDiffer<detail::spelled<detail::RepeatedName<Attended...>>>::value);
    std::array<bool, rank> inside{};
    ((inside[axis<Attended>()] = true), ...);
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
    static_assert((detail::AxisFound<unknown<Attended>, names>::value && ...));
    constexpr Index share = detail::RotaryShare<HeadWidth, static_cast<Index>(sizeof...(Attended))>::value;
    return {RotaryAxis{share, stride(axis<Attended>()), sizes[axis<Attended>()], 0}...};
  }
};

namespace detail {
template <class First, class... Others>
struct InnerGrid<Grid<First, Others...>> {
  using type = Grid<Others...>;
};
template <>
struct InnerGrid<Grid<>> {
  using type = Grid<>;
};
}  // namespace detail

}  // namespace wu
