// A static_assert that says the values: fits<Layer == Adapter, "the layer has rank ", Layer, ", its adapter ", Adapter>.
//
// What a template library refuses, its user reads as the first line of a compiler's output. That line should be a sentence with
// the numbers in it, but in C++20 the text of a static_assert is a literal. So the sentence is given in parts, as template
// arguments, and each compiler is made to print them where it prints what failed:
//   clang  writes the requirement that failed as it stands in the source, with the numbers put in:
//          static_assert failed due to requirement 'fits<8L == 4L, "the layer has rank ", 8L, ", its adapter ", 4L>'
//   g++    says only that an assertion failed, but it names a type that lacks a member, and writes a character array in a
//          template argument as text. So the parts are joined at compile time, and the variable has a type that is not there:
//          no type named 'correct' in 'struct wu::mistake<Sentence<36>{"the layer has rank 8, its adapter 4"}>'
// clang puts numbers in for template parameters only: whatever a sentence should show must be one where it stands. To clang the
// members of a class with a failed assertion are no constants either: where others follow from them, the assertion belongs into a
// class of its own, of which nothing else is asked, or a second error comes after the first.
// The parts of a sentence are evaluated whether or not it is needed, about 0.4 ms with g++ 12; they are joined only if it is.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include "wu/core/name.hpp"

namespace wu {

/// A type as a part of a sentence: `fits<std::is_same_v<T, U>, "expected ", type<T>, ", found ", type<U>>`.
template <class T>
struct Type {};
/// Its value.
template <class T>
inline constexpr Type<T> type{};

namespace detail {

/// The name of T as the compiler writes it.
template <class T>
constexpr std::string_view type_name() {
  const std::string_view all = __PRETTY_FUNCTION__;  // ... [with T = float; ...] or [T = float]
  const std::size_t from = all.find("T = ") + 4;
  const std::size_t end = all.find(';', from);
  return all.substr(from, (end < all.size() ? end : all.size() - 1) - from);
}

constexpr void put_text(std::string_view from, char* to) {
  for (const char letter : from) *to++ = letter;
}

/// A piece of text, a number, a letter or a type's name.
template <std::size_t N>
struct Part {
  char text[N]{};
  std::ptrdiff_t number = 0;
  bool is_number = false;

  consteval Part(const char (&literal)[N]) { put_text({literal, N}, text); }
  template <class T>
  consteval Part(Type<T>) {
    put_text(type_name<T>(), text);
  }
  consteval Part(char letter) : text{letter} {}
  template <std::integral I>
  consteval Part(I value) : number(static_cast<std::ptrdiff_t>(value)), is_number(true) {}

  constexpr std::size_t length() const {
    if (!is_number) return std::string_view(text, N).find_last_not_of('\0') + 1;
    std::size_t digits = number < 0 ? 2 : 1;
    for (auto n = number / 10; n != 0; n /= 10) ++digits;
    return digits;
  }
  /// Writes length() characters.
  constexpr void write(char* to) const {
    if (!is_number) put_text({text, length()}, to);
    else {
      if (number < 0) *to = '-';
      auto n = number < 0 ? -number : number;
      for (std::size_t k = length(); k-- > (number < 0 ? 1u : 0u); n /= 10) to[k] = static_cast<char>('0' + n % 10);
    }
  }
};
template <class T>
Part(Type<T>) -> Part<type_name<T>().size() + 1>;
Part(char) -> Part<1>;
template <std::integral I>
Part(I) -> Part<1>;

template <std::size_t N>
struct Sentence {
  char text[N]{};
};

/// The parts one after the other, with a comma between two numbers. Without memory: only their length.
template <Part... Parts>
constexpr std::size_t join(char* to) {
  std::size_t length = 0;
  bool after_number = false;
  const auto append = [&](const auto& part) {
    if (after_number && part.is_number) {
      if (to) put_text(", ", to + length);
      length += 2;
    }
    if (to) part.write(to + length);
    length += part.length();
    after_number = part.is_number;
  };
  (append(Parts), ...);
  return length;
}
template <Part... Parts>
consteval auto make_sentence() {
  Sentence<join<Parts...>(nullptr) + 1> all;
  join<Parts...>(all.text);
  return all;
}
template <Part... Parts>
inline constexpr auto sentence = make_sentence<Parts...>();

/// The letters of a text that is known at compile time, as template arguments, which is where a compiler shows them. Text has a
/// function spell(put), which calls put(letter) for each; Spell<Text>::type is Spelled<'m', 'l', 'p'>.
template <char... Letters>
struct Spelled {};
template <class Text>
consteval std::size_t letters() {
  std::size_t count = 0;
  Text::spell([&](char) { ++count; });
  return count;
}
template <class Text, class Places = std::make_index_sequence<letters<Text>()>>
struct Spell;
template <class Text, std::size_t... Place>
struct Spell<Text, std::index_sequence<Place...>> {
  static constexpr auto all = [] {
    std::array<char, sizeof...(Place)> to{};
    std::size_t at = 0;
    Text::spell([&](char letter) { to[at++] = letter; });
    return to;
  }();
  using type = Spelled<all[Place]...>;
};
template <class Text>
using spelled = typename Spell<Text>::type;

/// Texts: names with a comma between; the first name that is listed twice, or nothing.
template <Name... Names>
struct NameList {
  static constexpr void spell(auto&& put) {
    bool first = true;
    const auto one = [&](std::string_view name) {
      if (!first) put(','), put(' ');
      for (const char letter : name) put(letter);
      first = false;
    };
    (one(Names.view()), ...);
  }
};
template <Name... Names>
struct RepeatedName {
  static constexpr void spell(auto&& put) {
    const std::array<std::string_view, sizeof...(Names)> all{Names.view()...};
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (all[i] == all[j]) {
          for (const char letter : all[i]) put(letter);
          return;
        }
  }
};
}  // namespace detail

/// Named by g++ where something does not fit.
template <detail::Sentence>
struct mistake {};

///@{
/// For static_assert: whether Holds. If not, the compiler's first line is the sentence that the parts make.
template <bool Holds, detail::Part... Parts>
inline constexpr bool fits = true;
#ifdef __clang__
template <detail::Part... Parts>
inline constexpr bool fits<false, Parts...> = false;
#else
template <detail::Part... Parts>
inline constexpr typename mistake<detail::sentence<Parts...>>::correct fits<false, Parts...> = true;
#endif
///@}

}  // namespace wu
