// Rows that are repeated, averaged, added up in grids, picked out of tables and cut out of pictures: each value of a result is gathered by one
// thread. Formulas in ops/elementwise.hpp, ops/embedding.hpp and ops/patches.hpp.
#pragma once

#include "wu/cuda/kernels/factors.hpp"
#include "wu/cuda/kernels/pixel.hpp"

namespace wu::cuda::kernel {

/// Rows that may be columns of a wider matrix.
template <class T>
struct Strided {
  T* data;
  Index stride;
  WU_BODY T& operator()(Index r, Index c) const { return data[r * stride + c]; }
};

/// y (copies of x)
template <class T>
struct Broadcast {
  T* y;
  const T* x;
  Index count, one;
  WU_BODY void operator()(Block block) const {
    block.share_out(count, [&](Index k) { y[k] = x[k % one]; });
  }
};

/// dx += sum over the copies. D: what the gradient is held in.
template <class D, class T>
struct BroadcastBackward {
  D* dx;
  const T* dy;
  Index count, one;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(one, [&](Index i) {
      Sum sum = 0;
      for (Index k = i; k < count; k += one) sum += static_cast<Sum>(dy[k]);
      dx[i] = static_cast<D>(static_cast<Sum>(dx[i]) + sum);
    });
  }
};

/// y (G, C) = mean over `rows` rows of x
template <class T>
struct MeanRows {
  T* y;
  const T* x;
  Index count, width, rows;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      const T* const first = x + k / width * rows * width + k % width;
      Sum sum = 0;
      for (Index r = 0; r < rows; ++r) sum += static_cast<Sum>(first[r * width]);
      y[k] = static_cast<T>(sum / static_cast<Sum>(rows));
    });
  }
};

/// dx (G rows, C) = dy / rows
template <class T>
struct MeanRowsBackward {
  T* dx;
  const T* dy;
  Index count, width, rows;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      dx[k] = static_cast<T>(static_cast<Sum>(dy[k / width / rows * width + k % width]) / static_cast<Sum>(rows));
    });
  }
};

/// y (G K, C) = inner (K, C) + outer (G, C)
template <class T>
struct GridSum {
  T* y;
  const T *inner, *outer;
  Index count, width, inner_rows;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      const Index r = k / width, c = k % width;
      y[k] = static_cast<T>(static_cast<Sum>(inner[r % inner_rows * width + c]) +
                            static_cast<Sum>(outer[r / inner_rows * width + c]));
    });
  }
};

/// dx (n, C) += sum over `terms` rows of dy, the first of them row (i * from), each `step` rows after the one before.
template <class D, class T>
struct SumRows {
  D* dx;
  const T* dy;
  Index count, width, from, step, terms;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(count, [&](Index k) {
      const T* const first = dy + k / width * from * width + k % width;
      Sum sum = 0;
      for (Index r = 0; r < terms; ++r) sum += static_cast<Sum>(first[r * step * width]);
      dx[k] = static_cast<D>(static_cast<Sum>(dx[k]) + sum);
    });
  }
};

/// The ids of some rows.
using Ids = Factors<std::int32_t, 512>;

/// y(k) = table(id of k)
template <class T>
struct Embed {
  Strided<T> y;
  Strided<const T> table;
  Index width;
  Ids ids;
  WU_BODY void operator()(Block block) const {
    block.share_out(ids.count * width, [&](Index k) { y(k / width, k % width) = table(ids.of[k / width], k % width); });
  }
};

/// dtable(id) += the sum of dy over the rows of that id, by the thread of the id's first row.
template <class D, class T>
struct EmbedBackward {
  Strided<D> dtable;
  Strided<const T> dy;
  Index width;
  Ids ids;
  WU_BODY void operator()(Block block) const {
    using Sum = accumulator_t<T>;
    block.share_out(ids.count * width, [&](Index at) {
      const int row = static_cast<int>(at / width);
      const Index c = at % width;
      for (int before = 0; before < row; ++before)
        if (ids.of[before] == ids.of[row]) return;
      Sum sum = 0;
      for (int k = row; k < ids.count; ++k)
        if (ids.of[k] == ids.of[row]) sum += static_cast<Sum>(dy(k, c));
      D& to = dtable(ids.of[row], c);
      to = static_cast<D>(static_cast<Sum>(to) + sum);
    });
  }
};

/// Between a picture (b, H, W, channels) and its patches of P x P pixels, one to a row.
template <class T>
struct Patches {
  Strided<T> rows;
  T* picture;
  Index count, side, width, channels;  ///< values, P, W
  bool to_rows;                        ///< or from them
  WU_BODY void operator()(Block block) const {
    block.share_out(count, [&](Index k) {
      const auto [c, w, line] = Pixel(k, width, channels);
      const Index across = width / side;
      T& of_row = rows(line / side * across + w / side, (line % side * side + w % side) * channels + c);
      if (to_rows) of_row = picture[k];
      else picture[k] = of_row;
    });
  }
};

}  // namespace wu::cuda::kernel
