// Products of small tiles by the tensor cores, a warp at a time: c (16, 8) += a (16, 16) b (16, 8), bfloat16 into float. Which lane holds
// what is as PTX says it of mma.m16n8k16; the host computes the same from the same places.
#pragma once

#include <cstring>

#include "wu/cuda/block.hpp"

namespace wu::cuda {

/// Two neighbours in one register, the first in the lower half.
struct Pair {
  std::uint32_t bits = 0;
  /// Both rounded to bfloat16.
  WU_BODY static Pair of(float first, float second) {
#ifdef __CUDA_ARCH__
    Pair pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair.bits) : "f"(second), "f"(first));
    return pair;
#else
    return {static_cast<std::uint32_t>(bfloat16(first).bits) | static_cast<std::uint32_t>(bfloat16(second).bits) << 16};
#endif
  }
  /// From memory on a 4-byte boundary.
  WU_BODY static Pair at(const bfloat16* memory) {
#ifdef __CUDA_ARCH__
    return {*reinterpret_cast<const std::uint32_t*>(memory)};
#else
    return {static_cast<std::uint32_t>(memory[0].bits) | static_cast<std::uint32_t>(memory[1].bits) << 16};
#endif
  }
  /// 0: the first, 1: the second.
  WU_BODY bfloat16 value(int which) const {
    bfloat16 half;
    half.bits = static_cast<std::uint16_t>(which == 0 ? bits & 0xffffu : bits >> 16);
    return half;
  }
};

/// Eight neighbours in four registers: what a thread reads and writes at once, in memory on a 16-byte boundary.
struct Eight {
  Pair part[4] = {};
  /// 0: the first, 7: the last.
  WU_BODY bfloat16 value(int which) const { return part[which / 2].value(which % 2); }
  /// From memory.
  WU_BODY static Eight at(const bfloat16* memory) {
    Eight all;
#ifdef __CUDA_ARCH__
    const uint4 bits = *reinterpret_cast<const uint4*>(memory);
    all.part[0].bits = bits.x, all.part[1].bits = bits.y, all.part[2].bits = bits.z, all.part[3].bits = bits.w;
#else
    std::memcpy(static_cast<void*>(all.part), memory, sizeof(all.part));
#endif
    return all;
  }
  /// Into memory.
  WU_BODY void store(bfloat16* memory) const {
#ifdef __CUDA_ARCH__
    *reinterpret_cast<uint4*>(memory) = make_uint4(part[0].bits, part[1].bits, part[2].bits, part[3].bits);
#else
    std::memcpy(static_cast<void*>(memory), part, sizeof(part));
#endif
  }
};

/// A lane's part of a tile. With g = lane / 4 and c = 2 (lane % 4):
struct TileA {
  Pair part[4];  ///< rows g, g + 8, g, g + 8; columns c, c, c + 8, c + 8 and the next
};
/// Likewise of b (16, 8).
struct TileB {
  Pair part[2];  ///< column g; rows c, c + 8 and the next
};
/// Likewise of c (16, 8).
struct TileC {
  float part[4] = {};  ///< rows g, g, g + 8, g + 8; columns c, c + 1, c, c + 1
};

/// The lane's part of a (16, 16) out of rows that lie `stride` apart.
WU_BODY inline TileA tile_a(const bfloat16* corner, int stride, int lane) {
  const bfloat16* const at = corner + lane / 4 * stride + 2 * (lane % 4);
  return {{Pair::at(at), Pair::at(at + 8 * stride), Pair::at(at + 8), Pair::at(at + 8 * stride + 8)}};
}
/// The lane's part of b (16, 8) out of its columns, which lie as rows `stride` apart.
WU_BODY inline TileB tile_b(const bfloat16* corner, int stride, int lane) {
  const bfloat16* const at = corner + lane / 4 * stride + 2 * (lane % 4);
  return {{Pair::at(at), Pair::at(at + 8)}};
}
/// Two results beside each other, (16, 16), as an operand a.
WU_BODY inline TileA as_operand(const TileC& left, const TileC& right) {
  return {{Pair::of(left.part[0], left.part[1]), Pair::of(left.part[2], left.part[3]),
           Pair::of(right.part[0], right.part[1]), Pair::of(right.part[2], right.part[3])}};
}

/// c += a b in every warp: a(thread), b(thread) and c(thread) give each thread's parts.
template <class A, class B, class C>
WU_BODY void multiply_tiles([[maybe_unused]] Block block, A&& a, B&& b, C&& c) {
#ifdef __CUDA_ARCH__
  const int t = static_cast<int>(threadIdx.x);
  const TileA left = a(t);
  const TileB right = b(t);
  float(&sum)[4] = c(t).part;
  // volatile: all lanes of the warp must come to it together, so it may not be moved to where only some need its results.
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(left.part[0].bits), "r"(left.part[1].bits), "r"(left.part[2].bits), "r"(left.part[3].bits),
        "r"(right.part[0].bits), "r"(right.part[1].bits));
#else
  for (int warp = 0; warp < block.threads; warp += warp_size) {
    float left[16][16], right[8][16];
    for (int lane = 0; lane < warp_size; ++lane) {
      const TileA of_a = a(warp + lane);
      const TileB of_b = b(warp + lane);
      const int g = lane / 4, k = 2 * (lane % 4);
      for (int half = 0; half < 2; ++half) {
        left[g][k + half] = of_a.part[0].value(half), left[g + 8][k + half] = of_a.part[1].value(half);
        left[g][k + 8 + half] = of_a.part[2].value(half), left[g + 8][k + 8 + half] = of_a.part[3].value(half);
        right[g][k + half] = of_b.part[0].value(half), right[g][k + 8 + half] = of_b.part[1].value(half);
      }
    }
    for (int lane = 0; lane < warp_size; ++lane)
      for (int i = 0; i < 4; ++i) {
        const float *const row = left[lane / 4 + 8 * (i / 2)], *const column = right[2 * (lane % 4) + i % 2];
        float sum = 0;
        for (int k = 0; k < 16; ++k) sum += row[k] * column[k];
        c(warp + lane).part[i] += sum;
      }
  }
#endif
}

}  // namespace wu::cuda
