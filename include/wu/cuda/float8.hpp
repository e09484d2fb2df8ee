// FP8, the format e4m3: 1 sign, 4 bits of exponent with bias 7, 3 bits of mantissa. No infinity; all bits but the sign set is NaN.
// The largest number is 448, the smallest above zero 2^-9.              Micikevicius et al. 2022, "FP8 formats for deep learning"
#pragma once

#include <bit>
#include <cmath>

#include "wu/cuda/block.hpp"

namespace wu::cuda {

/// A number in FP8 (e4m3). Operands of products alone: its scale stands beside it, see wu/cuda/float8_weights.hpp.
struct float8 {
  std::uint8_t bits = 0;

  /// The largest number.
  static constexpr float largest = 448;

  float8() = default;
  /// Rounds to nearest, ties to even; what is larger than 448 becomes 448, infinity too; a NaN stays a NaN.
  WU_BODY explicit float8(float value) : bits(static_cast<std::uint8_t>(pair(value, 0))) {}
  /// Exact.
  WU_BODY explicit operator float() const {
    const std::uint32_t magnitude = bits & 0x7fu, sign = static_cast<std::uint32_t>(bits & 0x80u) << 24;
    std::uint32_t whole = (magnitude << 20) + (120u << 23);  // the exponent's bias is 127 in a float
    if (magnitude == 0x7fu) whole = 0x7fc00000u;
    else if (magnitude < 8) whole = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) / 512);  // below 2^-6
    return std::bit_cast<float>(whole | sign);
  }

  /// The bits of two numbers, rounded likewise, the first in the lower byte.
  WU_BODY static std::uint16_t pair(float first, float second) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
    std::uint16_t both;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(both) : "f"(second), "f"(first));
    return both;
#else
    return static_cast<std::uint16_t>(rounded(first) | rounded(second) << 8);
#endif
  }

 private:
  WU_BODY static std::uint32_t rounded(float value) {
    const auto whole = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = whole >> 24 & 0x80u, magnitude = whole & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return 0x7fu;
    if (magnitude > 0x43e00000u) return sign | 0x7eu;  // 448
    if (magnitude < 0x3c800000u) {                     // 2^-6: below it numbers lie 2^-9 apart, as floats do from 2^14 on
      const float shifted = std::bit_cast<float>(magnitude) + 16384.0f;
      return sign | (std::bit_cast<std::uint32_t>(shifted) & 0xfu);
    }
    return sign | (((magnitude + 0x7ffffu + (magnitude >> 20 & 1u)) >> 20) - (120u << 3));
  }
};

}  // namespace wu::cuda
