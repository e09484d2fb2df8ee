// A file's bytes, read-only: mapped, or copied into memory where another program may change the file meanwhile.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "wu/core/error.hpp"
#include "wu/io/printable.hpp"

namespace wu::io {

/// How a file's bytes come into memory.
enum class Access {
  map,   ///< pages are read when they are touched; a file that shrinks while it is mapped ends the program with a bus error
  copy,  ///< everything is read at once: for files that somebody else may change
};

namespace detail {

/// A descriptor that closes itself. -1 is none.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// Whether there is a folder of that name.
inline bool is_folder(const std::string& path) {
  struct stat status{};
  return path.find('\0') == std::string::npos && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// What errno says, in words.
inline std::string system_message(int error) { return std::generic_category().message(error); }

}  // namespace detail

/// The bytes of one regular file, on a page boundary and so aligned for every type. Moves; does not copy.
class MappedFile {
 public:
  MappedFile() = default;

  /// Throws FileError when the file is missing, empty, unreadable, or not a regular file.
  explicit MappedFile(const std::string& path, Access access = Access::map) : path_(path) {
    if (path.find('\0') != std::string::npos) fail("a path cannot contain a NUL byte");
    // O_NONBLOCK: opening a named pipe would wait for a writer. It changes nothing for regular files.
    const detail::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) fail(detail::system_message(errno));
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) fail(detail::system_message(errno));
    if (S_ISDIR(status.st_mode)) fail("expected a file, found a folder");
    if (!S_ISREG(status.st_mode)) fail("expected a regular file, found a device, pipe or socket");
    if (status.st_size <= 0) fail("the file is empty");
    const auto size = static_cast<std::size_t>(status.st_size);

    const bool copy = access == Access::copy;
    void* memory = ::mmap(nullptr, size, copy ? PROT_READ | PROT_WRITE : PROT_READ,
                          copy ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE, copy ? -1 : file.get(), 0);
    if (memory == MAP_FAILED) fail(detail::system_message(errno));
    data_ = static_cast<std::byte*>(memory);
    size_ = size;
    if (copy) {
      try {
        read_all(file.get());
      } catch (...) {  // the destructor does not run for an object whose constructor throws
        unmap();
        throw;
      }
    }
  }

  /// What is moved from holds nothing.
  MappedFile(MappedFile&& other) noexcept
      : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  /// What is moved from holds nothing.
  MappedFile& operator=(MappedFile&& other) noexcept {
    MappedFile old(std::move(other));
    std::swap(path_, old.path_);
    std::swap(data_, old.data_);
    std::swap(size_, old.size_);
    return *this;
  }
  ~MappedFile() { unmap(); }

  /// What the file holds.
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// The same as characters.
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  /// As it was opened.
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw FileError(message("could not open ", printable_path(path_), ": ", why));
  }

  void read_all(int fd) {
    for (std::size_t done = 0; done < size_;) {
      const ssize_t n = ::read(fd, data_ + done, size_ - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(detail::system_message(errno));
      if (n == 0) fail(message("expected ", size_, " bytes, found ", done, ": the file became shorter while it was read"));
      done += static_cast<std::size_t>(n);
    }
  }

  void unmap() noexcept {
    if (data_ != nullptr) ::munmap(data_, size_);
    data_ = nullptr;
  }

  std::string path_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace wu::io
