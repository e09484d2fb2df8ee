// The broken files of tests/io/corpus, each read as a user would read it: the error is the one that expected.txt asks for, and what
// is valid is read to its last value. make_corpus.py there says what is wrong with each.
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "support.hpp"
#include "wu/io/checkpoint.hpp"
#include "wu/io/json.hpp"
#include "wu/io/safetensors.hpp"

using namespace wu::io;
namespace fs = std::filesystem;

namespace {

const fs::path corpus = fs::path(WU_TEST_DATA).parent_path() / "io" / "corpus";

/// What is to be said of each file, or folder (with a slash behind it).
std::map<std::string, std::string> expected() {
  std::map<std::string, std::string> all;
  std::ifstream list(corpus / "expected.txt");
  for (std::string line; std::getline(list, line);) {
    if (line.starts_with("#")) continue;
    const std::size_t tab = line.find('\t');
    BOOST_REQUIRE_MESSAGE(tab != line.npos, "no tab in: " << line);
    BOOST_REQUIRE_MESSAGE(all.emplace(line.substr(0, tab), line.substr(tab + 1)).second, "twice: " << line);
  }
  return all;
}

/// Every value of every tensor that can be read as numbers.
void read_values(const StoredTensors& file) {
  for (const StoredTensor& tensor : file.tensors()) {
    std::vector<double> values(static_cast<std::size_t>(tensor.count()));
    if (is_number(tensor.dtype)) read_into(tensor, values);
  }
}

void read(const fs::path& path) {
  if (path.extension() == ".json") parse_json(MappedFile(path.string()).text(), path.string());
  else if (path.extension() == ".safetensors") {
    read_values(SafeTensors::open(path.string()));
    read_values(Checkpoint::open(path.string()));
  } else read_values(Checkpoint::open(path.string()));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(corpus_of_files)

BOOST_AUTO_TEST_CASE(every_file_is_refused_in_words_or_valid) {
  std::size_t broken = 0, valid = 0;
  for (const auto& listed : expected()) {
    const std::string &name = listed.first, &says = listed.second;
    BOOST_REQUIRE_MESSAGE(fs::exists(corpus / name), name << " is in the list but not in the folder");
    const std::string what = wu::test::error_of([&] { read(corpus / name); });
    if (says == "valid") {
      ++valid;
      BOOST_CHECK_MESSAGE(what.empty(), name << " is valid, but it says '" << what << "'");
      continue;
    }
    ++broken;
    BOOST_CHECK_MESSAGE(wu::test::contains(what, says), name << ": expected '" << says << "', found '" << what << "'");
    BOOST_CHECK_MESSAGE(wu::test::contains(what, fs::path(name).parent_path().filename().string()), what);
    for (const char c : what)
      BOOST_CHECK_MESSAGE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "unprintable: " << what);
  }
  BOOST_TEST(broken >= 40u);
  BOOST_TEST(valid >= 10u);
}

BOOST_AUTO_TEST_CASE(every_file_is_in_the_list) {
  const auto all = expected();
  for (const auto& entry : fs::recursive_directory_iterator(corpus)) {
    if (!entry.is_regular_file()) continue;
    const fs::path path = fs::relative(entry.path(), corpus);
    if (path == "expected.txt" || path == "make_corpus.py" || path.string().starts_with("__pycache__")) continue;
    const bool listed = all.contains(path.string()) || all.contains(path.parent_path().string() + "/");
    BOOST_CHECK_MESSAGE(listed, path << " is not in the list");
  }
}

BOOST_AUTO_TEST_SUITE_END()
