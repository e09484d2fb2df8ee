// A folder for a test to write into.
#pragma once

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <random>
#include <string_view>
#include <system_error>

#include "wu/core/error.hpp"

/// An empty folder that goes away with its contents.
struct Scratch {
  std::filesystem::path folder;

  Scratch() {
    std::random_device device;
    folder = std::filesystem::temp_directory_path() / wu::message("wu-test-", device(), "-", device()).view();
    std::filesystem::create_directories(folder);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  std::filesystem::path operator/(std::string_view name) const { return folder / name; }
  std::ptrdiff_t entries() const { return std::distance(std::filesystem::directory_iterator(folder), {}); }
};
