// Attention as it is asked of a library.
#pragma once

#include "wu/cuda/block.hpp"

namespace wu::cuda {

/// One operand: head e of row i of group g begins at data + g * group + i * row + e * width, in values.
struct AttentionOperand {
  void* data = nullptr;
  Index group = 0, row = 0;
};

/// Attention in bfloat16 within groups whose rows lie evenly, forward, or backward where dq is given; formulas in ops/attention.hpp.
struct FusedAttention {
  Index groups = 1, heads = 1, queries = 1, keys = 1, width = 1;
  double scale = 1;
  AttentionOperand q, k, v, out;
  float* lse = nullptr;  ///< (groups, heads, queries)
  AttentionOperand dout, dq, dk, dv;
  /// Whether gradients are wanted.
  bool backward() const { return dq.data != nullptr; }
};

}  // namespace wu::cuda
