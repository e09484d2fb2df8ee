// What operations take from the workspace for themselves, by device: networks add it to what they keep and take, and so say
// before a step how much memory it needs (Generator::workspace_bytes). Another device has a type with the same members.
#pragma once

#include <cstddef>

#include "wu/core/workspace.hpp"
#include "wu/ops/reference.hpp"

namespace wu {

/// Bytes that operations of the reference take from the workspace.
struct ReferenceScratch {
  /// attention_forward, for groups of so many queries and keys and heads of width D.
  template <class T>
  constexpr std::size_t attention(Index /*queries*/, Index /*keys*/, Index /*D*/) const {
    return 0;
  }
  /// attention_backward.
  template <class T>
  constexpr std::size_t attention_backward(Index queries, Index /*keys*/, Index D) const {
    return Workspace::bytes_of<accumulator_t<T>>(queries * D);
  }
  /// joint_linear_backward of several layers on so many values of x.
  template <class T>
  constexpr std::size_t joint_linear_backward(Index values) const {
    return Workspace::bytes_of<T>(values);
  }
};

/// What a module takes from the workspace at once: in its forward, the most and what stays of it.
struct ForwardBytes {
  std::size_t most = 0, kept = 0;
};

}  // namespace wu
