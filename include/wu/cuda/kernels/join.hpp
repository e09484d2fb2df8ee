// Two tables of rows as one, group by group; see ops/join.hpp.
#pragma once

#include "wu/cuda/block.hpp"

namespace wu::cuda::kernel {

/// Between y and its two tables a and b, of each of which a group has so many values.
template <class T>
struct JoinRows {
  T *y, *a, *b;
  Index count, of_a, of_b;  ///< values of y, of a group of a, of one of b
  bool joins;               ///< or splits
  WU_BODY void operator()(Block block) const {
    block.share_out(count, [&](Index k) {
      const Index group = k / (of_a + of_b), at = k % (of_a + of_b);
      T& part = at < of_a ? a[group * of_a + at] : b[group * of_b + at - of_a];
      if (joins) y[k] = part;
      else part = y[k];
    });
  }
};

}  // namespace wu::cuda::kernel
