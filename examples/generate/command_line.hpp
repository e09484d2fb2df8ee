// What a user asks of wu-generate, and what it says while it works: all that does not depend on a generator's shape.
#pragma once

#include <string>
#include <string_view>

#include "wu/io/adapter_format.hpp"

namespace generate {

enum class Layout { of_the_shape, flat, rank_anchored };
enum class Type { of_the_checkpoint, float32, bfloat16 };

struct Options {
  std::string checkpoint, condition, out, tokens;
  Layout layout = Layout::of_the_shape;
  wu::io::AdapterFormat format = wu::io::AdapterFormat::hy_wu;
  Type type = Type::of_the_checkpoint;
  int threads = 0;  ///< 0: all of the machine
  bool plan = false;
};

/// Reads the command line and calls run(options), which returns the exit code or throws. What is wrong is said in one line on the
/// error stream: exit code 2 for the command line, 1 for everything else. `shape`: what the program is compiled for, for --help.
int main(int argc, char** argv, std::string_view shape, int (*run)(const Options&));

/// A line on the error stream that begins with "note: ".
void note(std::string_view text);

}  // namespace generate
