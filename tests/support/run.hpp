// A program started with arguments and run to its end.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/scratch.hpp"

extern char** environ;

/// How it ended. code: its exit code, or minus the number of the signal that ended it.
struct Ran {
  int code = 0;
  std::string out, err;
};

/// Nothing is to be read on its standard input. out: where its standard output goes instead of into the result.
inline Ran run(const std::string& program, const std::vector<std::string>& arguments, const std::string& out = "") {
  const Scratch scratch;
  const std::string out_file = out.empty() ? (scratch / "out").string() : out, err_file = (scratch / "err").string();
  std::vector<std::string> texts{program};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);

  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, 1, out_file.c_str(), O_WRONLY | O_CREAT, 0600);
  ::posix_spawn_file_actions_addopen(&files, 2, err_file.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t child = -1;
  const int error = ::posix_spawn(&child, program.c_str(), &files, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw std::runtime_error("could not start " + program);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) throw std::runtime_error("could not wait for " + program);

  const auto text_of = [](const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  return {WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), out.empty() ? text_of(out_file) : "",
          text_of(err_file)};
}
