// Errors: every exception the library throws derives from wu::Error and says what was expected, what was found and where.
#pragma once

#include <exception>
#include <string_view>
#include <utility>

#include "wu/core/message.hpp"

namespace wu {

/// Base of every exception the library throws. what() is one sentence for the person at the keyboard.
class Error : public std::exception {
 public:
  /// what() gives this sentence; copies share it.
  explicit Error(Message sentence) noexcept : sentence_(std::move(sentence)) {}
  /// The same, of text that is copied.
  explicit Error(std::string_view sentence) : sentence_(message(sentence)) {}
  /// The sentence.
  const char* what() const noexcept override { return sentence_.c_str(); }

 private:
  Message sentence_;
};

/// The sizes handed to an operation at run time do not fit together.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// A file is missing, damaged, or does not hold what was asked of it.
class FileError : public Error {
 public:
  using Error::Error;
};

/// A device has not the memory that was asked for.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// A loss, gradient or weight is NaN or infinite.
class NonFiniteError : public Error {
 public:
  using Error::Error;
};

}  // namespace wu
