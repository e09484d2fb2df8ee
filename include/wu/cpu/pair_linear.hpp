// Linear layers of bfloat16 on the CPU, forward: ops/linear.hpp's through the product of cpu/pair_product.hpp, summed in float
// and rounded once. A block of outputs has its weights packed by all threads, then each thread goes through its rows: a tile of
// rows times a slice of k stays in the second cache beside the tile's sums.
#pragma once

#include <algorithm>
#include <cstddef>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/pair_product.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// T: bfloat16.
template <class T>
struct PairLinear {
  /// y (rows, Out) = x (rows, In) W^T + b; null: no bias.
  static void forward(Context& ctx, T* y, const T* x, const T* W, const T* b, Index rows, Index In, Index Out);
  /// Bytes that forward takes from the context's scratch.
  static constexpr Index scratch_bytes(Index In, Index Out, int threads) {
    const Sizes sizes(In, Out);
    return (sizes.weights + sizes.thread * threads) * Index{sizeof(Pair)};
  }

 private:
  using Product = PairProduct<T>;
  using Pair = typename Product::Pair;
  // Pairs and floats have one size, and so lie in one scratch: the block's weights, then every thread's tile and its sums.
  static_assert(sizeof(Pair) == sizeof(float));
  static constexpr Index tile = Product::up_to(Product::rows, 96), slice = 1024, block = 1024;

  struct Sizes {
    Index slices, width, panel, weights_slice, tile_pairs, weights, thread;
    constexpr Sizes(Index In, Index Out)
        : slices((In + slice - 1) / slice),
          width(std::min(block, Product::up_to(Product::columns, Out))),
          panel(Product::packed_columns(1, std::min(slice, In))),
          weights_slice(width / Product::columns * panel),
          tile_pairs(Product::packed_rows(tile, std::min(slice, In))),
          weights(slices * weights_slice),
          thread(tile_pairs + tile * width) {}
  };
};

template <class T>
void PairLinear<T>::forward(Context& ctx, T* y, const T* x, const T* W, const T* b, Index rows, Index In, Index Out) {
  const Sizes sizes(In, Out);
  std::byte* const scratch = ctx.scratch<std::byte>(scratch_bytes(In, Out, ctx.threads()));
  Pair* const weights = reinterpret_cast<Pair*>(scratch);

  for (Index n0 = 0; n0 < Out; n0 += block) {
    const Index N = std::min(block, Out - n0), panels = Product::up_to(Product::columns, N) / Product::columns;
    const auto panel_of = [&](Index s, Index n) { return weights + s * sizes.weights_slice + n * sizes.panel; };
    ctx.split(sizes.slices * panels, slice * Product::columns, [&](int, Index begin, Index end) {
      for (Index item = begin; item < end; ++item) {
        const Index s = item / panels, k0 = s * slice, panel = item % panels, n = panel * Product::columns;
        Product::pack_transposed(panel_of(s, panel), W + (n0 + n) * In + k0, In, std::min(Product::columns, N - n),
                                 std::min(slice, In - k0));
      }
    });
    ctx.split(rows, In * N, [&](int thread, Index begin, Index end) {
      Pair* const packed = weights + sizes.weights + thread * sizes.thread;
      float* const sums = reinterpret_cast<float*>(packed + sizes.tile_pairs);
      for (Index r = begin; r < end; r += tile) {
        const Index M = std::min(tile, end - r);
        for (Index s = 0; s < sizes.slices; ++s) {
          const Index k0 = s * slice, K = std::min(slice, In - k0);
          Product::pack_rows(packed, x + r * In + k0, In, M, K);
          for (Index n = 0; n < panels; ++n)
            Product::multiply(sums + n * Product::columns, sizes.width, packed, panel_of(s, n), M, Product::columns, K,
                              s > 0);
        }
        for (Index m = 0; m < M; ++m) {
          float* const sum = sums + m * sizes.width;
          for (Index n = 0; n < N && b; ++n) sum[n] += static_cast<float>(b[n0 + n]);
          detail::narrow(y + (r + m) * Out + n0, sum, N);
        }
      }
    });
  }
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel
