// Rotary position embedding on any number of axes.                                   Su et al. 2021; paper section 3.5
// The channels of a head are cut into slices, one per axis. In a slice of width k at position p the neighbouring channels
// (2i, 2i+1) turn by the angle p * 10000^(-2i/k):   (x0, x1) -> (x0 cos - x1 sin, x0 sin + x1 cos).
// Works in place on x (rows, C), C = heads * D; backward turns dx back by the same angles.
#pragma once

#include <array>
#include <cmath>

#include "wu/core/fits.hpp"
#include "wu/core/workspace.hpp"
#include "wu/ops/reference.hpp"

namespace wu {

/// One axis of a rotary embedding: row r has position (r / divisor) % positions + first on it.
struct RotaryAxis {
  Index width = 0;      ///< channels of the head that belong to this axis; even
  Index divisor = 1;    ///< rows from one position to the next
  Index positions = 1;  ///< how many positions the axis has
  Index first = 0;      ///< the position of index 0
};

/// The tables of one axis as Rotary describes them: cos, sin (positions, width).
template <class T>
void rotary_table(reference&, T* cos, T* sin, const RotaryAxis& axis) {
  for (Index i = 0; i < axis.width; i += 2) {
    const double frequency = std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(axis.width));
    for (Index p = 0; p < axis.positions; ++p) {
      const double angle = static_cast<double>(p + axis.first) * frequency;
      T *const c = cos + p * axis.width + i, *const s = sin + p * axis.width + i;
      c[0] = c[1] = static_cast<T>(std::cos(angle));
      s[1] = static_cast<T>(std::sin(angle));
      s[0] = static_cast<T>(-std::sin(angle));
    }
  }
}

/// Angles in double, cosine and sine rounded once to T. Tables are one per axis, (positions, width), each angle's cosine
/// written twice and its sine as (-sin, sin), so that the rotation is y[j] = x[j] cos[j] + x[j ^ 1] sin[j].
template <class T, std::size_t N>
struct Rotary {
  std::array<RotaryAxis, N> axes{};
  std::array<const T*, N> cos{}, sin{};

  /// Tables in the workspace. Throws ShapeError if an axis has an odd number of channels.
  static Rotary make(auto& ctx, Workspace& ws, const std::array<RotaryAxis, N>& axes) {
    Rotary rotary{axes, {}, {}};
    for (std::size_t a = 0; a < N; ++a) {
      const Index width = axes[a].width, count = axes[a].positions * width;
      if (width % 2 != 0)
        throw ShapeError(message("rope: expected an even number of channels for every axis, found ", width));
      T* const c = ws.take_values<T>(count);
      T* const s = ws.take_values<T>(count);
      rotary_table(ctx, c, s, axes[a]);
      rotary.cos[a] = c, rotary.sin[a] = s;
    }
    return rotary;
  }
  /// What make() takes from the workspace.
  static constexpr std::size_t bytes(const std::array<RotaryAxis, N>& axes) {
    std::size_t sum = 0;
    for (const RotaryAxis& axis : axes) sum += 2 * Workspace::bytes_of<T>(axis.positions * axis.width);
    return sum;
  }
};

namespace detail {
/// Rotary<T, 0> has no axes and turns nothing.
template <Index C, Index D, class T, std::size_t N>
void check_rotary(const Rotary<T, N>& rotary) {
  static_assert(
      fits<(C % D == 0), "rope: a head width of ", D, " does not divide ", C, ", the width of x; give a divisor of it">);
  Index width = 0;
  for (const RotaryAxis& axis : rotary.axes) width += axis.width;
  if (N > 0 && width != D)
    throw ShapeError(message("rope: expected axes that share a head of ", D, " channels, found ", width));
}

/// Turns one row; sign +1 forward, -1 backward.
template <Index C, Index D, class T, std::size_t N, class U>
void rotate_row(U* row, Index r, const Rotary<T, N>& rotary, int sign) {
  Index start = 0;
  for (std::size_t a = 0; a < N; ++a) {
    const RotaryAxis& axis = rotary.axes[a];
    const Index at = (r / axis.divisor) % axis.positions * axis.width;
    const T *c = rotary.cos[a] + at, *s = rotary.sin[a] + at;
    for (Index head = start; head < C; head += D)
      for (Index i = 0; i < axis.width; i += 2) {
        const auto x0 = static_cast<accumulator_t<U>>(row[head + i]), x1 = static_cast<accumulator_t<U>>(row[head + i + 1]);
        const auto sine = static_cast<accumulator_t<U>>(s[i + 1]) * static_cast<accumulator_t<U>>(sign);
        row[head + i] = static_cast<U>(x0 * static_cast<accumulator_t<U>>(c[i]) - x1 * sine);
        row[head + i + 1] = static_cast<U>(x0 * sine + x1 * static_cast<accumulator_t<U>>(c[i]));
      }
    start += axis.width;
  }
}
}  // namespace detail

/// x: (rows, C) View or Columns, in place. D is the head width, the sum of the axes' widths.
template <Index D, class T, std::size_t N>
void rope_forward(reference&, auto x, const Rotary<T, N>& rotary) {
  detail::check_rotary<x.width, D>(rotary);
  for (Index r = 0; r < x.rows(); ++r) detail::rotate_row<x.width, D>(x.row(r), r, rotary, 1);
}

/// dx: (rows, C) View or Columns, in place: in as the gradient of the turned rows, out as that of the rows before.
template <Index D, class T, std::size_t N>
void rope_backward(reference&, auto dx, const Rotary<T, N>& rotary) {
  detail::check_rotary<dx.width, D>(rotary);
  for (Index r = 0; r < dx.rows(); ++r) detail::rotate_row<dx.width, D>(dx.row(r), r, rotary, -1);
}

}  // namespace wu
