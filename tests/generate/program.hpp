// wu-generate as a user meets it: started with arguments, and judged by its exit code, its words and the files that it leaves.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "support/run.hpp"
#include "support/scratch.hpp"
#include "wu/io/safetensors.hpp"

namespace fs = std::filesystem;

/// A fixture: a checkpoint, a condition, and what has to come of them; and the program that was built for it.
struct Fixture {
  fs::path folder;
  std::string name() const { return folder.filename().string(); }
  fs::path program() const { return fs::path(WU_GENERATE_PROGRAMS) / ("wu-generate-" + name()); }
  fs::path condition() const { return folder / "condition.safetensors"; }
};
/// The one of that name.
Fixture fixture(const std::string& name);
/// All that have a program.
std::vector<Fixture> all_fixtures();

using Arguments = std::vector<std::string>;

/// Runs the fixture's program and waits for its end.
Ran run(const Fixture& fixture, const Arguments& arguments);
/// --checkpoint, --condition, --out of a fixture, and more.
Arguments arguments_for(const Fixture& fixture, const fs::path& out, const Arguments& more = {});

/// It did what it was asked for.
void check_done(const Ran& ended);
/// It refused: nothing on the standard output; the last line of the error stream begins with "wu-generate: " and holds all parts.
void check_refused(const Ran& ended, std::initializer_list<std::string_view> parts, int code = 1);

std::vector<double> values(const wu::io::SafeTensors& file, const std::string& name);
std::string bytes_of(const fs::path& file);
void write(const fs::path& file, std::string_view bytes);
