// Sums over rows, for the gradients of biases and gains: in two launches, so that the order of the sum, and so its last bits,
// are always the same. First each block sums a stripe of rows for 32 columns, then the stripes are added up.
#pragma once

#include "wu/cuda/block.hpp"

namespace wu::cuda::kernel {

/// How the rows are cut; `stripes` are at most so many that the second launch has little to do.
struct Stripes {
  static constexpr Index columns = warp_size;  ///< of a block
  Index rows, width, stripes;

  WU_BODY Index column_blocks() const { return (width + columns - 1) / columns; }
  WU_BODY Index first(Index stripe) const { return rows * stripe / stripes; }
  /// As many as keep the device busy, each of at least 64 rows.
  static Index count(Index rows, Index width, int multiprocessors) {
    const Index wanted = 8 * multiprocessors / ((width + columns - 1) / columns) + 1, most = (rows + 63) / 64;
    return wanted < most ? wanted : (most > 0 ? most : 1);
  }
};

/// partial (stripes, Terms::count, width) = the sums that Terms adds at each row and column. Grid: column_blocks() * stripes.
template <class Terms>
struct StripeSums {
  using Sum = typename Terms::Sum;
  static constexpr int threads = 256, shared_bytes = 8 * Terms::count * warp_size * static_cast<int>(sizeof(Sum));
  Sum* partial;
  Terms terms;
  Stripes cut;

  WU_BODY void operator()(Block block) const {
    Sum* const of_line = reinterpret_cast<Sum*>(block.shared);  // (lines, count, columns)
    const Index stripe = block.index / cut.column_blocks(),
                first_column = block.index % cut.column_blocks() * Stripes::columns;
    const int lines = block.threads / warp_size;
    block.each([&](int t) {
      const Index c = first_column + t % warp_size;
      Sum sums[Terms::count]{};
      if (c < cut.width)
        for (Index r = cut.first(stripe) + t / warp_size; r < cut.first(stripe + 1); r += lines) terms(sums, r, c);
      for (int i = 0; i < Terms::count; ++i)
        of_line[(t / warp_size * Terms::count + i) * warp_size + t % warp_size] = sums[i];
    });
    block.each([&](int t) {
      const Index c = first_column + t;
      if (t >= warp_size || c >= cut.width) return;
      for (int i = 0; i < Terms::count; ++i) {
        Sum sum = 0;
        for (int line = 0; line < lines; ++line) sum += of_line[(line * Terms::count + i) * warp_size + t];
        partial[(stripe * Terms::count + i) * cut.width + c] = sum;
      }
    });
  }
};

/// to_i (width) += sum over stripes of partial (stripes, count, width). Null: not wanted.
template <class Sum, int Count>
struct AddStripes {
  Sum* to[Count];
  const Sum* partial;
  Index width, stripes;

  WU_BODY void operator()(Block block) const {
    block.share_out(Count * width, [&](Index k) {
      Sum* const sums = to[k / width];
      if (!sums) return;
      Sum sum = 0;
      for (Index s = 0; s < stripes; ++s) sum += partial[s * Count * width + k];
      sums[k % width] += sum;
    });
  }
};

/// For a bias: the sum of dy.
template <class T>
struct BiasTerms {
  using Sum = accumulator_t<T>;
  static constexpr int count = 1;
  const T* dy;
  Index width;
  WU_BODY void operator()(Sum (&sums)[1], Index r, Index c) const { sums[0] += static_cast<Sum>(dy[r * width + c]); }
};

}  // namespace wu::cuda::kernel
