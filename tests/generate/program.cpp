#include "program.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <fstream>
#include <ios>
#include <iterator>

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

Ran run(const Fixture& fixture, const Arguments& arguments) {
  Ran ended = ::run(fixture.program().string(), arguments);
  BOOST_TEST_REQUIRE(ended.code >= 0, fixture.name() << ": not ended by itself, but by signal " << -ended.code);
  return ended;
}

Arguments arguments_for(const Fixture& fixture, const fs::path& out, const Arguments& more) {
  Arguments all{"--checkpoint", fixture.folder.string(),
                "--condition",  fixture.condition().string(),
                "--out",        out.string(),
                "--threads",    "2"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void check_done(const Ran& ended) {
  BOOST_TEST_REQUIRE(ended.code == 0, "exit code " << ended.code << ": " << ended.err);
  BOOST_TEST(ended.err.find("wu-generate: ") == std::string::npos, ended.err);
}

void check_refused(const Ran& ended, std::initializer_list<std::string_view> parts, int code) {
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
