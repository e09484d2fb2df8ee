// What operations take from the workspace on the GPU, as wu::ReferenceScratch says it of the reference: nothing, for what they
// take lies in the context.
#pragma once

#include <cstddef>

#include "wu/core/view.hpp"

namespace wu::cuda {

/// For Generator::workspace_bytes and its like.
struct Scratch {
  ///@{
  /// Of each operation that has scratch memory.
  template <class T>
  constexpr std::size_t attention(Index, Index, Index) const {
    return 0;
  }
  template <class T>
  constexpr std::size_t attention_backward(Index, Index, Index) const {
    return 0;
  }
  template <class T>
  constexpr std::size_t joint_linear_backward(Index) const {
    return 0;
  }
  ///@}
};

}  // namespace wu::cuda
