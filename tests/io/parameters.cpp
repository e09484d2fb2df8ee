// Parameters through files: strict both ways, and nothing is written unless everything fits.
#include <boost/test/unit_test.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "model.hpp"
#include "support.hpp"
#include "wu/core/parameters.hpp"
#include "wu/io/parameters.hpp"

using namespace wu::io;
using wu::bfloat16;
using wu::Index;
using wu::test::Folder;
using wu::test::Model;
using wu::test::Norm;
using wu::test::number;
using wu::test::values_of;
using Weights = wu::Weights<Model, float>;

namespace {

/// A file's tensors that own their bytes, so that a test can spoil them.
struct Stored {
  TensorToSave tensor;
  std::vector<float> values;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(parameters)

BOOST_AUTO_TEST_CASE(there_and_back) {
  const Folder folder;
  Weights saved, loaded;
  number(saved);
  save_safetensors(folder / "f", to_tensors(saved.view()));
  const SafeTensors file = SafeTensors::open(folder / "f");
  BOOST_TEST(
      (file.names() == std::vector<std::string>{"blocks.0.norm.weight", "blocks.0.scale", "blocks.0.weight",
                                                "blocks.1.norm.weight", "blocks.1.scale", "blocks.1.weight", "table"}));
  BOOST_TEST((file.at("blocks.1.weight").shape == std::vector<std::int64_t>{2, 3}));
  BOOST_TEST(file.at("blocks.0.scale").shape.empty());
  load_parameters(file, loaded.view());
  BOOST_TEST(values_of(loaded) == values_of(saved), boost::test_tools::per_element());
  const auto named = loaded.view();
  load_parameters(file, named);
  // Frozen parameters can be saved as well, and equal values are equal bytes.
  const Weights& frozen = loaded;
  save_safetensors(folder / "g", to_tensors(frozen.view()));
  BOOST_TEST(wu::test::read_text(folder / "f") == wu::test::read_text(folder / "g"));
}

BOOST_AUTO_TEST_CASE(types_are_converted) {
  const Folder folder;
  wu::Weights<Model, double> d;
  wu::Weights<Model, bfloat16> b;
  Weights f;
  number(f);
  save_safetensors(folder / "f", to_tensors(f.view()));
  load_parameters(SafeTensors::open(folder / "f"), b.view());
  BOOST_TEST(values_of(b) == values_of(f), boost::test_tools::per_element());
  save_safetensors(folder / "b", to_tensors(b.view()));
  load_parameters(SafeTensors::open(folder / "b"), d.view());
  BOOST_TEST(values_of(d) == values_of(f), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_prefix_selects_a_part) {
  const Folder folder;
  Weights a, b, loaded;
  number(a);
  auto tensors = to_tensors(a.view(), "model.");
  for (auto& tensor : to_tensors(b.view(), "average.")) tensors.push_back(tensor);
  save_safetensors(folder / "f", tensors);
  const SafeTensors file = SafeTensors::open(folder / "f");
  load_parameters(file, loaded.view(), "model.");
  BOOST_TEST(values_of(loaded) == values_of(a), boost::test_tools::per_element());
  WU_CHECK_FILE_ERROR(load_parameters(file, loaded.view()),
                      "expected the tensor \"blocks.0.norm.weight\" with shape [5], found none of that name");
  WU_CHECK_FILE_ERROR(load_parameters(file, loaded.view(), "mod"), "expected the tensor \"modblocks.0.norm.weight\"");
}

BOOST_AUTO_TEST_CASE(a_file_that_does_not_fit_changes_nothing) {
  const Folder folder;
  Weights source;
  number(source);
  // Spoils the tensors and expects the phrase, with the weights as they were.
  const auto check = [&](const std::string& phrase, auto spoil) {
    std::vector<Stored> stored;
    for (auto& tensor : to_tensors(source.view())) {
      std::vector<float> values(tensor.bytes.size() / 4);
      std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
      stored.push_back({tensor, values});
    }
    spoil(stored);
    std::vector<TensorToSave> tensors;
    for (auto& s : stored) tensors.push_back(tensor_to_save(s.tensor.name, s.tensor.shape, s.values));
    save_safetensors(folder / "f", tensors);
    Weights target;
    for (float& value : target.flat()) value = 5;
    const SafeTensors file = SafeTensors::open(folder / "f");
    WU_CHECK_FILE_ERROR(load_parameters(file, target.view()), phrase);
    BOOST_TEST(values_of(target) == std::vector<double>(static_cast<std::size_t>(Weights::extent), 5.));
  };
  const auto last = [](auto& stored) -> Stored& { return stored.back(); };
  check("f\": expected the tensor \"table\" with shape [7, 2, 3], found none of that name", [&](auto& s) { s.pop_back(); });
  check("expected the tensor \"table\"", [&](auto& s) { last(s).tensor.name = "Table"; });
  check("tensor \"table\": expected shape [7, 2, 3], found [2, 7, 3]", [&](auto& s) { last(s).tensor.shape = {2, 7, 3}; });
  check("tensor \"table\": expected shape [7, 2, 3], found [42]", [&](auto& s) { last(s).tensor.shape = {42}; });
  check("tensor \"blocks.0.scale\": expected shape [], found [1]", [&](auto& s) { s[2].tensor.shape = {1}; });
  check("tensor \"surplus\\u{000a}\": expected a parameter of that name to read it into, found none", [&](auto& s) {
    s.push_back(last(s));
    last(s).tensor.name = "surplus\n";
  });
  check("tensor \"table\": expected finite values, found nan at [6, 1, 2]",
        [&](auto& s) { last(s).values[41] = std::nanf(""); });
  check("tensor \"table\": expected finite values, found -inf at [1, 0, 2]",
        [&](auto& s) { last(s).values[8] = -HUGE_VALF; });
}

BOOST_AUTO_TEST_CASE(values_and_types_beyond_the_parameters_change_nothing) {
  const Folder folder;
  wu::Weights<Norm, bfloat16> target;
  for (auto& value : target.flat()) value = bfloat16(5.f);
  const std::vector<float> f{1, 2, 3, 4, std::numeric_limits<float>::max()};
  save_safetensors(folder / "f", {tensor_to_save("weight", {5}, f)});
  WU_CHECK_FILE_ERROR(load_parameters(SafeTensors::open(folder / "f"), target.view()),
                      "expected values that BF16 can hold, found one beyond its range at [4]");
  const bool flags[5] = {};
  save_safetensors(folder / "f", {tensor_to_save("weight", {5}, std::span(flags))});
  WU_CHECK_FILE_ERROR(load_parameters(SafeTensors::open(folder / "f"), target.view()),
                      "expected a type that can become BF16, found BOOL");
  for (const auto value : target.flat()) BOOST_TEST(static_cast<float>(value) == 5.f);

  Norm::Parameters<bfloat16> nowhere;
  const std::vector<float> fine{1, 2, 3, 4, 5};
  save_safetensors(folder / "f", {tensor_to_save("weight", {5}, fine)});
  const std::string what = wu::test::error_of<wu::Error>([&] { load_parameters(SafeTensors::open(folder / "f"), nowhere); });
  BOOST_TEST(wu::test::contains(what, "expected memory under the parameter \"weight\""), what);
  BOOST_CHECK_THROW(to_tensors(nowhere), wu::Error);
}

BOOST_AUTO_TEST_SUITE_END()
