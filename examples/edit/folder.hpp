// Files and folders as the editing example needs them: read all of a file, replace a file without ever leaving half of
// one behind, and list the pictures of a folder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace edit {

/// The PNG and JPEG files of `folder` by their extension (any case), hidden ones left out, sorted by name.
/// Throws wu::FileError when the folder is missing, is no folder, or holds no such file.
std::vector<std::filesystem::path> list_images(const std::filesystem::path& folder);

/// The extension of a file's name with its point, in lower case: ".jpg" for "A.JPG".
std::string lower_extension(const std::filesystem::path& file);

/// All bytes of a regular file of at most 1 GiB; wu::FileError otherwise.
std::vector<std::byte> read_file(const std::filesystem::path& file);

/// Replaces `file` by `bytes`: written beside it under another name, then renamed. When anything fails, what stood there
/// before still does, the half-written file is gone, and wu::FileError names the reason.
void write_file(const std::filesystem::path& file, std::span<const std::byte> bytes);
void write_file(const std::filesystem::path& file, std::string_view text);

/// Creates `folder` and its parents where they are missing; wu::FileError when that cannot be done.
void make_folder(const std::filesystem::path& folder);

}  // namespace edit
