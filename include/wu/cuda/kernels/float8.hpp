// Products in FP8 with a scale for each row: rounding to it, and what is left to do where the library in use has no such product.
#pragma once

#include <cmath>
#include <cstring>

#include "wu/cuda/float8.hpp"
#include "wu/cuda/product.hpp"
#include "wu/cuda/tensor_cores.hpp"

namespace wu::cuda::kernel {

/// scale = max |x| / 448 of each row, codes = x / scale, rounded. A scale is at least 2^-120, so that its inverse is a number: a row
/// of zeros has codes of zero. A row that holds an infinity or a NaN has products that are NaN. A warp for each row, which is read
/// twice: the second time it comes from the cache.
struct QuantiseRows {
  static constexpr int threads = 256, rows_of_block = threads / warp_size, at_once = 8;
  static constexpr float smallest_scale = 0x1p-120f;
  float8* codes;      // (rows, width)
  float* scales;      // (rows)
  const bfloat16* x;  // (rows, width)
  Index rows, width;
  bool aligned;  ///< eight values at a time: width is a multiple of 8, x on a 16-byte and codes on an 8-byte boundary

  QuantiseRows(float8* to, float* scales_of_rows, const bfloat16* from, Index rows_of_x, Index width_of_x)
      : codes(to),
        scales(scales_of_rows),
        x(from),
        rows(rows_of_x),
        width(width_of_x),
        aligned(width % at_once == 0 && reinterpret_cast<std::uintptr_t>(x) % 16 == 0 &&
                reinterpret_cast<std::uintptr_t>(codes) % 8 == 0) {}
  Index blocks() const { return (rows + rows_of_block - 1) / rows_of_block; }

  WU_BODY void operator()(Block block) const {
    PerThread<float, threads> largest;
    block.alone([&](int t) {
      each_eight(block, t, [&](Index, const Eight& of_x) {
        WU_UNROLL
        for (int i = 0; i < at_once; ++i) {
          const float size = std::fabs(of_x.value(i));
          largest[t] = size > largest[t] ? size : largest[t];
        }
      });
    });
    warp_maximum(block, largest);
    block.alone([&](int t) {
      const float found = largest[t] / float8::largest, scale = found > smallest_scale ? found : smallest_scale,
                  inverse = 1 / scale;
      each_eight(block, t, [&](Index at, const Eight& of_x) {
        Codes four[2];
        WU_UNROLL
        for (int i = 0; i < 2; ++i) {
          const auto low = float8::pair(of_x.value(4 * i) * inverse, of_x.value(4 * i + 1) * inverse),
                     high = float8::pair(of_x.value(4 * i + 2) * inverse, of_x.value(4 * i + 3) * inverse);
          four[i] = static_cast<Codes>(low) | static_cast<Codes>(high) << 16;
        }
        store(at, four);
      });
      const Index row = row_of(block, t);
      if (t % warp_size == 0 && row < rows) scales[row] = scale;
    });
  }

 private:
  using Codes = std::uint32_t;  // four of them

  WU_BODY static Index row_of(Block block, int t) { return block.index * rows_of_block + t / warp_size; }
  /// work(position, values) for every eighth of this thread's share of its row; behind the row's end they are zero.
  template <class Work>
  WU_BODY void each_eight(Block block, int t, Work&& work) const {
    const Index row = row_of(block, t);
    if (row >= rows) return;
    for (Index c = t % warp_size * at_once; c < width; c += warp_size * at_once) {
      const Index at = row * width + c;
      if (aligned) {
        work(at, Eight::at(x + at));
        continue;
      }
      Eight some;
      for (int i = 0; i < at_once && c + i < width; ++i)
        some.part[i / 2].bits |= static_cast<std::uint32_t>(x[at + i].bits) << 16 * (i % 2);
      work(at, some);
    }
  }
  WU_BODY void store(Index at, const Codes (&four)[2]) const {
    if (aligned) {
#ifdef __CUDA_ARCH__
      *reinterpret_cast<uint2*>(codes + at) = make_uint2(four[0], four[1]);
#else
      std::memcpy(static_cast<void*>(codes + at), four, sizeof(four));
#endif
      return;
    }
    for (Index i = 0; i < at_once && at % width + i < width; ++i)
      codes[at + i].bits = static_cast<std::uint8_t>(four[i / 4] >> 8 * (i % 4));
  }
};

/// A product of FP8 operands into results of R, one thread for each result.
template <class R>
struct ScaledProduct {
  Product p;
  WU_BODY explicit ScaledProduct(const Product& product) : p(product) {}
  WU_BODY Index count() const { return p.m * p.n; }

  WU_BODY void operator()(Block block) const {
    block.share_out(count(), [&](Index at) {
      const Index i = at / p.n, j = at % p.n;
      const float8 *const a = static_cast<const float8*>(p.a) + i * p.row_a, *const b = static_cast<const float8*>(p.b) +
                                                                                        j * p.row_b;
      float sum = 0;
      for (Index k = 0; k < p.k; ++k) sum += static_cast<float>(a[k]) * static_cast<float>(b[k]);
      finish(p, i, j, sum);
    });
  }

  /// c = alpha scale_i scale_j sum + beta c0 + bias
  WU_BODY static void finish(const Product& p, Index i, Index j, float sum) {
    const Index at = i * p.row_c + j;
    R* const c = static_cast<R*>(p.c);
    sum = static_cast<float>(p.alpha) * sum * p.scales_a[i] * p.scales_b[j];
    if (p.beta != 0)
      sum += static_cast<float>(p.beta) * static_cast<float>((p.added ? static_cast<const R*>(p.added) : c)[at]);
    if (p.bias) sum += static_cast<float>(static_cast<const R*>(p.bias)[j]);
    c[at] = static_cast<R>(sum);
  }
};

/// What is left after a product of the codes alone, whose sums lie in c. c0 may not be c.
template <class R>
struct ScaleSums {
  Product p;
  WU_BODY explicit ScaleSums(const Product& product) : p(product) {}
  WU_BODY Index count() const { return p.m * p.n; }

  WU_BODY void operator()(Block block) const {
    block.share_out(count(), [&](Index at) {
      const Index i = at / p.n, j = at % p.n;
      ScaledProduct<R>::finish(p, i, j, static_cast<float>(static_cast<const R*>(p.c)[i * p.row_c + j]));
    });
  }
};

}  // namespace wu::cuda::kernel
