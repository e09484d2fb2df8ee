// Views: a pointer and its extents, which stand in the type except for those written wu::dyn.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "wu/core/error.hpp"
#include "wu/core/fits.hpp"

namespace wu {

/// Extents, counts and positions; signed, so that a difference may be negative.
using Index = std::ptrdiff_t;

/// An extent that is known only at run time: batch, condition length, image size.
inline constexpr Index dyn = -1;

template <class T, Index... E>
class View;
template <class T, Index W>
class Columns;

namespace detail {
/// Why a `From` is no `To`, which is a View. Empty unless From is a view of some kind, or owns one, and not of the right kind.
template <class To, class From>
struct ViewMistake {};
template <class T, Index... E, class U, Index... F>
  requires(!std::is_same_v<std::remove_const_t<T>, std::remove_const_t<U>>)
struct ViewMistake<View<T, E...>, View<U, F...>> {
  static constexpr auto why = sentence<"expected a View of ", type<T>, ", found one of ", type<U>,
                                       "; values, weights and gradients have one scalar type">;
};
template <class T, Index... E, class U, Index... F>
  requires(std::is_same_v<std::remove_const_t<T>, std::remove_const_t<U>> &&
           !std::is_same_v<View<const T, E...>, View<const U, F...>>)
struct ViewMistake<View<T, E...>, View<U, F...>> {
  static constexpr auto why = sentence<"expected a View of extents ", E..., ", found one of extents ", F...,
                                       "; give the extents expected (-1 is wu::dyn, any number; flat() is (rows, width))">;
};
template <class T, Index... E>
  requires(!std::is_const_v<T>)
struct ViewMistake<View<T, E...>, View<const T, E...>> {
  static constexpr auto why = sentence<"expected a View of ", type<T>, ", found one of ", type<const T>,
                                       ", which may only be read; write to a View of values that are yours to change">;
};
template <class T, Index... E, class U, Index W>
struct ViewMistake<View<T, E...>, Columns<U, W>> {
  static constexpr auto why = sentence<"expected a View, whose rows lie one after the other in memory, found Columns of ", W,
                                       " out of a wider matrix; copy them into a View first">;
};
template <class To, class Owner>
  requires requires(Owner& owner) { ViewMistake<To, decltype(owner.view())>::why; }
struct ViewMistake<To, Owner> : ViewMistake<To, decltype(std::declval<Owner&>().view())> {};
}  // namespace detail

/// Row-major, contiguous, not owning. View<float, dyn, 3> is (n, 3); View<const float, 4, 3> may not be written through.
/// A view whose data is null stands for "not wanted" where an operation's text allows it.
template <class T, Index... E>
class View {
 public:
  static_assert(((E == dyn || E >= 0) && ...), "View: an extent is a non-negative number or wu::dyn");
  /// The scalar, without const.
  using value_type = std::remove_const_t<T>;
  /// The scalar, const where nothing may be written through the view.
  using element_type = T;
  /// How many extents there are.
  static constexpr std::size_t rank = sizeof...(E);
  /// How many of them are wu::dyn.
  static constexpr std::size_t dynamic_count = (std::size_t{0} + ... + (E == dyn ? 1 : 0));
  /// The extents of the type, in order.
  static constexpr std::array<Index, rank> extents{E...};
  static constexpr Index width = (Index{1}, ..., E);  ///< the last extent
  /// Those that are not wu::dyn, multiplied.
  static constexpr Index fixed_size = (Index{1} * ... * (E == dyn ? 1 : E));

  T* data = nullptr;
  /// The run-time extents, in order.
  std::array<Index, dynamic_count> dynamic{};

  constexpr View() = default;
  /// One run-time extent for every wu::dyn, in order.
  constexpr explicit(dynamic_count == 0) View(T* memory, std::convertible_to<Index> auto... sizes)
    requires(sizeof...(sizes) == dynamic_count)
      : data(memory), dynamic{static_cast<Index>(sizes)...} {}
  /// The run-time extents as an array.
  constexpr View(T* memory, const std::array<Index, dynamic_count>& sizes) : data(memory), dynamic(sizes) {}
  /// Another number of run-time extents: it does not compile, and says why.
  template <std::convertible_to<Index>... Sizes, std::size_t Found = sizeof...(Sizes), std::size_t Expected = dynamic_count>
    requires(Found != Expected)
  constexpr explicit View(T*, Sizes...) {
    static_assert(fits<(Expected == Found), "View: expected one number for every wu::dyn among the extents, ", Expected,
                       ", found ", Found>);
  }
  /// Another View, or the owner of one, that does not fit: g++ prints why, clang both types.
  template <class Found, detail::Sentence Why = detail::ViewMistake<View, Found>::why>
  constexpr View(const Found&) = delete;

  /// Not checked for overflow: where memory is taken it is (core/buffer.hpp).
  constexpr Index size() const {
    Index n = fixed_size;
    for (const Index d : dynamic) n *= d;
    return n;
  }
  /// How many entries axis has.
  constexpr Index extent(std::size_t axis) const {
    if (extents[axis] != dyn) return extents[axis];
    std::size_t k = 0;
    for (std::size_t a = 0; a < axis; ++a) k += extents[a] == dyn;
    if constexpr (dynamic_count > 0) return dynamic[k];
    else return 0;
  }
  /// All extents but the last, multiplied.
  constexpr Index rows() const {
    Index n = 1;
    for (std::size_t a = 0; a + 1 < rank; ++a) n *= extent(a);
    return n;
  }
  /// Where row r begins; only the last extent tells how far that is, so it must stand in the type.
  constexpr T* row(Index r) const
    requires(width != dyn)
  {
    return data + r * width;
  }
  /// Entry k in row-major order.
  constexpr T& operator[](Index k) const { return data[k]; }
  /// The first entry in row-major order.
  constexpr T* begin() const { return data; }
  /// Behind the last entry.
  constexpr T* end() const { return data + size(); }

  /// To one through which nothing can be written.
  constexpr operator View<const T, E...>() const
    requires(!std::is_const_v<T>)
  {
    return View<const T, E...>(data, dynamic);
  }

  /// The same values as (rows, width).
  constexpr View<T, dyn, width> flat() const
    requires(width != dyn)
  {
    return {data, rows()};
  }
};

/// The same view, not to be written through.
template <class T, Index... E>
  requires(sizeof...(E) > 0)
constexpr View<const T, E...> as_const(View<T, E...> v) {
  return View<const T, E...>(v.data, v.dynamic);
}

/// W columns out of a wider matrix: row r begins at data + r * stride. What slices a joint projection (q, k, v; shift, scale).
template <class T, Index W>
class Columns {
 public:
  /// The scalar, without const.
  using value_type = std::remove_const_t<T>;
  /// The scalar, const where nothing may be written through the view.
  using element_type = T;
  static constexpr Index width = W;

  T* data = nullptr;
  Index count = 0;   ///< rows
  Index stride = W;  ///< elements from one row to the next

  constexpr Columns() = default;
  /// `rows` rows of W values, row_stride elements apart.
  constexpr Columns(T* memory, Index rows, Index row_stride) : data(memory), count(rows), stride(row_stride) {}
  /// All columns of a view.
  template <class U, Index... E>
    requires(View<U, E...>::width == W && std::is_convertible_v<U*, T*>)
  constexpr Columns(View<U, E...> all) : data(all.data), count(all.rows()) {}
  /// To one through which nothing can be written.
  constexpr operator Columns<const T, W>() const
    requires(!std::is_const_v<T>)
  {
    return {data, count, stride};
  }

  /// How many rows there are.
  constexpr Index rows() const { return count; }
  /// How many entries there are.
  constexpr Index size() const { return count * W; }
  /// Element k of the W columns, row by row.
  constexpr T& operator[](Index k) const { return data[k / W * stride + k % W]; }
  /// Where row r begins.
  constexpr T* row(Index r) const { return data + r * stride; }
};

/// Columns From .. From + W - 1 of a matrix.
template <Index From, Index W, class T, Index... E>
constexpr Columns<T, W> columns(View<T, E...> all) {
  static_assert(From >= 0 && From + W <= View<T, E...>::width, "columns: the slice reaches beyond the last extent");
  return {all.data ? all.data + From : nullptr, all.rows(), View<T, E...>::width};
}

/// Throws ShapeError unless every view has the same number of rows. `what` names the operation.
template <class First, class... Rest>
void check_rows(const char* what, const First& first, const Rest&... rest) {
  const auto check = [&](const auto& view) {
    if (view.rows() != first.rows())
      throw ShapeError(message(what, ": expected ", first.rows(), " rows, found ", view.rows()));
  };
  (check(rest), ...);
}

}  // namespace wu
