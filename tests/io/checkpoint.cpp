// Checkpoints of one file and of several: the same tensors, and an index that is believed only as far as it is right.
#include "wu/io/checkpoint.hpp"

#include <boost/test/unit_test.hpp>

#include <unistd.h>  // symlink

#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "model.hpp"
#include "support.hpp"
#include "wu/io/parameters.hpp"

using namespace wu::io;
using wu::test::Folder;
using wu::test::Model;
using wu::test::number;
using wu::test::values_of;
using wu::test::write_text;

namespace {

using Weights = wu::Weights<Model, float>;
using Map = std::vector<std::pair<std::string, std::string>>;
const std::string index_name = "model.safetensors.index.json";

std::string index_text(const Map& map, const std::string& metadata = R"({"total_size": 100})") {
  std::string text = "{\"metadata\": " + metadata + ", \"weight_map\": {";
  for (const auto& [tensor, file] : map)
    text += (text.back() == '{' ? "" : ", ") + json_string(tensor) + ": " + json_string(file);
  return text + "}}";
}

std::string shard_name(std::size_t k) { return "model-0000" + std::to_string(k + 1) + "-of-00003.safetensors"; }

/// Writes the weights as three shards and gives back what their index has to say.
Map save_shards(const Folder& folder, const Weights& weights) {
  std::vector<std::vector<TensorToSave>> shards(3);
  Map map;
  for (TensorToSave& tensor : to_tensors(weights.view())) {
    const std::size_t k = map.size() % 3;
    map.emplace_back(tensor.name, shard_name(k));
    shards[k].push_back(std::move(tensor));
  }
  for (std::size_t k = 0; k < 3; ++k)
    save_safetensors(folder / shard_name(k), shards[k], {{"shard", std::to_string(k)}, {"made", "by the test"}});
  write_text(folder / index_name, index_text(map));
  return map;
}

/// A checkpoint of three shards, to be spoilt.
struct Shards {
  Folder folder;
  Weights weights;
  Map map;

  Shards() {
    number(weights);
    map = save_shards(folder, weights);
  }
  /// What opening says after the index became this text.
  std::string error_with(const std::string& text) const {
    write_text(folder / index_name, text);
    return error();
  }
  std::string error() const {
    return wu::test::error_of([&] { Checkpoint::open(folder.path()); });
  }
};

#define WU_CHECK_SAYS(what, phrase) \
  BOOST_CHECK_MESSAGE(wu::test::contains(what, phrase), "expected '" << (phrase) << "', found '" << (what) << "'")

}  // namespace

BOOST_AUTO_TEST_SUITE(checkpoint)

BOOST_AUTO_TEST_CASE(one_file_and_three_shards_give_equal_parameters) {
  const Shards shards;
  const Folder whole;
  save_safetensors(whole / "model.safetensors", to_tensors(shards.weights.view()));
  for (const std::string& path :
       {shards.folder.path(), shards.folder / index_name, whole.path(), whole / "model.safetensors"}) {
    BOOST_TEST_CONTEXT(path) {
      const Checkpoint file = Checkpoint::open(path);
      Weights loaded;
      load_parameters(file, loaded.view());
      BOOST_TEST(values_of(loaded) == values_of(shards.weights), boost::test_tools::per_element());
      BOOST_TEST(file.tensors().size() == 7u);
      BOOST_TEST(file.names().size() == 7u);
      BOOST_TEST(file.at("blocks.1.weight").count() == 6);
      BOOST_TEST(file.find("blocks.2.weight") == nullptr);
    }
  }
  const Checkpoint sharded = Checkpoint::open(shards.folder.path()), single = Checkpoint::open(whole.path());
  BOOST_TEST(sharded.files().size() == 3u);
  BOOST_TEST(single.files().size() == 1u);
  BOOST_TEST(sharded.file() == shards.folder / index_name);
  BOOST_TEST(*sharded.at(shards.map[1].first).file == shards.folder / shard_name(1));
  BOOST_TEST((sharded.claimed_bytes() == 100.));
  BOOST_TEST(!single.claimed_bytes().has_value());
  // What the shards contradict each other about is left out.
  BOOST_TEST((sharded.metadata() == Metadata{{"format", "pt"}, {"made", "by the test"}}));
  WU_CHECK_FILE_ERROR(sharded.at("x"), index_name + "\": expected the tensor \"x\", found none of that name among 7");
}

BOOST_AUTO_TEST_CASE(a_folder_has_its_names_in_order) {
  const Folder folder;
  const std::vector<float> value{1};
  const auto save = [&](const std::string& name, const std::string& tensor) {
    save_safetensors(folder / name, {tensor_to_save(tensor, {1}, value)});
  };
  const auto opened = [&] { return Checkpoint::open(folder.path()).file(); };
  WU_CHECK_FILE_ERROR(opened(), "expected model.safetensors, diffusion_pytorch_model.safetensors, or one of these names");
  save("s.safetensors", "a");
  write_text(folder / "diffusion_pytorch_model.safetensors.index.json", index_text({{"a", "s.safetensors"}}));
  BOOST_TEST(opened() == folder / "diffusion_pytorch_model.safetensors.index.json");
  save("diffusion_pytorch_model.safetensors", "b");
  BOOST_TEST(opened() == folder / "diffusion_pytorch_model.safetensors");
  write_text(folder / index_name, index_text({{"a", "s.safetensors"}}));
  BOOST_TEST(opened() == folder / index_name);
  save("model.safetensors", "c");
  BOOST_TEST(opened() == folder / "model.safetensors");
  BOOST_TEST(Checkpoint::open(folder.path() + "/").names() == std::vector<std::string>{"c"});
  // A link is as good as a file; one that leads nowhere is an error and not a reason to look further.
  std::filesystem::remove(folder / "model.safetensors");
  BOOST_REQUIRE(::symlink("s.safetensors", (folder / "model.safetensors").c_str()) == 0);
  BOOST_TEST(Checkpoint::open(folder.path()).names() == std::vector<std::string>{"a"});
  std::filesystem::remove(folder / "s.safetensors");
  WU_CHECK_FILE_ERROR(opened(), "model.safetensors\": No such file");
  WU_CHECK_FILE_ERROR(Checkpoint::open(folder / "none"), "none\": No such file");
}

BOOST_AUTO_TEST_CASE(an_index_beside_the_program_names_files_beside_it) {
  const Shards shards;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(shards.folder.path());
  const std::string what =
      wu::test::error_of<wu::Error>([] { BOOST_TEST(Checkpoint::open(index_name).files().size() == 3u); });
  std::filesystem::current_path(before);
  BOOST_TEST(what == "");
}

BOOST_AUTO_TEST_CASE(an_index_names_plain_files_only) {
  Shards shards;
  save_safetensors(shards.folder / "model-x.bin", to_tensors(shards.weights.view()));
  for (const std::string& name :
       {std::string(""), std::string("."), std::string(".."), std::string("../x.safetensors"), std::string("/x.safetensors"),
        std::string("a/../x.safetensors"), std::string("a\\x.safetensors"), std::string("c:x.safetensors"),
        std::string("x\0.safetensors", 14)}) {
    Map map = shards.map;
    map[2].second = name;
    WU_CHECK_SAYS(shards.error_with(index_text(map)),
                  "tensor \"blocks.0.scale\": expected the name of a file in the same folder, found " + printable(name));
  }
  for (const char* const name : {"model-x.bin", "model.safetensors.bin", ".pt", "safetensors"}) {
    Map map = shards.map;
    map[0].second = name;
    WU_CHECK_SAYS(shards.error_with(index_text(map)), "expected a file *.safetensors, found " + printable(name));
  }
}

BOOST_AUTO_TEST_CASE(an_index_says_what_it_must) {
  const Shards shards;
  WU_CHECK_SAYS(shards.error_with(""), "the file is empty");
  WU_CHECK_SAYS(shards.error_with("{"), "expected a name in double quotes at byte 1");
  WU_CHECK_SAYS(shards.error_with("[]"), "expected the member \"weight_map\", found none");
  WU_CHECK_SAYS(shards.error_with("{\"metadata\": {}}"), "expected the member \"weight_map\", found none");
  WU_CHECK_SAYS(shards.error_with("{\"weight_map\": []}"), "expected an object as \"weight_map\", found an array");
  WU_CHECK_SAYS(shards.error_with("{\"weight_map\": {\"a\": 1}}"), "tensor \"a\": expected the name of a file, found \"1\"");
  WU_CHECK_SAYS(shards.error_with(R"({"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}})"),
                "expected each name once, found \"a\" twice");
  WU_CHECK_SAYS(shards.error_with(R"({"weight_map": {}, "weight_map": {}})"), "found \"weight_map\" twice");
  write_text(shards.folder / index_name, index_text(shards.map));
  WU_CHECK_FILE_ERROR(Checkpoint::open(shards.folder.path(), {.header_limit = 300}),
                      "expected an index of at most 300 bytes");
}

BOOST_AUTO_TEST_CASE(what_an_index_claims_about_sizes_is_no_rule) {
  const Shards shards;
  const auto claimed = [&](const std::string& metadata) {
    write_text(shards.folder / index_name, index_text(shards.map, metadata));
    return Checkpoint::open(shards.folder.path()).claimed_bytes();
  };
  BOOST_TEST((claimed("{\"total_size\": 8.5e9, \"more\": [1]}") == 8.5e9));
  BOOST_TEST((claimed("{\"total_size\": -1}") == -1.));
  BOOST_TEST(!claimed("{\"total_size\": \"many\"}").has_value());
  BOOST_TEST(!claimed("{\"total_size\": 1e999}").has_value());
  BOOST_TEST(!claimed("{}").has_value());
  BOOST_TEST(!claimed("null").has_value());
  write_text(shards.folder / index_name, "{\"weight_map\": {}}");
  BOOST_TEST(Checkpoint::open(shards.folder.path()).tensors().empty());
}

BOOST_AUTO_TEST_CASE(a_shard_that_is_missing_or_broken_is_named) {
  const Shards shards;
  const std::string second = shards.folder / shard_name(1), bytes = wu::test::read_text(second);
  write_text(second, bytes.substr(0, bytes.size() - 1));
  WU_CHECK_SAYS(shards.error(), shard_name(1) + "\": expected ");
  WU_CHECK_SAYS(shards.error(), "(the file is cut off)");
  write_text(second, bytes + "x");
  WU_CHECK_SAYS(shards.error(), "(bytes that belong to no tensor)");
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    write_text(second, bytes.substr(0, n));
    BOOST_TEST(shards.error() != "");
  }
  std::filesystem::remove(second);
  WU_CHECK_SAYS(shards.error(), shard_name(1) + "\": No such file");
  // With the whole model beside them, the shards are not asked for.
  save_safetensors(shards.folder / "model.safetensors", to_tensors(shards.weights.view()));
  BOOST_TEST(shards.error() == "");
}

BOOST_AUTO_TEST_CASE(every_tensor_lies_where_the_index_says) {
  Shards shards;
  Map map = shards.map;
  map[0].second = shard_name(1);  // it lies in the first
  WU_CHECK_SAYS(shards.error_with(index_text(map)), "tensor \"blocks.0.norm.weight\": expected it in the file \"" +
                                                        shard_name(1) + "\", found none of that name there");
  map = shards.map;
  map.emplace_back("surplus\n", shard_name(2));
  WU_CHECK_SAYS(shards.error_with(index_text(map)), "tensor \"surplus\\u{000a}\": expected it in the file");
  map = shards.map;
  map.erase(map.begin() + 1);
  WU_CHECK_SAYS(shards.error_with(index_text(map)),
                shard_name(1) + "\": tensor \"blocks.0.weight\": expected a tensor that the index ");
}

BOOST_AUTO_TEST_CASE(a_tensor_in_two_shards_is_taken_from_the_one_that_the_index_names) {
  const Shards shards;
  const std::string twice = shards.map[0].first;  // in the first shard, by the index
  std::vector<TensorToSave> tensors;
  const SafeTensors second = SafeTensors::open(shards.folder / shard_name(1));
  for (const StoredTensor& tensor : second.tensors())
    tensors.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
  const std::vector<float> other{-1, -2, -3, -4, -5};
  tensors.push_back(tensor_to_save(twice, {5}, other));
  save_safetensors(shards.folder / shard_name(1), tensors);
  const Checkpoint file = Checkpoint::open(shards.folder.path());
  BOOST_TEST(file.tensors().size() == 7u);
  Weights loaded;
  load_parameters(file, loaded.view());
  BOOST_TEST(values_of(loaded) == values_of(shards.weights), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(no_shard_is_opened_that_is_not_needed) {
  const Shards shards;
  write_text(shards.folder / shard_name(2), "no safetensors file");
  BOOST_TEST(shards.error() != "");
  Map map = shards.map;
  std::erase_if(map, [](const auto& entry) { return entry.second == shard_name(2); });
  BOOST_TEST(shards.error_with(index_text(map)) == "");
}

BOOST_AUTO_TEST_SUITE_END()
