// Messages: parts joined into one text that copies share, for an exception that is copied must not throw another.
// Every user of the library includes this file, so it keeps away from <string> and <sstream>, which cost more than all of core/.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

namespace wu {

namespace detail {

/// One part of a message: a text, a character, or a number as an output stream writes it (six digits where it is no integer).
class MessagePart {
 public:
  explicit MessagePart(std::string_view text) : text_(text) {}
  explicit MessagePart(const char* text) : text_(text) {}
  template <class Number>
    requires std::is_arithmetic_v<Number>
  explicit MessagePart(Number value) {
    char* const end = number_ + sizeof(number_);
    if constexpr (std::is_same_v<Number, char>) text_ = {number_, 1}, number_[0] = value;
    else if constexpr (std::is_same_v<Number, bool>) write(std::to_chars(number_, end, static_cast<int>(value)));
    else if constexpr (std::is_integral_v<Number>) write(std::to_chars(number_, end, value));
    else write(std::to_chars(number_, end, value, std::chars_format::general, 6));
  }
  MessagePart(const MessagePart&) = delete;
  MessagePart& operator=(const MessagePart&) = delete;

  std::string_view text() const { return text_; }

 private:
  void write(std::to_chars_result result) { text_ = {number_, static_cast<std::size_t>(result.ptr - number_)}; }

  char number_[32];
  std::string_view text_;
};

}  // namespace detail

/// Text that does not change and is shared by its copies. Becomes a std::string_view or a std::string where one is wanted.
class Message {
 public:
  Message() = default;
  /// The parts joined. Throws std::bad_alloc.
  template <std::size_t N>
  explicit Message(const detail::MessagePart (&parts)[N]) : Message(parts, N) {}
  ///@{
  /// A copy shares the text.
  Message(const Message& other) noexcept : shared_(other.shared_) {
    if (shared_) __atomic_add_fetch(&shared_->owners, 1, __ATOMIC_RELAXED);
  }
  Message(Message&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  Message& operator=(Message other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ///@}
  ~Message() {
    if (shared_ && __atomic_sub_fetch(&shared_->owners, 1, __ATOMIC_ACQ_REL) == 0) ::operator delete(shared_);
  }

  ///@{
  /// The text; it lives as long as one of the copies.
  std::string_view view() const noexcept { return shared_ ? std::string_view(shared_->text(), shared_->size) : ""; }
  const char* c_str() const noexcept { return view().data(); }
  operator std::string_view() const noexcept { return view(); }
  ///@}
  /// std::string: a template, so that this file need not know it.
  template <class String>
    requires requires {
      typename String::allocator_type;
      requires std::same_as<typename String::traits_type::char_type, char>;
    }
  operator String() const {
    return String(view());
  }

 private:
  /// What the copies share; the text follows it in memory, and a zero follows the text.
  struct Shared {
    std::size_t owners, size;
    char* text() { return reinterpret_cast<char*>(this + 1); }
  };

  Message(const detail::MessagePart* parts, std::size_t count) {
    std::size_t size = 0;
    for (std::size_t k = 0; k < count; ++k) size += parts[k].text().size();
    shared_ = ::new (::operator new(sizeof(Shared) + size + 1)) Shared{1, size};
    char* to = shared_->text();
    for (std::size_t k = 0; k < count; ++k) to += parts[k].text().copy(to, std::string_view::npos);
    *to = '\0';
  }

  Shared* shared_ = nullptr;
};

/// Joins its arguments into one text: throw Error(message("expected ", 3, ", found ", n)).
/// They are texts (literals, std::string_view, std::string), characters, and numbers, which appear as an output stream would
/// write them.
template <class... Parts>
Message message(const Parts&... parts) {
  const detail::MessagePart joined[] = {detail::MessagePart(parts)...};
  return Message(joined);
}

}  // namespace wu
