// exp and 2^t in vector registers, for float and double, so that a loop can take them between its other operations:
//     2^t = 2^n 2^f, n = floor(t), 0 <= f <= 1;   2^f = 1 + f (c_1 + f (c_2 + ...)), of least largest relative error on [0, 1]
//     exp(x) = 2^n 2^f, n = floor(x log2(e)), f = (x - n log(2)) log2(e), log(2) as a sum of two numbers
// At most 2 units in the last place off (2.5 where the processor has no fused multiply-add) wherever the result is a normal
// number; the right infinity, 0 and NaN elsewhere. exp(0) is 1.
#pragma once

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>
#endif

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "wu/cpu/lanes.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::detail {

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  using Bits = std::uint32_t;
  static constexpr int mantissa = 23;
  static constexpr Bits bias = 127;
  /// Below, the result is 0; above, infinite.
  static constexpr float lowest = -104, highest = 89, lowest2 = -151, highest2 = 129;
  static constexpr float log2_e = 1.44269504088896341f, ln2_high = 0.693145752f, ln2_low = 1.42860677e-6f;
  static constexpr std::array<float, 7> c{
      1.0f, 0.6931470444f, 0.2402293056f, 0.05548528062f, 0.009675451568f, 0.001246784643f, 0.0002161291505f};
};
template <>
struct ExpConstants<double> {
  using Bits = std::uint64_t;
  static constexpr int mantissa = 52;
  static constexpr Bits bias = 1023;
  static constexpr double lowest = -746, highest = 710, lowest2 = -1076, highest2 = 1025;
  static constexpr double log2_e = 1.44269504088896340736, ln2_high = 6.93147180369123816490e-01,
                          ln2_low = 1.90821492927058770002e-10;
  static constexpr std::array<double, 13> c{1.0,
                                            0.6931471805599452998,
                                            0.24022650695910139359,
                                            0.055504108664804846917,
                                            0.0096181291078335530937,
                                            0.0013333558131766155349,
                                            0.00015403531057980822944,
                                            0.000015252713800774843452,
                                            1.3215895713011160685e-6,
                                            1.0172390646598992862e-7,
                                            7.1079742674726703477e-9,
                                            4.1311295702070265675e-10,
                                            3.6192716301498341864e-11};
};

/// The larger, or the smaller, of x and a limit; x where it is NaN.
template <class T, class V>
[[gnu::always_inline]] inline V at_least(const V& x, T limit) {
  const V all = limit - V{};
  return x < all ? all : x;
}
template <class T, class V>
[[gnu::always_inline]] inline V at_most(const V& x, T limit) {
  const V all = limit - V{};
  return x > all ? all : x;
}

/// 2^f for 0 <= f <= 1.
template <class T, class V>
[[gnu::always_inline]] inline V exp2_polynomial(const V& f) {
  constexpr auto& c = ExpConstants<T>::c;
  V sum = c[c.size() - 1] - V{};
  for (std::size_t k = c.size() - 1; k-- > 0;) sum = sum * f + c[k];
  return sum;
}

#if defined(__AVX512F__) && defined(__AVX512DQ__)
template <class V>
inline constexpr bool whole_register = sizeof(V) == 64;

// With a mask of ones: without one, g++ 12 warns in its own header.
/// floor(t), t - floor(t), and x 2^floor(t).
template <class T, class V>
[[gnu::always_inline]] inline V whole_part(const V& t) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<V>(_mm512_maskz_roundscale_ps(0xFFFF, std::bit_cast<__m512>(t), _MM_FROUND_TO_NEG_INF));
  else return std::bit_cast<V>(_mm512_maskz_roundscale_pd(0xFF, std::bit_cast<__m512d>(t), _MM_FROUND_TO_NEG_INF));
}
template <class T, class V>
[[gnu::always_inline]] inline V fraction(const V& t) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<V>(_mm512_maskz_reduce_ps(0xFFFF, std::bit_cast<__m512>(t), _MM_FROUND_TO_NEG_INF));
  else return std::bit_cast<V>(_mm512_maskz_reduce_pd(0xFF, std::bit_cast<__m512d>(t), _MM_FROUND_TO_NEG_INF));
}
template <class T, class V>
[[gnu::always_inline]] inline V scaled(const V& x, const V& t) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<V>(_mm512_maskz_scalef_ps(0xFFFF, std::bit_cast<__m512>(x), std::bit_cast<__m512>(t)));
  else return std::bit_cast<V>(_mm512_maskz_scalef_pd(0xFF, std::bit_cast<__m512d>(x), std::bit_cast<__m512d>(t)));
}
#else
template <class V>
inline constexpr bool whole_register = false;
#endif

/// n = floor(t), or t - 1 where t is whole, for limited t: added to this number, what lies behind the point is lost.
template <class T>
inline constexpr T no_fraction = static_cast<T>(typename ExpConstants<T>::Bits{3} << (ExpConstants<T>::mantissa - 1));

/// x 2^n, where shifted = n + no_fraction: by two factors, for one alone may be no normal number.
template <class T, Index W, class V>
[[gnu::always_inline]] inline V scaled_twice(const V& x, const V& shifted) {
  using Constants = ExpConstants<T>;
  using Bits = typename Lanes<typename Constants::Bits, W>::type;
  constexpr auto zero = std::bit_cast<typename Constants::Bits>(no_fraction<T>);
  const Bits exponent = std::bit_cast<Bits>(shifted) - zero + 2 * Constants::bias, half = exponent >> 1;
  return x * std::bit_cast<V>(static_cast<Bits>(half << Constants::mantissa)) *
         std::bit_cast<V>(static_cast<Bits>((exponent - half) << Constants::mantissa));
}

/// 2^t in W lanes. T: float or double.
template <class T, Index W>
[[gnu::always_inline]] inline typename Lanes<T, W>::type exp2_lanes(const typename Lanes<T, W>::type& t) {
  using V = typename Lanes<T, W>::type;
  using Constants = ExpConstants<T>;
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  if constexpr (whole_register<V>) return scaled<T>(exp2_polynomial<T>(fraction<T>(t)), t);
#endif
  const V limited = at_most<T>(at_least<T>(t, Constants::lowest2), Constants::highest2);
  const V shifted = limited - T(0.5) + no_fraction<T>;
  return scaled_twice<T, W>(exp2_polynomial<T>(static_cast<V>(limited - (shifted - no_fraction<T>))), shifted);
}

/// exp(x) in W lanes. T: float or double.
template <class T, Index W>
[[gnu::always_inline]] inline typename Lanes<T, W>::type exp_lanes(const typename Lanes<T, W>::type& x) {
  using V = typename Lanes<T, W>::type;
  using Constants = ExpConstants<T>;
  const V limited = at_most<T>(at_least<T>(x, Constants::lowest), Constants::highest), t = limited * Constants::log2_e;
  const auto behind = [&](const V& n) {
    return static_cast<V>((limited - n * Constants::ln2_high - n * Constants::ln2_low) * Constants::log2_e);
  };
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  if constexpr (whole_register<V>) {
    const V n = whole_part<T>(t);
    return scaled<T>(exp2_polynomial<T>(behind(n)), n);
  }
#endif
  const V shifted = t - T(0.5) + no_fraction<T>;
  return scaled_twice<T, W>(exp2_polynomial<T>(behind(static_cast<V>(shifted - no_fraction<T>))), shifted);
}

/// 1 / (1 + exp(-x)) in W lanes. T: float or double.
template <class T, Index W>
[[gnu::always_inline]] inline typename Lanes<T, W>::type logistic(const typename Lanes<T, W>::type& x) {
  return T(1) / (T(1) + exp_lanes<T, W>(-x));
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::detail
