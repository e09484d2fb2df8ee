// Parameters that stay in their file: what can be read where it lies is not copied, and everything else is as if it had been
// loaded.
#include "wu/io/mapped_parameters.hpp"

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "model.hpp"
#include "support.hpp"

using namespace wu::io;
using wu::bfloat16;
using wu::test::Folder;
using wu::test::Model;
using wu::test::Norm;
using wu::test::number;

namespace {

template <class T>
using Frozen = Model::Parameters<const T>;

template <class P>
std::vector<double> values_in(P views) {
  std::vector<double> values;
  wu::for_each_parameter(views, [&](std::string_view, const auto& view) {
    for (const auto value : view) values.push_back(static_cast<double>(value));
  });
  return values;
}

/// Names of the parameters that lie in the checkpoint's own bytes.
template <class P>
std::vector<std::string> in_place(const MappedParameters<P>& mapped) {
  std::vector<std::string> names;
  auto views = mapped.view();
  wu::for_each_parameter(views, [&](std::string_view name, const auto& view) {
    if (static_cast<const void*>(view.data) == mapped.checkpoint().at(name).bytes.data()) names.emplace_back(name);
  });
  return names;
}

/// The file with its data moved by so many bytes, behind a longer header.
std::string moved(std::string bytes, std::size_t by) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  bytes.insert(8 + length, by, ' ');
  length += by;
  std::memcpy(bytes.data(), &length, 8);
  return bytes;
}

template <class T>
void save(const std::string& path) {
  wu::Weights<Model, T> weights;
  number(weights);
  save_safetensors(path, to_tensors(weights.view()));
}

std::vector<double> numbered() {
  wu::Weights<Model, double> weights;
  number(weights);
  return values_in(weights.frozen());
}

constexpr std::size_t count = wu::Weights<Model, float>::count;
using Scalars = std::tuple<float, double, bfloat16>;

}  // namespace

BOOST_AUTO_TEST_SUITE(mapped_parameters)

BOOST_AUTO_TEST_CASE_TEMPLATE(what_the_file_holds_as_it_is_wanted_stays_there, T, Scalars) {
  const Folder folder;
  save<T>(folder / "f");
  const auto mapped = map_parameters<Frozen<T>>(Checkpoint::open(folder / "f"));
  BOOST_TEST(values_in(mapped.view()) == numbered(), boost::test_tools::per_element());
  BOOST_TEST(in_place(mapped).size() == 7u);
  BOOST_TEST(mapped.mapped_bytes() == count * sizeof(T));
  BOOST_TEST(mapped.copied_bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(views_outlive_a_move_and_the_file_s_name) {
  const Folder folder;
  save<bfloat16>(folder / "f");
  auto first = map_parameters<Frozen<bfloat16>>(Checkpoint::open(folder / "f"));
  const auto views = first.view();
  std::filesystem::remove(folder / "f");
  const auto second = std::move(first);
  BOOST_TEST(values_in(views) == numbered(), boost::test_tools::per_element());
  BOOST_TEST(second.view().table.data == views.table.data);
  BOOST_TEST(in_place(second).size() == 7u);
}

BOOST_AUTO_TEST_CASE(what_lies_at_an_odd_address_is_copied) {
  const Folder folder;
  save<float>(folder / "f");
  save<bfloat16>(folder / "b");
  const std::string f = wu::test::read_text(folder / "f"), b = wu::test::read_text(folder / "b");
  for (std::size_t by = 1; by < 4; ++by) {
    wu::test::write_text(folder / "moved", moved(f, by));
    const auto mapped = map_parameters<Frozen<float>>(Checkpoint::open(folder / "moved"));
    BOOST_TEST(values_in(mapped.view()) == numbered(), boost::test_tools::per_element());
    BOOST_TEST(in_place(mapped).empty());
    BOOST_TEST(mapped.mapped_bytes() == 0u);
    BOOST_TEST(mapped.copied_bytes() == count * 4);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(mapped.view().table.data) % wu::alignment == 0u);
    wu::test::write_text(folder / "moved", moved(b, by));
    const auto halves = map_parameters<Frozen<bfloat16>>(Checkpoint::open(folder / "moved"));
    BOOST_TEST(values_in(halves.view()) == numbered(), boost::test_tools::per_element());
    BOOST_TEST(halves.mapped_bytes() == (by == 2 ? count * 2 : 0u));
  }
}

BOOST_AUTO_TEST_CASE(another_type_is_converted) {
  const Folder folder;
  save<float>(folder / "f");
  const auto b = map_parameters<Frozen<bfloat16>>(Checkpoint::open(folder / "f"));
  BOOST_TEST(values_in(b.view()) == numbered(), boost::test_tools::per_element());
  BOOST_TEST(b.copied_bytes() == count * 2);
  const auto d = map_parameters<Frozen<double>>(Checkpoint::open(folder / "f"));
  BOOST_TEST(values_in(d.view()) == numbered(), boost::test_tools::per_element());
  BOOST_TEST(d.copied_bytes() == count * 8);

  // Some of one type, some of another: only these are copied. With the widest first, the float is at an even address.
  wu::Weights<Model, bfloat16> weights;
  number(weights);
  const std::vector<float> scale{static_cast<float>(*weights.view().blocks[1].scale.data)};
  auto tensors = to_tensors(weights.view());
  for (auto& tensor : tensors)
    if (tensor.name == "blocks.1.scale") tensor = tensor_to_save(tensor.name, {}, scale);
  save_safetensors(folder / "m", tensors);
  const auto mixed = map_parameters<Frozen<bfloat16>>(Checkpoint::open(folder / "m"));
  BOOST_TEST(values_in(mixed.view()) == numbered(), boost::test_tools::per_element());
  BOOST_TEST(in_place(mixed).size() == 6u);
  BOOST_TEST(mixed.copied_bytes() == 2u);
  BOOST_TEST(mixed.mapped_bytes() == count * 2 - 2);
}

BOOST_AUTO_TEST_CASE(shards_stay_mapped_and_a_prefix_selects) {
  const Folder folder;
  wu::Weights<Model, bfloat16> weights;
  number(weights);
  std::vector<TensorToSave> shards[2];
  std::string map;
  for (auto& tensor : to_tensors(weights.view(), "model.")) {
    const bool second = shards[0].size() > shards[1].size();
    map += (map.empty() ? "" : ",") + json_string(tensor.name) + ":\"" + (second ? "b" : "a") + ".safetensors\"";
    shards[second].push_back(tensor);
  }
  const std::vector<float> other{1};
  shards[1].push_back(tensor_to_save("encoder.x", {1}, other));
  map += ",\"encoder.x\":\"b.safetensors\"";
  save_safetensors(folder / "a.safetensors", shards[0]);
  save_safetensors(folder / "b.safetensors", shards[1]);
  wu::test::write_text(folder / "model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
  const auto mapped = map_parameters<Frozen<bfloat16>>(Checkpoint::open(folder.path()), "model.");
  BOOST_TEST(values_in(mapped.view()) == numbered(), boost::test_tools::per_element());
  BOOST_TEST(mapped.mapped_bytes() == count * 2);
  BOOST_TEST(mapped.copied_bytes() == 0u);
  WU_CHECK_FILE_ERROR(map_parameters<Frozen<bfloat16>>(Checkpoint::open(folder.path())),
                      "expected the tensor \"blocks.0.norm.weight\" with shape [5], found none of that name");
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const Folder folder;
  using P = Norm::Parameters<const float>;
  const auto error = [&](const std::vector<TensorToSave>& tensors, const MapOptions& options = {}) {
    save_safetensors(folder / "f", tensors);
    return wu::test::error_of([&] { map_parameters<P>(Checkpoint::open(folder / "f"), "", options); });
  };
  std::vector<float> five{1, 2, 3, 4, 5};
  const bool flags[5] = {};
  const std::vector<double> large{1, 2, 3, 4, 1e300};
  BOOST_TEST(error({tensor_to_save("weight", {5}, five)}) == "");
  const auto says = [](const std::string& what, const std::string& phrase) {
    BOOST_CHECK_MESSAGE(wu::test::contains(what, phrase), "expected '" << phrase << "', found '" << what << "'");
  };
  says(error({tensor_to_save("Weight", {5}, five)}),
       "expected the tensor \"weight\" with shape [5], found none of that name");
  says(error({tensor_to_save("weight", {5, 1}, five)}), "tensor \"weight\": expected shape [5], found [5, 1]");
  says(error({tensor_to_save("weight", {5}, std::span(flags))}), "expected a type that can become F32, found BOOL");
  says(error({tensor_to_save("weight", {5}, large)}),
       "expected values that F32 can hold, found one beyond its range at [4]");
  says(error({tensor_to_save("weight", {5}, five), tensor_to_save("bias", {5}, five)}),
       "tensor \"bias\": expected a parameter of that name to read it into, found none");

  // Values are looked at where that is asked for.
  five[2] = std::nanf("");
  BOOST_TEST(error({tensor_to_save("weight", {5}, five)}) == "");
  says(error({tensor_to_save("weight", {5}, five)}, {.check_finite = true}), "expected finite values, found nan at [2]");
  five[2] = std::numeric_limits<float>::infinity();
  says(error({tensor_to_save("weight", {5}, five)}, {.check_finite = true}), "expected finite values, found inf at [2]");
}

BOOST_AUTO_TEST_CASE(a_file_that_is_cut_off_is_refused) {
  const Folder folder;
  save<bfloat16>(folder / "f");
  const std::string bytes = wu::test::read_text(folder / "f");
  for (std::size_t n = 0; n < bytes.size(); n += n + 20 < bytes.size() ? 7 : 1) {
    wu::test::write_text(folder / "cut", bytes.substr(0, n));
    BOOST_CHECK_THROW(map_parameters<Frozen<bfloat16>>(Checkpoint::open(folder / "cut")), wu::FileError);
  }
}

BOOST_AUTO_TEST_SUITE_END()
