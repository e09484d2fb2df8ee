// Saving without half-written files: the bytes go to a temporary file in the same folder, which takes the place of the old
// one only when all of it is on the disk. A program that has the old file mapped keeps the old bytes.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>  // clock_gettime: <chrono> takes longer to compile than the rest of this file
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>  // renameat
#include <span>
#include <string>
#include <string_view>

#include "wu/core/error.hpp"
#include "wu/io/mapped_file.hpp"
#include "wu/io/printable.hpp"

namespace wu::io {

/// A file that is being saved: construct, write(), commit(). Without commit() nothing is left but what was there before.
/// The new file gets the permissions of the one it replaces; one that nobody may write is not replaced. A symbolic link is
/// replaced itself, not what it points to.
/// Every function throws FileError saying why (folder missing or read-only, disk full, ...).
class AtomicFile {
 public:
  /// Makes a temporary file beside path.
  explicit AtomicFile(const std::string& path) : path_(path) {
    const std::size_t slash = path.rfind('/');
    name_ = slash == std::string::npos ? path : path.substr(slash + 1);
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    if (path.find('\0') != std::string::npos) fail("a path cannot contain a NUL byte");
    if (name_.empty() || name_ == "." || name_ == "..") fail("expected the name of a file, found a folder");

    folder_ = detail::Descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder_) fail(message("the folder ", printable_path(folder), " cannot be opened: ", detail::system_message(errno)));

    struct stat old{};
    const bool replaces = ::fstatat(folder_.get(), name_.c_str(), &old, 0) == 0;
    if (replaces && S_ISDIR(old.st_mode)) fail("expected a file, found a folder of that name");
    if (replaces && !S_ISREG(old.st_mode)) fail("expected a regular file, found a device, pipe or socket");
    if (replaces && (old.st_mode & 0222) == 0) fail("the file that is there is read-only");
    const mode_t mode = replaces ? old.st_mode & 0777 : 0666;

    for (int attempt = 0; attempt < 100 && !file_; ++attempt) {
      temporary_ = temporary_name();
      file_ = detail::Descriptor(
          ::openat(folder_.get(), temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
      if (!file_ && errno != EEXIST) break;
    }
    if (!file_) fail(message("no file can be created in that folder: ", detail::system_message(errno)));
    // The process's umask may have taken bits away which the old file had.
    struct stat made{};
    const bool differs = replaces && (::fstat(file_.get(), &made) != 0 || (made.st_mode & 0777) != mode);
    if (differs && ::fchmod(file_.get(), mode) != 0) discard_and_fail(detail::system_message(errno));
  }

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() { discard(); }

  /// Appends bytes.
  void write(std::span<const std::byte> bytes) {
    if (!file_) fail("it has been saved, or a write failed before");
    while (!bytes.empty()) {
      const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) discard_and_fail(detail::system_message(errno));
      if (n == 0) discard_and_fail("the system wrote nothing and gave no reason");
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
  /// Appends text.
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

  /// Brings what was written to the disk: commit() then has little left that can fail.
  void flush() {
    if (!file_) fail("it has been saved, or a write failed before");
    if (::fsync(file_.get()) != 0) discard_and_fail(detail::system_message(errno));
  }

  /// Brings everything to the disk and puts the file in its place.
  void commit() {
    flush();
    // Some file systems report a full disk only here. After a failed close the descriptor is gone all the same.
    if (::close(file_.release()) != 0) discard_and_fail(detail::system_message(errno));
    if (::renameat(folder_.get(), temporary_.c_str(), folder_.get(), name_.c_str()) != 0)
      discard_and_fail(detail::system_message(errno));
    temporary_.clear();
    // The new name lives in the folder, which is a file of its own. Some file systems cannot do this and need not.
    if (::fsync(folder_.get()) != 0 && errno != EINVAL && errno != ENOTSUP)
      throw FileError(message("saved ", printable_path(path_),
                              ", but its folder could not be brought to the disk, so that a power ",
                              "failure may undo it: ", detail::system_message(errno)));
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw FileError(message("could not save ", printable_path(path_), ": ", why));
  }
  [[noreturn]] void discard_and_fail(const std::string& why) {
    discard();
    fail(why);
  }

  void discard() noexcept {
    if (temporary_.empty()) return;
    file_ = detail::Descriptor();
    ::unlinkat(folder_.get(), temporary_.c_str(), 0);
    temporary_.clear();
  }

  /// Short, whatever the file's own name is, and unlike that of another process, thread or earlier crash.
  static std::string temporary_name() {
    static std::atomic<std::uint64_t> counter{0};
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return message(".wu-saving-", ::getpid(), "-", now.tv_sec, "-", now.tv_nsec, "-", counter++);
  }

  std::string path_, name_, temporary_;
  detail::Descriptor folder_, file_;
};

/// Saves the pieces one after the other as one file, whole or not at all. Throws FileError.
inline void write_file_atomically(const std::string& path, std::span<const std::span<const std::byte>> pieces) {
  AtomicFile file(path);
  for (const auto piece : pieces) file.write(piece);
  file.commit();
}
/// One piece of bytes.
inline void write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  write_file_atomically(path, std::span(&bytes, 1));
}
/// One text.
inline void write_file_atomically(const std::string& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace wu::io
