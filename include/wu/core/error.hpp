// Errors: every exception the library throws derives from wu::Error and says what was expected, what was found and where.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace wu {

/// Base of every exception the library throws. what() is one sentence for the person at the keyboard.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
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

/// A loss, gradient or weight is NaN or infinite.
class NonFiniteError : public Error {
 public:
  using Error::Error;
};

/// Joins its arguments with operator<< into one string: throw Error(message("expected ", 3, ", found ", n)).
template <class... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace wu
