#include "program.hpp"

#include <boost/test/unit_test.hpp>

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <ios>
#include <iterator>

namespace {

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

std::vector<Fixture> all_fixtures() {
  std::vector<Fixture> all;
  std::string_view folders = WU_GENERATE_FIXTURES;
  while (!folders.empty()) {
    const std::size_t end = std::min(folders.find('|'), folders.size());
    all.push_back({fs::path(folders.substr(0, end))});
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  return all;
}

Fixture fixture(const std::string& name) {
  const auto all = all_fixtures();
  const auto at = std::find_if(all.begin(), all.end(), [&](const Fixture& f) { return f.name() == name; });
  BOOST_TEST_REQUIRE((at != all.end()), "no fixture " << name);
  return *at;
}

Ended run(const Fixture& fixture, const Arguments& arguments) {
  const Scratch scratch;
  const fs::path out = scratch / "out", err = scratch / "err";
  std::string command = quoted(fixture.program().string());
  for (const std::string& argument : arguments) command += " " + quoted(argument);
  const int status = std::system((command + " >" + quoted(out.string()) + " 2>" + quoted(err.string())).c_str());
  BOOST_TEST_REQUIRE(WIFEXITED(status), "not ended by itself: " << command);
  return {WEXITSTATUS(status), bytes_of(out), bytes_of(err)};
}

Arguments arguments_for(const Fixture& fixture, const fs::path& out, const Arguments& more) {
  Arguments all{"--checkpoint", fixture.folder.string(),
                "--condition",  fixture.condition().string(),
                "--out",        out.string(),
                "--threads",    "2"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void check_done(const Ended& ended) {
  BOOST_TEST_REQUIRE(ended.code == 0, "exit code " << ended.code << ": " << ended.err);
  BOOST_TEST(ended.err.find("wu-generate: ") == std::string::npos, ended.err);
}

void check_refused(const Ended& ended, std::initializer_list<std::string_view> parts, int code) {
  BOOST_TEST_CONTEXT("it said: " << ended.err) {
    BOOST_TEST(ended.code == code);
    BOOST_TEST(ended.out == "");
    BOOST_TEST_REQUIRE(ended.err.ends_with("\n"));
    const std::string lines = ended.err.substr(0, ended.err.size() - 1);
    const std::string last = lines.substr(lines.rfind('\n') + 1);
    BOOST_TEST(last.starts_with("wu-generate: "));
    for (const std::string_view part : parts)
      BOOST_TEST(last.find(part) != std::string::npos, "expected in the last line: " << part);
  }
}

std::vector<double> values(const wu::io::SafeTensors& file, const std::string& name) {
  const auto& tensor = file.at(name);
  std::vector<double> all(static_cast<std::size_t>(tensor.count()));
  wu::io::read_into(tensor, all);
  return all;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
