// Linear layers of bfloat16 on the CPU, forward: ops/linear.hpp's through the product of cpu/pair_product.hpp, summed in float
// and rounded once. A block of outputs has its weights packed by all threads, then each thread goes through its rows: a tile of
// rows times a slice of k stays in the second cache beside the tile's sums.
#pragma once

#include <algorithm>

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
};

template <class T>
void PairLinear<T>::forward(Context& ctx, T* y, const T* x, const T* W, const T* b, Index rows, Index In, Index Out) {
  using Product = PairProduct<T>;
  using Pair = typename Product::Pair;
  constexpr Index tile = Product::up_to(Product::rows, 96), slice = 1024, block = 1024;
  const Index slices = (In + slice - 1) / slice, widest = std::min(block, Product::up_to(Product::columns, Out)),
              panels = widest / Product::columns, panel_pairs = Product::packed_columns(1, std::min(slice, In)),
              slice_pairs = panels * panel_pairs, tile_pairs = Product::packed_rows(tile, std::min(slice, In));
  // Pairs and floats have one size, and so lie in one scratch: the block's weights, then every thread's tile and its sums.
  static_assert(sizeof(Pair) == sizeof(float));
  const Index weights_size = slices * slice_pairs, thread_size = tile_pairs + tile * widest;
  std::byte* const scratch = ctx.scratch<std::byte>((weights_size + thread_size * ctx.threads()) * Index{sizeof(float)});
  Pair* const weights = reinterpret_cast<Pair*>(scratch);

  for (Index n0 = 0; n0 < Out; n0 += block) {
    const Index N = std::min(block, Out - n0), used = Product::up_to(Product::columns, N) / Product::columns;
    ctx.split(slices * used, slice * Product::columns, [&](int, Index begin, Index end) {
      for (Index item = begin; item < end; ++item) {
        const Index k0 = item / used * slice, n = item % used * Product::columns;
        Product::pack_transposed(weights + item / used * slice_pairs + item % used * panel_pairs, W + (n0 + n) * In + k0, In,
                                 std::min(Product::columns, N - n), std::min(slice, In - k0));
      }
    });
    ctx.split(rows, In * N, [&](int thread, Index begin, Index end) {
      Pair* const packed = weights + weights_size + thread * thread_size;
      float* const sums = reinterpret_cast<float*>(packed + tile_pairs);
      for (Index r = begin; r < end; r += tile) {
        const Index M = std::min(tile, end - r);
        for (Index s = 0; s < slices; ++s) {
          const Index k0 = s * slice, K = std::min(slice, In - k0);
          Product::pack_rows(packed, x + r * In + k0, In, M, K);
          for (Index n = 0; n < used; ++n)
            Product::multiply(sums + n * Product::columns, widest, packed, weights + s * slice_pairs + n * panel_pairs, M,
                              Product::columns, K, s > 0);
        }
        for (Index m = 0; m < M; ++m) {
          float* const sum = sums + m * widest;
          for (Index n = 0; n < N && b; ++n) sum[n] += static_cast<float>(b[n0 + n]);
          detail::narrow(y + (r + m) * Out + n0, sum, N);
        }
      }
    });
  }
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel
