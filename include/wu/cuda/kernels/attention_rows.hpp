// What kernels know of attention: which rows attend to which, and matrices whose rows may be parts of wider ones.
#pragma once

#include "wu/cuda/kernels/rows.hpp"

namespace wu::cuda::kernel {

/// wu::RowMap as kernels read it: numbers mapped to rows through nested axes, outermost first.
struct Map {
  Index size[4], stride[4];
  WU_BODY Index operator()(Index i) const {
    Index row = i % size[3] * stride[3];
    i /= size[3];
    for (int a = 2; a >= 0 && i > 0; --a) {
      row += i % size[a] * stride[a];
      i /= size[a];
    }
    return row;
  }
};

/// The groups, and how much is in one.
struct Groups {
  Map query_group, query, key_group, key;
  Index queries, keys;
  int heads, width;  ///< width: of a head
};

/// A tile of queries or keys of one group and head, the blocks of a grid being numbered tile by tile.
struct TileAt {
  Index group, head, first;
  WU_BODY TileAt(Index block, Index count, Index tile, const Groups& s) {
    const Index tiles = (count + tile - 1) / tile;
    first = block % tiles * tile;
    head = block / tiles % s.heads;
    group = block / tiles / s.heads;
  }
};

/// delta (rows, heads) = dout . out of every head, for the backward passes.
template <class T>
struct AttentionDelta {
  using Sum = accumulator_t<T>;
  Sum* delta;
  Strided<const T> dout, out;
  Index count;  ///< rows times heads
  int heads, width;
  WU_BODY void operator()(Block block) const {
    block.share_out(count, [&](Index k) {
      const Index r = k / heads, first = k % heads * width;
      Sum sum = 0;
      for (Index c = first; c < first + width; ++c) sum += static_cast<Sum>(dout(r, c)) * static_cast<Sum>(out(r, c));
      delta[k] = sum;
    });
  }
};

/// Between lse (rows of q, heads) and the same numbers as a library has them, (groups, heads, queries).
struct MoveLse {
  Strided<float> lse;
  float* of_library;
  Groups s;
  Index groups;
  bool from_library;
  WU_BODY Index count() const { return groups * s.heads * s.queries; }
  WU_BODY void operator()(Block block) const {
    block.share_out(count(), [&](Index k) {
      const Index i = k % s.queries, head = k / s.queries % s.heads, group = k / s.queries / s.heads;
      float& of_row = lse(s.query_group(group) + s.query(i), head);
      if (from_library) of_row = of_library[k];
      else of_library[k] = of_row;
    });
  }
};

}  // namespace wu::cuda::kernel
