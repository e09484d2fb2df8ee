// Names, types, shapes and values, as a table and as JSON; what is refused; and that nothing of a file gets at the terminal.
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <span>

#include "inspect.hpp"

using namespace wu::io;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// No byte of it does anything to a terminal but show a character or begin a line.
void check_harmless(const std::string& text) {
  for (const char c : text)
    BOOST_TEST((c == '\n' || (c >= 0x20 && c < 0x7F)), "byte " << static_cast<int>(c) << " in " << text);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tensors)

BOOST_AUTO_TEST_CASE(values_are_counted_and_measured) {
  const Scratch scratch;
  const std::vector<double> values{3, -4, std::nan(""), infinity, -infinity, 0, std::nan("")};
  const std::vector<double> large{1e300, -1e300, 1e299}, small{3e-320, -4e-320};
  const std::vector<std::int8_t> bytes{-128, 127, 5};
  const std::vector<wu::bfloat16> halves{wu::bfloat16(1.5f), wu::bfloat16(-2.f)};
  const std::vector<float> nothing;
  const bool flags[3] = {true, false, true};
  save_safetensors(
      (scratch / "f.safetensors").string(),
      {tensor_to_save("v", {7}, values), tensor_to_save("large", {3}, large), tensor_to_save("small", {2, 1}, small),
       tensor_to_save("bytes", {3}, bytes), tensor_to_save("halves", {1, 2}, halves),
       tensor_to_save("flags", {3}, std::span(flags)), tensor_to_save("none", {0, 4}, nothing)},
      {{"made by", "a test"}});
  const Json json = json_of(scratch / "f.safetensors");
  const auto tensor = [&](const std::string& name) -> const Json& { return one_of(at(json, "tensors"), "name", name); };
  const auto check = [&](const std::string& name, double norm, double min, double max) {
    BOOST_TEST_CONTEXT(name) {
      BOOST_TEST(number_at(tensor(name), "norm") == norm, boost::test_tools::tolerance(1e-12));
      BOOST_TEST(number_at(tensor(name), "min") == min);
      BOOST_TEST(number_at(tensor(name), "max") == max);
    }
  };
  check("v", 5, -4, 3);
  check("large", 1e300 * std::sqrt(2.01), -1e300, 1e300);
  check("halves", 2.5, -2, 1.5);
  check("bytes", std::sqrt(128. * 128 + 127 * 127 + 25), -128, 127);
  BOOST_TEST(number_at(tensor("small"), "norm") == 5e-320, boost::test_tools::tolerance(1e-3));  // of denormal numbers
  BOOST_TEST(at(tensor("v"), "finite").text == "3");
  BOOST_TEST(at(tensor("v"), "nan").text == "2");
  BOOST_TEST(at(tensor("v"), "inf").text == "2");
  BOOST_TEST(at(tensor("halves"), "dtype").text == "BF16");
  BOOST_TEST(at(tensor("halves"), "shape").elements.size() == 2u);
  BOOST_TEST(at(tensor("halves"), "bytes").text == "4");
  BOOST_TEST((tensor("flags").find("norm") == nullptr));
  BOOST_TEST(at(tensor("none"), "min").is(Json::Kind::null));
  BOOST_TEST(at(json, "metadata", "made by").text == "a test");
  BOOST_TEST(at(json, "total", "tensors").text == "7");
  BOOST_TEST(at(json, "total", "values").text == "20");
  BOOST_TEST(at(json, "total", "bytes").text == "106");
  BOOST_TEST(at(json, "total", "nan").text == "2");
  BOOST_TEST((json.find("adapters") == nullptr));

  const std::string table = table_of(scratch / "f.safetensors");
  BOOST_TEST(contains(table, "made by: a test"), table);
  BOOST_TEST(contains(table, "F64    [7]        56"), table);
  BOOST_TEST(contains(table, "7 tensors, 20 values, 106 bytes"), table);
  BOOST_TEST(contains(table, "NaN: 2, infinite: 2"), table);
  BOOST_TEST(contains(table, "  BF16: 1 tensor, 4 bytes"), table);
}

BOOST_AUTO_TEST_CASE(a_tensor_of_many_parts_is_read_whole) {
  const Scratch scratch;
  std::vector<float> values(1'000'003);
  for (std::size_t k = 0; k < values.size(); ++k) values[k] = k % 2 == 0 ? 2.f : -1.f;
  values[500'000] = 7;
  values.back() = std::nanf("");
  save_safetensors((scratch / "f.safetensors").string(), {tensor_to_save("v", {1'000'003}, values)});
  const Json json = json_of(scratch / "f.safetensors");
  const Json& tensor = at(json, "tensors").elements.at(0);
  // 500,002 are even, of which one became 7 and the last NaN.
  BOOST_TEST(number_at(tensor, "norm") == std::sqrt(500'000 * 4. + 49 + 500'001), boost::test_tools::tolerance(1e-12));
  BOOST_TEST(number_at(tensor, "max") == 7);
  BOOST_TEST(number_at(tensor, "nan") == 1);
}

BOOST_AUTO_TEST_CASE(headers_alone_are_enough_where_values_are_not_asked_for) {
  const Scratch scratch;
  const std::vector<float> values{1, std::nanf("")};
  save_safetensors((scratch / "f.safetensors").string(), {tensor_to_save("v", {2}, values)});
  const Ran ran = wu_inspect({"--header", (scratch / "f.safetensors").string()});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(contains(ran.out, "F32    [2]        8  v"), ran.out);
  BOOST_TEST(!contains(ran.out, "NaN"), ran.out);
  const Ran json = wu_inspect({"--header", "--json", (scratch / "f.safetensors").string()});
  BOOST_TEST(!contains(json.out, "norm"), json.out);
}

BOOST_AUTO_TEST_CASE(a_checkpoint_s_shards_are_one_table) {
  const Scratch scratch;
  const std::vector<float> values{1, 2};
  save_safetensors((scratch / "a.safetensors").string(), {tensor_to_save("layers.10.w", {2}, values)});
  save_safetensors((scratch / "b.safetensors").string(), {tensor_to_save("layers.9.w", {2}, values)});
  std::ofstream(scratch / "model.safetensors.index.json")
      << R"({"metadata": {"total_size": 17}, "weight_map": {"layers.10.w": "a.safetensors", "layers.9.w": "b.safetensors"}})";
  for (const auto& path : {scratch.folder, scratch / "model.safetensors.index.json"}) {
    const std::string table = table_of(path);
    BOOST_TEST(contains(table, "of 2 files"), table);
    BOOST_TEST(contains(table, "the index claims 17 bytes"), table);
    BOOST_TEST(contains(table, "2 tensors, 4 values, 16 bytes"), table);
    BOOST_TEST(table.find("layers.9.w") < table.find("layers.10.w"), table);
  }
  const Json json = json_of(scratch.folder);
  BOOST_TEST(at(json, "files").elements.size() == 2u);
  BOOST_TEST(at(json, "tensors").elements.at(0).find("file")->text == (scratch / "b.safetensors").string());
  BOOST_TEST(number_at(json, "claimed_bytes") == 17);
  // One shard alone is a file like any other.
  BOOST_TEST(contains(table_of(scratch / "a.safetensors"), "1 tensor, 2 values, 8 bytes"));
}

BOOST_AUTO_TEST_CASE(names_and_metadata_are_escaped) {
  const Scratch scratch;
  const std::vector<float> value{1};
  const std::string evil = "\x1b[2J\x1b]0;title\x07\n\r\t\xE2\x80\xAE" + std::string("\0", 1) + "\x7f\xC2\x9b";
  std::string long_name(5000, 'x');
  long_name += "-the-end";
  save_safetensors((scratch / "f.safetensors").string(),
                   {tensor_to_save(evil + ".lora_A", {1, 1}, value), tensor_to_save(evil + ".lora_B", {1, 1}, value),
                    tensor_to_save(evil + "alone.lora_B", {1, 1}, value), tensor_to_save(long_name, {}, value)},
                   {{evil, evil}, {"long", std::string(100'000, 'y')}});
  const std::string table = table_of(scratch / "f.safetensors");
  check_harmless(table);
  BOOST_TEST(contains(table, "\\u{001b}[2J"), table);
  BOOST_TEST(contains(table, "-the-end\n"), table);
  for (std::size_t begin = 0, end = 0; begin < table.size(); begin = end + 1) {
    end = table.find('\n', begin);
    BOOST_TEST(end - begin <= 170u, table.substr(begin, end - begin));
  }
  const Ran json = wu_inspect({"--json", (scratch / "f.safetensors").string()});
  check_harmless(json.out);
  const Json parsed = parse_json(json.out, "x");
  BOOST_TEST((at(parsed, "metadata").find(evil) != nullptr));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_refused_in_one_line) {
  const Scratch scratch;
  std::ofstream(scratch / "words.safetensors") << "This is no safetensors file.";
  std::ofstream(scratch / "empty.safetensors") << "";
  std::ofstream(scratch / "x.safetensors.index.json") << R"({"weight_map": {"a": "../words.safetensors"}})";
  check_refused(wu_inspect({(scratch / "words.safetensors").string()}), "is this a safetensors file?");
  check_refused(wu_inspect({(scratch / "empty.safetensors").string()}), "the file is empty");
  check_refused(wu_inspect({(scratch / "none.safetensors").string()}), "No such file");
  check_refused(wu_inspect({(scratch / "x.safetensors.index.json").string()}), "found \"../words.safetensors\"");
  check_refused(wu_inspect({scratch.folder.string()}), "found 2 files *.safetensors");
  check_refused(wu_inspect({"/dev/null"}), "found a device, pipe or socket");
  check_refused(wu_inspect({""}), "No such file");
  check_refused(wu_inspect({"a\x1b[2J\nb"}), "\"a\\u{001b}[2J\\u{000a}b\"");
  check_refused(run(WU_INSPECT, {"--header", WU_TEST_DATA "/generator/dense"}, "/dev/full"), "could not be written");
}

BOOST_AUTO_TEST_CASE(wrong_arguments_are_another_exit_code) {
  check_refused(wu_inspect({}), "path is required", 2);
  check_refused(wu_inspect({"--colour", "x"}), "--colour", 2);
  check_refused(wu_inspect({"a", "b\x1b[2J"}), "b\\u{001b}[2J", 2);
  const Ran help = wu_inspect({"--help"});
  BOOST_TEST(help.code == 0);
  BOOST_TEST(help.err == "");
  for (const char* part : {"FILE|DIR", "--json", "--header", "exp(-sum p log p)", "Exit status"})
    BOOST_TEST(contains(help.out, part), "no " << part << " in " << help.out);
}

BOOST_AUTO_TEST_SUITE_END()
