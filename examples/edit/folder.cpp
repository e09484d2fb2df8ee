#include "edit/folder.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <system_error>

#include "wu/core/error.hpp"
#include "wu/io/atomic_file.hpp"
#include "wu/io/printable.hpp"

namespace edit {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t largest_file = std::uintmax_t{1} << 30;

struct CloseFile {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

std::string shown(const fs::path& path) { return wu::io::printable_path(path.string()); }

std::string reason(int error) { return error != 0 ? std::generic_category().message(error) : "unknown reason"; }

}  // namespace

std::string lower_extension(const fs::path& file) {
  std::string extension = file.extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return extension;
}

std::vector<fs::path> list_images(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (status.type() == fs::file_type::not_found)
    throw wu::FileError(wu::message("cannot list the pictures of ", shown(folder), ": there is no such folder"));
  if (status.type() == fs::file_type::none)
    throw wu::FileError(wu::message("cannot list the pictures of ", shown(folder), ": ", error.message()));
  if (!fs::is_directory(status))
    throw wu::FileError(wu::message("cannot list the pictures of ", shown(folder), ": it is not a folder"));

  std::vector<fs::path> images;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const fs::path& path = entry->path();
    if (path.filename().string().starts_with('.')) continue;  // "._photo.jpg": what some systems leave beside a picture
    const std::string extension = lower_extension(path);
    std::error_code unreadable;
    if ((extension == ".png" || extension == ".jpg" || extension == ".jpeg") && entry->is_regular_file(unreadable))
      images.push_back(path);
  }
  if (error) throw wu::FileError(wu::message("cannot list the pictures of ", shown(folder), ": ", error.message()));
  if (images.empty())
    throw wu::FileError(
        wu::message("cannot list the pictures of ", shown(folder), ": it holds no .png, .jpg or .jpeg file"));
  std::sort(images.begin(), images.end(),
            [](const fs::path& a, const fs::path& b) { return a.filename().native() < b.filename().native(); });
  return images;
}

std::vector<std::byte> read_file(const fs::path& file) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (status.type() == fs::file_type::not_found)
    throw wu::FileError(wu::message("cannot read ", shown(file), ": there is no such file"));
  if (status.type() == fs::file_type::none)
    throw wu::FileError(wu::message("cannot read ", shown(file), ": ", error.message()));
  if (fs::is_directory(status))
    throw wu::FileError(wu::message("cannot read ", shown(file), ": it is a folder, not a file"));
  if (!fs::is_regular_file(status))  // a pipe or a device might never end
    throw wu::FileError(wu::message("cannot read ", shown(file), ": it is not a regular file"));

  errno = 0;
  const File in(std::fopen(file.c_str(), "rb"));
  if (!in) throw wu::FileError(wu::message("cannot read ", shown(file), ": ", reason(errno)));
  const std::uintmax_t size = fs::file_size(file, error);
  if (error) throw wu::FileError(wu::message("cannot read ", shown(file), ": ", error.message()));
  if (size > largest_file)
    throw wu::FileError(wu::message("cannot read ", shown(file), ": it has ", size, " bytes, more than the ", largest_file,
                                    " that are read at most"));
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  if (std::fread(bytes.data(), 1, bytes.size(), in.get()) != bytes.size())
    throw wu::FileError(wu::message("cannot read ", shown(file), ": ",
                                    std::ferror(in.get()) ? reason(errno) : "it became shorter while it was read"));
  return bytes;
}

void write_file(const fs::path& file, std::span<const std::byte> bytes) {
  wu::io::write_file_atomically(file.string(), bytes);
}

void write_file(const fs::path& file, std::string_view text) { write_file(file, std::as_bytes(std::span(text))); }

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    throw wu::FileError(wu::message("cannot create the folder ", shown(folder), ": ",
                                    error ? error.message() : "a file of that name is in the way"));
}

}  // namespace edit
