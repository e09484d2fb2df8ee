// Numbers as text, on the command line and in files: the whole text or nothing, and back without a digit lost.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace edit {

/// The number that the whole text says; nothing if it says none, or one that T cannot hold.
template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The shortest text that parse_number() reads as the same value: a run that goes on must not go on with a rounded rate.
template <class T>
std::string exact(T value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace edit
