// Adaptive modulation; formulas in ops/modulate.hpp.
#pragma once

#include "wu/cuda/kernels/rows.hpp"

namespace wu::cuda::kernel {

/// y = x (1 + scale) + shift
template <class T>
struct Modulate {
  T* y;
  const T* x;
  Strided<const T> shift, scale;
  Index count, width, rows;  ///< rows of a group
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      const Index g = k / width / rows, c = k % width;
      y[k] = static_cast<T>(static_cast<Sum>(x[k]) * (1 + static_cast<Sum>(scale(g, c))) + static_cast<Sum>(shift(g, c)));
    });
  }
};

/// y += gate h
template <class T>
struct GatedAdd {
  T* y;
  const T* h;
  Strided<const T> gate;
  Index count, width, rows;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      y[k] = static_cast<T>(static_cast<Sum>(y[k]) +
                            static_cast<Sum>(gate(k / width / rows, k % width)) * static_cast<Sum>(h[k]));
    });
  }
};

/// dx = dy (one + factor): through a modulation with one = 1, through a gate with one = 0.
template <class T>
struct ModulateBackward {
  T* dx;
  const T* dy;
  Strided<const T> factor;
  Index count, width, rows;
  int one;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      dx[k] = static_cast<T>(static_cast<Sum>(dy[k]) *
                             (static_cast<Sum>(one) + static_cast<Sum>(factor(k / width / rows, k % width))));
    });
  }
};

/// Over the rows of each group: plain = sum of dy, product = sum of dy x; null where not wanted. One block for 32 columns of a group.
template <class T>
struct GroupSums {
  using Sum = accumulator_t<T>;
  static constexpr int threads = 256, shared_bytes = 2 * threads * static_cast<int>(sizeof(Sum));
  Strided<T> plain, product;
  const T *dy, *x;
  Index width, rows;

  WU_BODY Index column_blocks() const { return (width + warp_size - 1) / warp_size; }
  WU_BODY void operator()(Block block) const {
    Sum* const sums = reinterpret_cast<Sum*>(block.shared);  // (2, threads)
    const Index g = block.index / column_blocks(), first = block.index % column_blocks() * warp_size;
    const int lines = block.threads / warp_size;
    block.each([&](int t) {
      const Index c = first + t % warp_size;
      Sum of_dy = 0, of_product = 0;
      if (c < width)
        for (Index r = t / warp_size; r < rows; r += lines) {
          const Index k = (g * rows + r) * width + c;
          of_dy += static_cast<Sum>(dy[k]);
          of_product += static_cast<Sum>(dy[k]) * static_cast<Sum>(x[k]);
        }
      sums[t] = of_dy, sums[block.threads + t] = of_product;
    });
    block.each([&](int t) {
      const Index c = first + t;
      if (t >= warp_size || c >= width) return;
      Sum of_dy = 0, of_product = 0;
      for (int line = 0; line < lines; ++line) {
        of_dy += sums[line * warp_size + t];
        of_product += sums[block.threads + line * warp_size + t];
      }
      if (plain.data) plain(g, c) = static_cast<T>(of_dy);
      if (product.data) product(g, c) = static_cast<T>(of_product);
    });
  }
};

}  // namespace wu::cuda::kernel
