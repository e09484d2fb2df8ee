// The fuzz targets on what the fuzzer begins with, and on some changes of it, with any compiler: scripts/fuzz.sh goes on from here.
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/targets.hpp"
#include "wu/core/random.hpp"

namespace {

namespace fs = std::filesystem;

/// The files below a folder that `wanted` takes.
template <class Wanted>
std::vector<std::string> seeds(const fs::path& folder, Wanted wanted) {
  std::vector<std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!wanted(entry.path())) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    all.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return all;
}

/// Files of tests/io/corpus that end so.
std::vector<std::string> of_corpus(const std::string& extension) {
  auto all = seeds(fs::path(WU_TEST_DATA).parent_path() / "io" / "corpus",
                   [&](const fs::path& path) { return path.extension() == extension; });
  BOOST_TEST_REQUIRE(all.size() > 20u);
  return all;
}

template <class Target>
void check(const std::vector<std::string>& all, Target target) {
  wu::Random random(5, "fuzz");
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random.below(static_cast<std::uint32_t>(n))); };
  for (const std::string& seed : all) {
    BOOST_CHECK_NO_THROW(target(seed));
    for (int round = 0; round < 50 && !seed.empty() && seed.size() < 2000; ++round) {
      std::string changed = seed;
      switch (random.below(4)) {
        case 0: changed[below(changed.size())] = static_cast<char>(random.below(256)); break;
        case 1: changed.erase(below(changed.size()), 1 + below(4)); break;
        case 2: changed.insert(below(changed.size()), 1, "0123456789[]{},:\"\\ eE.-"[random.below(23)]); break;
        default: changed.insert(below(changed.size()), changed.substr(below(changed.size()), below(20)));
      }
      BOOST_CHECK_NO_THROW(target(changed));
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(seeds_of_safetensors_and_their_changes) { check(of_corpus(".safetensors"), wu::fuzz::safetensors); }
BOOST_AUTO_TEST_CASE(seeds_of_json_and_their_changes) { check(of_corpus(".json"), wu::fuzz::json); }
BOOST_AUTO_TEST_CASE(configurations_of_generators_and_their_changes) {
  const auto all = seeds(WU_TEST_DATA, [](const fs::path& path) { return path.filename() == "config.json"; });
  BOOST_TEST_REQUIRE(all.size() > 5u);
  check(all, wu::fuzz::config);
}
