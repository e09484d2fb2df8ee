// Scalars: float, double and bfloat16, and the type in which each is summed.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace wu {

/// The upper half of a binary32. Stores weights and activations; arithmetic happens in float.
struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  /// Rounds to nearest, ties to even; a NaN stays a NaN.
  constexpr bfloat16(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    if ((u & 0x7fffffffu) > 0x7f800000u) bits = static_cast<std::uint16_t>((u >> 16) | 0x40u);
    else bits = static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  /// Any other number by way of float, which rounds first.
  template <class Number>
    requires std::is_arithmetic_v<Number>
  constexpr explicit bfloat16(Number value) : bfloat16(static_cast<float>(value)) {}
  /// Exact.
  constexpr operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

  /// Rounded once. A long sum of small terms stops growing: sum in float instead.
  constexpr bfloat16& operator+=(float x) { return *this = bfloat16(static_cast<float>(*this) + x); }
  /// Rounded once.
  constexpr bfloat16& operator*=(float x) { return *this = bfloat16(static_cast<float>(*this) * x); }
};

namespace detail {
template <class T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<bfloat16> {
  using type = float;
};
}  // namespace detail

/// The type in which values of T are summed: T itself, float for bfloat16.
template <class T>
using accumulator_t = typename detail::Accumulator<std::remove_const_t<T>>::type;

///@{
/// The name a checkpoint file gives to T.
template <class T>
inline constexpr std::string_view dtype_name = "?";
template <>
inline constexpr std::string_view dtype_name<float> = "F32";
template <>
inline constexpr std::string_view dtype_name<double> = "F64";
template <>
inline constexpr std::string_view dtype_name<bfloat16> = "BF16";
///@}

}  // namespace wu
