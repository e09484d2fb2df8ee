// Counter-based random numbers: a value depends on (seed, purpose, index, position) and on nothing that ran before, so a
// resumed run has no generator state to remember and two threads never share one.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <numbers>
#include <string_view>

namespace wu {

/// 64-bit FNV-1a: a purpose is a name in the source, hashed at compile time.
constexpr std::uint64_t hash_name(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

/// One Philox4x32-10 block: 128 random bits from a 128-bit counter and a 64-bit key (Salmon et al. 2011, section 3.3).
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0], b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// A stream of random numbers named by (seed, purpose, index); satisfies UniformRandomBitGenerator.
/// Two streams that differ in any of the three are independent; equal ones repeat each other exactly.
class Random {
 public:
  /// What a call gives.
  using result_type = std::uint32_t;

  /// The stream (seed, purpose, index) from its beginning.
  constexpr Random(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0)
      : key_{low(seed ^ hash_name(purpose)), high(seed + hash_name(purpose))}, index_(index) {}

  /// The least that a call gives.
  static constexpr result_type min() { return 0; }
  /// The most that a call gives.
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

  /// 32 uniform bits.
  constexpr result_type operator()() {
    if (used_ == 4) {
      block_ = philox({low(position_), high(position_), low(index_), high(index_)}, key_);
      ++position_;
      used_ = 0;
    }
    return block_[used_++];
  }

  /// Uniform in [0, 1), 53 bits.
  constexpr double uniform() {
    const std::uint64_t hi = (*this)(), lo = (*this)();
    return static_cast<double>(((hi << 32) | lo) >> 11) * 0x1.0p-53;
  }
  /// Uniform in [from, to).
  constexpr double uniform(double from, double to) { return from + (to - from) * uniform(); }

  /// Uniform among 0 .. n-1; n > 0. The multiply-shift bias is below n / 2^32.
  constexpr std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>((std::uint64_t{(*this)()} * n) >> 32); }

  /// Standard normal, by Box and Muller's cosine branch.
  double normal() {  // builtins, for <cmath> would cost half as much as all of core/
    const double u = 1 - uniform(), v = uniform();
    return __builtin_sqrt(-2 * __builtin_log(u)) * __builtin_cos(2 * std::numbers::pi * v);
  }

 private:
  static constexpr std::uint32_t low(std::uint64_t v) { return static_cast<std::uint32_t>(v); }
  static constexpr std::uint32_t high(std::uint64_t v) { return static_cast<std::uint32_t>(v >> 32); }

  std::array<std::uint32_t, 2> key_;
  std::uint64_t index_, position_ = 0;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

}  // namespace wu
