// Adapters as files: what stands in them, that equal input gives equal bytes, and that a failure leaves what was there.
#include <boost/test/unit_test.hpp>

#include <sys/stat.h>

#include <string>

#include "adapters_support.hpp"
#include "wu/io/json.hpp"
#include "wu/io/peft_scales.hpp"
#include "wu/io/save_adapters.hpp"

using namespace wu::io;
using wu::test::Folder;
using wu::test::named;
using wu::test::read_text;
using wu::test::some_adapter;
using wu::test::tricky_adapters;

namespace {

std::vector<double> values_of(const SafeTensors& file, const std::string& name) {
  std::vector<double> values(static_cast<std::size_t>(file.at(name).count()));
  read_into(file.at(name), values);
  return values;
}

using Extents = std::vector<std::int64_t>;

}  // namespace

BOOST_AUTO_TEST_SUITE(adapters_saved)

BOOST_AUTO_TEST_CASE(formats_have_names) {
  for (const auto format : {AdapterFormat::hy_wu, AdapterFormat::peft, AdapterFormat::diffusers, AdapterFormat::kohya})
    BOOST_CHECK(adapter_format_named(name_of(format)) == format);
  const std::string what = wu::test::error_of<wu::Error>([] { adapter_format_named("lycoris"); });
  BOOST_CHECK_EQUAL(what, "expected an adapter format: hy-wu, peft, diffusers or kohya, found \"lycoris\"");
}

BOOST_AUTO_TEST_CASE(hy_wu) {
  const Folder folder;
  const Adapters<double> adapters{some_adapter("l.0.attn", 5, 6, 2, 4, 1),
                                  some_adapter("l.0.mlp.experts.w1", 5, 7, 2, 1, 2, 3)};
  save_adapters(folder / "f", AdapterFormat::hy_wu, adapters, {.metadata = {{"note", "mine"}}});
  const auto file = SafeTensors::open(folder / "f");
  BOOST_CHECK_EQUAL(file.tensors().size(), 5U);
  BOOST_CHECK(file.at("l.0.attn.lora_A").shape == (Extents{1, 2, 5}));
  BOOST_CHECK(file.at("l.0.attn.lora_B").shape == (Extents{1, 6, 2}));
  BOOST_CHECK(file.at("l.0.mlp.experts.w1.lora_A").shape == (Extents{1, 3, 2, 5}));
  BOOST_CHECK(file.at("l.0.mlp.experts.w1.lora_B").shape == (Extents{1, 3, 7, 2}));
  BOOST_CHECK(file.at("scale").shape.empty());
  BOOST_TEST(values_of(file, "scale") == std::vector<double>{4}, boost::test_tools::per_element());
  BOOST_TEST(values_of(file, "l.0.attn.lora_B") == adapters[0].B, boost::test_tools::per_element());
  auto quarter = adapters[1].B;  // the scale of the file is 4, its own 1
  for (double& b : quarter) b /= 4;
  BOOST_TEST(values_of(file, "l.0.mlp.experts.w1.lora_B") == quarter, boost::test_tools::per_element());
  BOOST_CHECK_EQUAL(file.metadata().at("note"), "mine");
  BOOST_CHECK_EQUAL(file.metadata().at("format"), "pt");
}

BOOST_AUTO_TEST_CASE(kohya) {
  const Folder folder;
  const auto adapters = tricky_adapters();
  save_adapters(folder / "f", AdapterFormat::kohya, adapters, {.dtype = DType::BF16});
  const auto file = SafeTensors::open(folder / "f");
  BOOST_CHECK_EQUAL(file.tensors().size(), 12U);
  const auto& down = file.at("lora_unet_blk_0_to_q_proj.lora_down.weight");
  BOOST_CHECK(down.shape == (Extents{4, 6}));
  BOOST_CHECK(down.dtype == DType::BF16);
  BOOST_CHECK(file.at("lora_unet_blk_0_to_q_proj.lora_up.weight").shape == (Extents{3, 4}));
  const auto& alpha = file.at("lora_unet_blk_0_to_q_proj.alpha");
  BOOST_CHECK(alpha.dtype == DType::F32);
  BOOST_CHECK(alpha.shape.empty());
  BOOST_TEST(values_of(file, "lora_unet_blk_0_to_q_proj.alpha") == std::vector<double>{8}, boost::test_tools::per_element());
  BOOST_TEST(values_of(file, "lora_unet_blk_0_to_q_proj.lora_down.weight") == adapters[1].A,
             boost::test_tools::per_element());
  const Adapters<double> alike{some_adapter("a.b_c", 2, 3, 1, 1, 1), some_adapter("a_b.c", 2, 3, 1, 1, 1)};
  WU_CHECK_FILE_ERROR(
      save_adapters(folder / "g", AdapterFormat::kohya, alike),
      "expected modules whose names differ when their points are underscores, found \"a.b_c\" and \"a_b.c\"");
  WU_CHECK_FILE_ERROR(
      save_adapters(folder / "g", AdapterFormat::kohya, Adapters<double>{some_adapter("a", 2, 3, 1, 1e-60, 1)}),
      "expected an alpha that F32 can hold, found 1e-60");
  BOOST_TEST(folder.list() == std::vector<std::string>{"f"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(scales_that_are_not_positive_go_into_B) {
  const Folder folder;
  const Adapters<double> adapters{some_adapter("minus", 2, 3, 1, -2, 1), some_adapter("zero", 2, 3, 1, 0, 2),
                                  some_adapter("third", 2, 3, 3, 0.1, 3)};
  save_adapters(folder / "f", AdapterFormat::kohya, adapters);
  const auto file = SafeTensors::open(folder / "f");
  BOOST_TEST(values_of(file, "lora_unet_minus.alpha") == std::vector<double>{2}, boost::test_tools::per_element());
  BOOST_TEST(values_of(file, "lora_unet_zero.alpha") == std::vector<double>{1}, boost::test_tools::per_element());
  BOOST_TEST(values_of(file, "lora_unet_zero.lora_up.weight") == std::vector<double>(3), boost::test_tools::per_element());
  BOOST_CHECK_EQUAL(values_of(file, "lora_unet_minus.lora_up.weight")[1], -adapters[0].B[1]);
  // 0.3 is no float: what is missing from alpha stands in B.
  const double scale = values_of(file, "lora_unet_third.alpha")[0] / 3;
  BOOST_CHECK_GT(std::abs(scale - 0.1), 1e-10);
  BOOST_CHECK_LT(std::abs(scale * values_of(file, "lora_unet_third.lora_up.weight")[4] - 0.1 * adapters[2].B[4]), 1e-15);
}

BOOST_AUTO_TEST_CASE(peft) {
  const Folder folder;
  auto adapters = tricky_adapters();
  adapters.push_back(some_adapter("blk.2.to_q", 5, 7, 2, 0.5, 5));
  save_adapters(folder / "a", AdapterFormat::peft, adapters);
  const auto file = SafeTensors::open(folder / "a/adapter_model.safetensors");
  BOOST_CHECK_EQUAL(file.tensors().size(), 10U);
  BOOST_CHECK(file.at("base_model.model.blk.0.add_out.0.lora_A.weight").shape == (Extents{1, 3}));
  BOOST_CHECK(file.at("base_model.model.blk.0.add_out.0.lora_B.weight").shape == (Extents{8, 1}));
  BOOST_CHECK_EQUAL(read_text(folder / "a/adapter_config.json"), R"({
  "alpha_pattern": {"^blk\\.1\\.to_q":1.5,"to_q_proj":8},
  "base_model_name_or_path": null,
  "bias": "none",
  "fan_in_fan_out": false,
  "inference_mode": true,
  "init_lora_weights": true,
  "lora_alpha": 1,
  "lora_dropout": 0.0,
  "modules_to_save": null,
  "peft_type": "LORA",
  "r": 2,
  "rank_pattern": {"^blk\\.1\\.to_q":3,"add_out\\.\\d+":1,"to_q_proj":4},
  "target_modules": ["blk.0.add_out.0","blk.0.to_q","blk.0.to_q_proj","blk.1.to_q","blk.2.to_q"],
  "task_type": null,
  "use_dora": false,
  "use_rslora": false
}
)");
}

BOOST_AUTO_TEST_CASE(patterns_reach_what_they_are_for_only) {
  // HunyuanImage's experts: what the format's description of them says.
  std::vector<PeftModule> modules;
  for (int layer = 0; layer < 2; ++layer) {
    const std::string name = "model.layers." + std::to_string(layer) + ".";
    for (const char* plain : {"self_attn.qkv_proj", "self_attn.o_proj", "mlp.shared_mlp.gate_and_up_proj"})
      modules.push_back({name + plain, 16, 64});
    for (int e = 0; e < 3; ++e) {
      modules.push_back({name + "mlp.experts." + std::to_string(e) + ".gate_and_up_proj", 32, 128});
      modules.push_back({name + "mlp.experts." + std::to_string(e) + ".down_proj", 16, 64});
    }
  }
  const Json config = parse_json(format_peft_config(modules), "config");
  BOOST_CHECK_EQUAL(config.find("r")->whole().value(), 16);
  BOOST_CHECK_EQUAL(config.find("lora_alpha")->whole().value(), 64);
  BOOST_REQUIRE_EQUAL(config.find("rank_pattern")->members.size(), 1U);
  BOOST_CHECK_EQUAL(config.find("rank_pattern")->members[0].name, "mlp\\.experts\\.\\d+\\.gate_and_up_proj");
  BOOST_CHECK_EQUAL(config.find("rank_pattern")->members[0].value.whole().value(), 32);
  BOOST_CHECK_EQUAL(config.find("alpha_pattern")->members[0].value.whole().value(), 128);
  // "to_q" of one stack is not "to_q" of the other, and a name may hold letters that mean something in patterns.
  const Json alike = parse_json(
      format_peft_config({{"a.0.to_q", 1, 1}, {"b.0.to_q", 2, 1}, {"b.0.x", 2, 1}, {"c+", 3, 1}, {"d.0.e", 2, 1}}),
      "config");
  const auto& patterns = alike.find("rank_pattern")->members;
  BOOST_REQUIRE_EQUAL(patterns.size(), 2U);
  BOOST_CHECK_EQUAL(patterns[0].name, "^a\\.\\d+\\.to_q");
  BOOST_CHECK_EQUAL(patterns[1].name, "^c\\+");
}

BOOST_AUTO_TEST_CASE(diffusers) {
  const Folder folder;
  save_adapters(folder / "f", AdapterFormat::diffusers, tricky_adapters(), {.component = "unet"});
  const auto file = SafeTensors::open(folder / "f");
  BOOST_CHECK(file.find("unet.blk.0.to_q.lora_A.weight") != nullptr);
  const Json config = parse_json(file.metadata().at("lora_adapter_metadata"), "metadata");
  BOOST_CHECK(config.find("unet.rank_pattern")->is(Json::Kind::object));
  BOOST_CHECK_EQUAL(config.find("unet.target_modules")->elements.size(), 4U);
  // With the metadata and without, alpha is the rank: the scale stands in B.
  const PeftConfig read(config, "unet.", "f");
  for (const auto& adapter : tricky_adapters()) {
    BOOST_CHECK_EQUAL(read.scale_of(adapter.module, adapter.rank), 1);
    auto B = adapter.B;
    for (double& b : B) b *= adapter.scale;
    BOOST_TEST(values_of(file, "unet." + adapter.module + ".lora_B.weight") == B, boost::test_tools::per_element());
  }
  WU_CHECK_FILE_ERROR(save_adapters(folder / "g", AdapterFormat::diffusers, tricky_adapters(),
                                    {.metadata = {{"lora_adapter_metadata", "{}"}}}),
                      "expected metadata without \"lora_adapter_metadata\"");
}

BOOST_AUTO_TEST_CASE(equal_input_gives_equal_bytes_in_any_order) {
  const Folder folder;
  for (const auto format : {AdapterFormat::peft, AdapterFormat::diffusers, AdapterFormat::kohya}) {
    auto adapters = tricky_adapters<float>();
    const std::string one = folder / ("one-" + std::string(name_of(format))),
                      two = folder / ("two-" + std::string(name_of(format)));
    save_adapters(one, format, adapters);
    std::reverse(adapters.begin(), adapters.end());
    save_adapters(two, format, adapters);
    const std::string in = format == AdapterFormat::peft ? "/adapter_model.safetensors" : "";
    BOOST_CHECK(read_text(one + in) == read_text(two + in));
    BOOST_CHECK(!read_text(one + in).empty());
    if (format == AdapterFormat::peft)
      BOOST_CHECK_EQUAL(read_text(one + "/adapter_config.json"), read_text(two + "/adapter_config.json"));
  }
}

BOOST_AUTO_TEST_CASE(a_failure_leaves_what_was_there) {
  const Folder folder;
  const auto adapters = tricky_adapters();
  const auto bad = [&] {
    auto spoilt = adapters;
    spoilt[1].module = "bad\xFF";
    return spoilt;
  }();
  for (const auto format : {AdapterFormat::peft, AdapterFormat::diffusers, AdapterFormat::kohya, AdapterFormat::hy_wu}) {
    const Folder here;
    WU_CHECK_FILE_ERROR(save_adapters(here / "f", format, bad), "bad\\xff");
    WU_CHECK_FILE_ERROR(save_adapters(here / "f", format, Adapters<double>{}), "expected at least one adapter, found none");
    BOOST_CHECK(here.list().empty());
    save_adapters(here / "f", format, adapters);
    const std::string in = format == AdapterFormat::peft ? "f/adapter_model.safetensors" : "f";
    const std::string before = read_text(here / in);
    WU_CHECK_FILE_ERROR(save_adapters(here / "f", format, bad), "bad\\xff");
    BOOST_CHECK(read_text(here / in) == before);
    WU_CHECK_FILE_ERROR(save_adapters(here / "nowhere/f", format, adapters), "could not save");
    BOOST_CHECK_EQUAL(here.list().size(), 1U);
  }
}

BOOST_AUTO_TEST_CASE(a_folder_is_replaced_file_by_file) {
  const Folder folder;
  save_adapters(folder / "a", AdapterFormat::peft, tricky_adapters());
  wu::test::write_text(folder / "a/README.md", "mine");
  save_adapters(folder / "a", AdapterFormat::peft, Adapters<double>{some_adapter("m", 2, 3, 1, 1, 1)});
  BOOST_CHECK_EQUAL(read_text(folder / "a/README.md"), "mine");
  BOOST_CHECK_EQUAL(SafeTensors::open(folder / "a/adapter_model.safetensors").tensors().size(), 2U);
  BOOST_CHECK(wu::test::contains(read_text(folder / "a/adapter_config.json"), "\"target_modules\": [\"m\"]"));
  // A file that cannot be replaced stops it before anything is.
  const std::string config = read_text(folder / "a/adapter_config.json");
  BOOST_REQUIRE_EQUAL(::chmod((folder / "a/adapter_config.json").c_str(), 0444), 0);
  WU_CHECK_FILE_ERROR(save_adapters(folder / "a", AdapterFormat::peft, tricky_adapters()), "read-only");
  BOOST_CHECK_EQUAL(read_text(folder / "a/adapter_config.json"), config);
  BOOST_CHECK_EQUAL(SafeTensors::open(folder / "a/adapter_model.safetensors").tensors().size(), 2U);
  wu::test::write_text(folder / "file", "");
  WU_CHECK_FILE_ERROR(save_adapters(folder / "file", AdapterFormat::peft, tricky_adapters()), "could not save");
}

BOOST_AUTO_TEST_SUITE_END()
