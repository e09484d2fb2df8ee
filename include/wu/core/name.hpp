// Names as template arguments: Axis<"layer", 32>, Adapted<"attn.qkv", 256, 768>.
#pragma once

#include <cstddef>
#include <string_view>

namespace wu {

/// A string literal that can stand in a type.
template <std::size_t N>
struct Name {
  char text[N]{};
  /// From a string literal.
  consteval Name(const char (&literal)[N]) {
    for (std::size_t k = 0; k < N; ++k) text[k] = literal[k];
  }
  /// The characters, without the closing zero.
  constexpr std::string_view view() const { return {text, N - 1}; }
  /// The characters and the closing zero.
  constexpr const char* c_str() const { return text; }
  /// Equal characters.
  template <std::size_t M>
  constexpr bool operator==(const Name<M>& other) const {
    return view() == other.view();
  }
};

}  // namespace wu
