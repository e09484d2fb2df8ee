// Programs that wu_add_generator() built from a config.json alone, against numbers made elsewhere: tokens, and every adapter in
// every layout of the fixture, in both types.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "program.hpp"
#include "wu/io/json.hpp"
#include "wu/io/load_adapters.hpp"
#include "wu/io/mapped_file.hpp"

namespace {

using namespace wu;

/// ||a - b|| / ||b|| over all entries; NaN if any entry is, which no tolerance lets pass.
double relative_error(std::span<const double> a, std::span<const double> b) {
  double difference = 0, size = 0;
  for (std::size_t k = 0; k < b.size(); ++k) {
    difference += (a[k] - b[k]) * (a[k] - b[k]);
    size += b[k] * b[k];
  }
  return a.size() == b.size() && size > 0 ? std::sqrt(difference / size) : std::nan("");
}

/// What a configuration says, read another way than the program does.
double scale_of(const Fixture& fixture) {
  const std::string path = (fixture.folder / "config.json").string();
  const io::Json config = io::parse_json(io::MappedFile(path).text(), path);
  return config.find("alpha")->number().value() / config.find("rank")->number().value();
}

struct Numbers {
  const char* name;
  io::DType dtype;
  double tolerance;
};
constexpr Numbers types[] = {{"float32", io::DType::F32, 1e-5}, {"bfloat16", io::DType::BF16, 2e-2}};

/// The largest errors found, of tokens and of adapters.
struct Errors {
  double tokens = 0, adapters = 0;
  int compared = 0;
};

void check_tokens(const Fixture& fixture, const Numbers& type, const fs::path& path, Errors& errors) {
  const auto expected = io::SafeTensors::open((fixture.folder / "expected.safetensors").string());
  const auto found = io::SafeTensors::open(path.string());
  BOOST_TEST(found.tensors().size() == 1U);
  BOOST_TEST(found.at("tokens").shape == expected.at("tokens").shape);
  BOOST_TEST((found.at("tokens").dtype == type.dtype));
  errors.tokens = relative_error(values(found, "tokens"), values(expected, "tokens"));
  BOOST_TEST(errors.tokens < type.tolerance);
}

/// One file holds one request's adapters: every one of the fixture, and nothing else but their scale.
void check_adapters(const Fixture& fixture, const Numbers& type, const std::string& layout, const fs::path& path,
                    std::size_t sample, Errors& errors) {
  const auto expected = io::SafeTensors::open((fixture.folder / "expected.safetensors").string());
  const auto found = io::SafeTensors::open(path.string());
  std::size_t compared = 0;
  for (const auto& whole : expected.tensors()) {
    if (!whole.name.starts_with(layout + ".")) continue;
    const std::string name = whole.name.substr(layout.size() + 1);
    const auto batch = static_cast<std::size_t>(whole.shape[0]);
    auto shape = whole.shape;
    shape[0] = 1;
    BOOST_TEST_REQUIRE((found.find(name) != nullptr), path << " has no " << name);
    BOOST_TEST(found.at(name).shape == shape, name);
    BOOST_TEST((found.at(name).dtype == type.dtype), name);
    const auto all = values(expected, whole.name), one = values(found, name);
    const std::size_t count = all.size() / batch;
    const double error = relative_error(one, std::span<const double>(all.data() + sample * count, count));
    BOOST_TEST(error < type.tolerance, name << " is off by " << error);
    errors.adapters = std::max(errors.adapters, error);
    ++compared;
  }
  BOOST_TEST(compared > 0U);
  BOOST_TEST(found.tensors().size() == compared + 1);
  BOOST_TEST_REQUIRE((found.find("scale") != nullptr));
  BOOST_TEST(found.at("scale").shape.empty());
  BOOST_TEST(values(found, "scale").at(0) == scale_of(fixture));
  ++errors.compared;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_fixture_is_reproduced) {
  int runs = 0;
  for (const Fixture& fixture : all_fixtures())
    for (const Numbers& type : types)
      for (const std::string layout : {"flat", "rank_anchored"}) {
        const auto expected = io::SafeTensors::open((fixture.folder / "expected.safetensors").string());
        const auto names = expected.names();
        if (std::none_of(names.begin(), names.end(), [&](const auto& n) { return n.starts_with(layout + "."); })) continue;
        BOOST_TEST_CONTEXT(fixture.name() << ", " << type.name << ", " << layout) {
          const Scratch scratch;
          const fs::path out = scratch / "out.safetensors", tokens = scratch / "tokens.safetensors";
          const std::string option = layout == "flat" ? "flat" : "rank-anchored";
          check_done(run(fixture, arguments_for(fixture, out,
                                                {"--tokens", tokens.string(), "--layout", option, "--dtype", type.name})));
          Errors errors;
          check_tokens(fixture, type, tokens, errors);
          const auto batch = static_cast<std::size_t>(expected.at("tokens").shape[0]);
          for (std::size_t s = 0; s < batch; ++s)
            check_adapters(fixture, type, layout, batch == 1 ? out : scratch / ("out-" + std::to_string(s) + ".safetensors"),
                           s, errors);
          BOOST_TEST(scratch.entries() == static_cast<std::ptrdiff_t>(batch) + 1);
          std::printf("%-16s %-9s %-14s batch %zu   error of tokens %.1e, of adapters %.1e\n", fixture.name().c_str(),
                      type.name, option.c_str(), batch, errors.tokens, errors.adapters);
          ++runs;
        }
      }
  BOOST_TEST(runs >= 16);  // five fixtures, two types, and both layouts of three
}

BOOST_AUTO_TEST_CASE(without_options_the_layout_is_the_variants_and_the_type_the_checkpoints) {
  for (const char* name : {"dense", "paper"}) {
    const Scratch scratch;
    const Fixture f = fixture(name);
    check_done(run(f, arguments_for(f, scratch / "out.safetensors")));
    Errors errors;
    check_adapters(f, types[0], std::string(name) == "paper" ? "rank_anchored" : "flat", scratch / "out-0.safetensors", 0,
                   errors);
  }
  // The same weights as bfloat16.
  const Scratch scratch;
  const Fixture f = fixture("dense");
  const auto model = io::SafeTensors::open((f.folder / "model.safetensors").string());
  std::vector<io::TensorToSave> tensors;
  for (const auto& tensor : model.tensors())
    tensors.push_back(io::tensor_to_save_as(io::DType::BF16, tensor.name, tensor.shape, values(model, tensor.name)));
  fs::create_directory(scratch / "checkpoint");
  io::save_safetensors((scratch / "checkpoint/model.safetensors").string(), std::move(tensors));
  fs::copy(f.folder / "config.json", scratch / "checkpoint");
  check_done(run(f, {"--checkpoint", (scratch / "checkpoint").string(), "--condition", f.condition().string(), "--out",
                     (scratch / "out.safetensors").string()}));
  Errors errors;
  check_adapters(f, types[1], "flat", scratch / "out-0.safetensors", 0, errors);
}

BOOST_AUTO_TEST_CASE(a_request_alone_gives_the_file_of_that_name_and_the_same_adapters) {
  const Scratch scratch;
  const Fixture f = fixture("experts");
  const auto condition = io::SafeTensors::open(f.condition().string());
  auto all = values(condition, "condition");
  auto shape = condition.at("condition").shape;
  BOOST_TEST_REQUIRE(shape[0] > 1);
  all.resize(all.size() / static_cast<std::size_t>(shape[0]));
  shape[0] = 1;
  io::save_safetensors((scratch / "one.safetensors").string(), {io::tensor_to_save("condition", shape, all)});
  const fs::path out = scratch / "adapter";
  check_done(run(f, {"--checkpoint", f.folder.string(), "--condition", (scratch / "one.safetensors").string(), "--out",
                     out.string(), "--threads", "1"}));
  Errors errors;
  check_adapters(f, types[0], "flat", out, 0, errors);
}

namespace {

/// The updates in a file or folder by module: A, and B times the scale.
using Updates = std::map<std::string, std::pair<std::vector<double>, std::vector<double>>>;
Updates updates_in(const fs::path& path, const io::LoadAdapterOptions& options = {}) {
  Updates updates;
  for (auto& adapter : io::load_adapters<double>(path.string(), options).adapters) {
    for (double& b : adapter.B) b *= adapter.scale;
    updates[adapter.module] = {adapter.A, adapter.B};
  }
  return updates;
}

}  // namespace

BOOST_AUTO_TEST_CASE(other_formats_hold_the_same_updates) {
  const Scratch scratch;
  const Fixture f = fixture("experts");
  for (const char* format : {"hy-wu", "peft", "diffusers", "kohya"})
    check_done(run(f, arguments_for(f, scratch / format, {"--format", format})));
  const Updates generated = updates_in(scratch / "hy-wu-1"), peft = updates_in(scratch / "peft-1");
  BOOST_TEST(generated.size() == 2U * 7);
  BOOST_TEST(peft.size() == 2U * (4 + 4 * 2));  // each expert alone, w1 and w3 as one layer
  io::LoadAdapterOptions names;
  for (const auto& [module, update] : peft) names.modules.push_back(module);
  // The scale of this fixture is a power of two, so no value is rounded.
  BOOST_TEST((updates_in(scratch / "diffusers-1") == peft));
  BOOST_TEST((updates_in(scratch / "kohya-1", names) == peft));
  int plain = 0;
  for (const auto& [module, update] : generated)
    if (module.find("experts") == module.npos) {
      BOOST_TEST((peft.contains(module) && peft.at(module) == update), module);
      ++plain;
    }
  BOOST_TEST(plain == 2 * 4);
  BOOST_TEST(peft.contains("model.layers.0.mlp.experts.3.gate_and_up_proj"));
}

BOOST_AUTO_TEST_CASE(experts_with_other_names_keep_them) {
  const Scratch scratch;
  const Fixture f = fixture("spanning");
  check_done(run(f, arguments_for(f, scratch / "out", {"--format", "diffusers"})));
  const Updates updates = updates_in(scratch / "out-0");
  BOOST_TEST(updates.size() == 2U * (1 + 3 * 2));
  BOOST_TEST(updates.contains("model.layers.1.mlp.experts.2.w1"));
}
