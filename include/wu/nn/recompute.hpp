// Computing a block's activations a second time instead of keeping them: forward keeps what the block was called with, backward
// runs forward once more and then the block's own backward. The gradients are the same bit for bit, for the same operations run
// on the same values.                                                                            Chen et al. 2016, section 3
// A module can be wrapped that
//   - names what its forward takes before the weights, the output and then the inputs, in the tuple Operands<T>,
//   - has forward<T>(ctx, ws, operands..., p, more...), which leaves out what only an output is for whose data is null,
//   - and backward<T>(ctx, ws, gradients..., saved, p, more...), with the same `more`.
// Where it has forward_bytes and backward_bytes too, the wrapped one has them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "wu/core/workspace.hpp"
#include "wu/ops/scratch.hpp"

namespace wu {

namespace detail {
/// Which of Found is Wanted.
template <class Wanted, class... Found>
constexpr std::size_t position_of() {
  const bool same[] = {std::is_same_v<Wanted, Found>...};
  std::size_t at = 0;
  while (!same[at]) ++at;
  return at;
}
}  // namespace detail

/// Module in less memory and more time: it takes and gives what Module does, but what it keeps for backward is its operands,
/// which the caller holds. They must be what they were until backward; the output may be overwritten.
template <class Module>
struct Recompute : Module {
  /// What backward needs: the operands, the output without its data.
  template <class T>
  struct Saved {
    typename Module::template Operands<T> operands;
  };
  /// Nothing is taken from the workspace and kept.
  template <class T>
  static constexpr std::size_t saved_bytes(const auto&...) {
    return 0;
  }

  /// What forward takes from the workspace, the output wanted or not: of Module::forward_bytes nothing is kept.
  template <class T>
  static constexpr ForwardBytes forward_bytes(bool wanted, const auto&... sizes) {
    return {Module::template forward_bytes<T>(wanted, sizes...).most, 0};
  }
  /// What backward takes at once: Module's forward and its backward on top of what that keeps.
  template <class T>
  static constexpr std::size_t backward_bytes(const auto&... sizes) {
    const ForwardBytes again = Module::template forward_bytes<T>(false, sizes...);
    return std::max(again.most, again.kept + Module::template backward_bytes<T>(sizes...));
  }

  /// Module's, whose activations are given back. Throws what it does.
  template <class T>
  static Saved<T> forward(auto& ctx, Workspace& ws, const auto&... arguments) {
    const Workspace::Scope scope(ws);
    Module::template forward<T>(ctx, ws, arguments...);
    const auto all = std::tie(arguments...);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      Saved<T> s{{std::get<I>(all)...}};
      std::get<0>(s.operands).data = nullptr;
      return s;
    }(operand_positions<T>{});
  }

  /// Module's, after its forward.
  template <class T>
  static void backward(auto& ctx, Workspace& ws, const auto&... arguments) {
    constexpr std::size_t count = sizeof...(arguments),
                          at = detail::position_of<Saved<T>, std::remove_cvref_t<decltype(arguments)>...>();
    const auto all = std::tie(arguments...);
    const auto& operands = std::get<at>(all).operands;
    const Workspace::Scope scope(ws);
    [&]<std::size_t... Before, std::size_t... I, std::size_t... After>(
        std::index_sequence<Before...>, std::index_sequence<I...>, std::index_sequence<After...>) {
      const auto saved = Module::template forward<T>(ctx, ws, std::get<I>(operands)..., std::get<at + 1 + After>(all)...);
      Module::template backward<T>(ctx, ws, std::get<Before>(all)..., saved, std::get<at + 1 + After>(all)...);
    }(std::make_index_sequence<at>{}, operand_positions<T>{}, std::make_index_sequence<count - at - 1>{});
  }

 private:
  template <class T>
  using operand_positions = std::make_index_sequence<std::tuple_size_v<typename Module::template Operands<T>>>;
};

/// A network keeps for backward all that its blocks' Saved name.
struct SaveBlocks {
  /// The block itself.
  template <class Block>
  using of = Block;
};
/// A network keeps for backward its blocks' inputs alone and computes each block a second time.
struct RecomputeBlocks {
  /// The block, wrapped.
  template <class Block>
  using of = Recompute<Block>;
};

}  // namespace wu
