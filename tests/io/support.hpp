// What the tests of io/ share: a folder that removes itself, bytes of files, and errors as strings.
#pragma once

#include <boost/test/unit_test.hpp>

#include <stdlib.h>  // mkdtemp

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "wu/core/error.hpp"

namespace wu::test {

/// A fresh folder, removed at the end with everything in it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "wu-io-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string path() const { return path_.string(); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// The names in the folder, hidden ones too.
  std::vector<std::string> list() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_text(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

inline std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// The bytes of a safetensors file: a length, the header, and data bytes 0, 1, 2, ...
inline std::string file_bytes(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  out += header;
  for (std::size_t k = 0; k < data_bytes; ++k) out += static_cast<char>(k);
  return out;
}

/// What f() throws as an E, in words; "" where it throws nothing.
template <class E = FileError, class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const E& error) { return error.what(); }
  return "";
}

inline bool contains(const std::string& text, const std::string& phrase) { return text.find(phrase) != text.npos; }

}  // namespace wu::test

/// Checks that the expression throws an E whose sentence holds the phrase.
#define WU_CHECK_ERROR(E, expression, phrase)                                                    \
  do {                                                                                           \
    const std::string what_ = wu::test::error_of<E>([&] { (void)(expression); });                \
    BOOST_CHECK_MESSAGE(wu::test::contains(what_, phrase),                                       \
                        "expected an error with '" << (phrase) << "', found '" << what_ << "'"); \
  } while (false)
/// The same of a wu::FileError.
#define WU_CHECK_FILE_ERROR(expression, phrase) WU_CHECK_ERROR(wu::FileError, expression, phrase)
