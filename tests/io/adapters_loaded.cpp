// Adapters out of files: every spelling gives the same updates, what does not fit is refused, and no cut or changed byte does harm.
#include <boost/test/unit_test.hpp>

#include <sys/stat.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "adapters_support.hpp"
#include "wu/io/load_adapters.hpp"
#include "wu/io/save_adapters.hpp"

using namespace wu::io;
using wu::Index;
using wu::test::check_same_updates;
using wu::test::Folder;
using wu::test::named;
using wu::test::read_text;
using wu::test::some_adapter;
using wu::test::some_values;
using wu::test::tricky_adapters;
using wu::test::write_text;

namespace {

constexpr AdapterFormat all_formats[] = {AdapterFormat::hy_wu, AdapterFormat::peft, AdapterFormat::diffusers,
                                         AdapterFormat::kohya};

const std::vector<std::string> model{"blk.0.to_q", "blk.0.to_q_proj", "blk.0.add_out.0", "blk.1.to_q", "blk.2.to_q"};

/// A file of tensors that a test makes by hand.
struct File {
  std::vector<TensorToSave> tensors;
  Metadata metadata;

  void add(const std::string& name, std::vector<std::int64_t> shape, const std::vector<double>& values,
           DType dtype = DType::F64) {
    tensors.push_back(tensor_to_save_as(dtype, name, std::move(shape), values));
  }
  /// A pair, spelled before + module + A.
  void add_pair(const Adapter<double>& a, const std::string& name, const std::string& A, const std::string& B) {
    add(name + A, {a.rank, a.in}, a.A);
    add(name + B, {a.out, a.rank}, a.B);
  }
  template <class T = double>
  LoadedAdapters<T> load(const LoadAdapterOptions& options = {}) const {
    const Folder folder;
    save_safetensors(folder / "f", tensors, metadata);
    return load_adapters<T>(folder / "f", options);
  }
};

std::string flattened(std::string module) {
  std::replace(module.begin(), module.end(), '.', '_');
  return module;
}

std::vector<double> times(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

/// A pair called "m" of rank 4 with what the test adds.
File pair_and(const std::string& A = ".lora_down.weight", const std::string& B = ".lora_up.weight") {
  File file;
  file.add_pair(some_adapter("m", 3, 5, 4, 1, 1), "m", A, B);
  return file;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(adapters_loaded)

BOOST_AUTO_TEST_CASE(every_format_gives_the_same_updates) {
  const Folder folder;
  for (const bool odd : {false, true}) {
    auto adapters = tricky_adapters();
    for (std::size_t k = 0; odd && k < adapters.size(); ++k) adapters[k].scale = std::pow(0.7, static_cast<double>(k)) / 3;
    for (const auto format : all_formats) {
      const std::string path = folder / std::string(name_of(format));
      save_adapters(path, format, adapters);
      const auto loaded = load_adapters<double>(path, {.modules = model});
      BOOST_CHECK(loaded.format == format);
      BOOST_CHECK(loaded.notes.empty());
      check_same_updates(loaded.adapters, adapters);
    }
  }
}

BOOST_AUTO_TEST_CASE(scales_of_0_and_below_come_back) {
  const Folder folder;
  const Adapters<double> adapters{some_adapter("minus", 2, 3, 1, -2, 1), some_adapter("zero", 2, 3, 1, 0, 2)};
  for (const auto format : all_formats) {
    save_adapters(folder / std::string(name_of(format)), format, adapters);
    check_same_updates(load_adapters<double>(folder / std::string(name_of(format))).adapters, adapters);
  }
}

BOOST_AUTO_TEST_CASE(saved_again_it_is_the_same_file) {
  const Folder folder;
  auto adapters = tricky_adapters<float>();
  adapters[0].scale = 0.1;  // 0.2 is no float
  for (const auto format : all_formats) {
    const std::string one = folder / ("one-" + std::string(name_of(format))),
                      two = folder / ("two-" + std::string(name_of(format)));
    save_adapters(one, format, adapters);
    save_adapters(two, format, load_adapters<float>(one, {.modules = model}).adapters);
    const std::string in = format == AdapterFormat::peft ? "/adapter_model.safetensors" : "";
    BOOST_CHECK_MESSAGE(read_text(one + in) == read_text(two + in), name_of(format));
    if (format == AdapterFormat::peft)
      BOOST_CHECK_EQUAL(read_text(one + "/adapter_config.json"), read_text(two + "/adapter_config.json"));
  }
}

BOOST_AUTO_TEST_CASE(groups_of_experts) {
  const Folder folder;
  Adapters<double> adapters{some_adapter("l.0.attn", 5, 6, 2, 4, 1)};
  for (const char* layer : {"w1", "w3"})
    adapters.push_back(
        some_adapter(std::string("l.0.experts.") + layer, 5, 7, 2, 4, static_cast<std::uint64_t>(layer[1]), 3));
  adapters.push_back(some_adapter("l.0.experts.w2", 7, 5, 2, 4, 9, 3));
  save_adapters(folder / "hy-wu", AdapterFormat::hy_wu, adapters);
  check_same_updates(load_adapters<double>(folder / "hy-wu").adapters, adapters);
  const auto split = split_experts(adapters);
  for (const auto format : {AdapterFormat::peft, AdapterFormat::diffusers, AdapterFormat::kohya}) {
    std::vector<std::string> modules;
    for (const auto& adapter : split) modules.push_back(adapter.module);
    const std::string path = folder / std::string(name_of(format));
    save_adapters(path, format, adapters);
    check_same_updates(load_adapters<double>(path, {.modules = modules}).adapters, split);
  }
}

BOOST_AUTO_TEST_CASE(other_spellings) {
  const auto adapters = tricky_adapters();
  // s multiplied into B by whoever wrote the file; nothing in it says so.
  const auto folded = [&](const std::string& prefix, const std::string& A, const std::string& B) {
    File file;
    for (auto a : adapters) {
      a.B = times(a.B, a.scale);
      file.add_pair(a, prefix + a.module, A, B);
    }
    return file;
  };
  for (const std::string prefix : {"transformer.", "diffusion_model.", "model.diffusion_model.", "unet.", ""}) {
    const auto plain = folded(prefix, ".lora_A.weight", ".lora_B.weight").load();
    BOOST_CHECK(plain.format == AdapterFormat::diffusers);
    check_same_updates(plain.adapters, adapters);
    check_same_updates(folded(prefix, ".lora_A.default.weight", ".lora_B.default.weight").load().adapters, adapters);
    check_same_updates(folded(prefix, ".lora.down.weight", ".lora.up.weight").load().adapters, adapters);
    check_same_updates(folded(prefix, ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight").load().adapters,
                       adapters);
    check_same_updates(folded(prefix, ".lora_down.weight", ".lora_up.weight").load().adapters, adapters);
  }
  // ComfyUI's converter: the square root of s in both factors.
  File roots, dotted;
  for (auto a : adapters) {
    dotted.add_pair(a, a.module, ".lora_down.weight", ".lora_up.weight");
    dotted.add(a.module + ".alpha", {}, {a.scale * static_cast<double>(a.rank)});
    const double root = std::sqrt(a.scale);
    a.A = times(a.A, root), a.B = times(a.B, root);
    roots.add_pair(a, "diffusion_model." + a.module, ".lora_A.weight", ".lora_B.weight");
  }
  check_same_updates(roots.load().adapters, adapters);
  check_same_updates(dotted.load().adapters, adapters);
  BOOST_CHECK(dotted.load().format == AdapterFormat::kohya);
  // The oldest: names of their own for q, k, v and out.
  File old;
  const auto q = some_adapter("mid.attn1.to_q", 3, 4, 2, 1, 1), out = some_adapter("mid.attn1.to_out.0", 4, 3, 1, 1, 2);
  old.add_pair(q, "unet.mid.attn1.processor.to_q_lora", ".down.weight", ".up.weight");
  old.add_pair(out, "unet.mid.attn1.processor.to_out_lora", ".down.weight", ".up.weight");
  check_same_updates<double, double>(old.load().adapters, {q, out});
}

BOOST_AUTO_TEST_CASE(flattened_names_need_the_model) {
  File file;
  for (const auto& a : tricky_adapters())
    file.add_pair(a, "lora_unet_" + flattened(a.module), ".lora_down.weight", ".lora_up.weight");
  const auto flat = file.load();
  BOOST_CHECK_EQUAL(named(flat.adapters, "blk_0_to_q_proj").rank, 4);
  BOOST_CHECK_EQUAL(named(file.load({.modules = model}).adapters, "blk.0.add_out.0").out, 8);
  WU_CHECK_FILE_ERROR(file.load({.modules = {"blk.0.to_q"}}),
                      "expected one of the model's 1 modules, found \"blk_0_add_out_0\"");
  auto alike = model;
  alike.push_back("blk.0_to.q");
  WU_CHECK_FILE_ERROR(file.load({.modules = alike}),
                      "expected the name of one module, found \"blk_0_to_q\", flattened from two");
  // A model whose own names begin like a pipeline's component.
  File own = {};
  own.add_pair(some_adapter("transformer.h.0.q", 3, 4, 2, 1, 1), "transformer.h.0.q", ".lora_A.weight", ".lora_B.weight");
  BOOST_CHECK_EQUAL(own.load({.modules = {"transformer.h.0.q"}}).adapters[0].module, "transformer.h.0.q");
}

BOOST_AUTO_TEST_CASE(alphas) {
  const auto scale_with = [](std::vector<std::int64_t> shape, double alpha, DType dtype) {
    auto file = pair_and();
    file.add("m.alpha", std::move(shape), {alpha}, dtype);
    return file.load().adapters.at(0).scale;
  };
  BOOST_CHECK_EQUAL(scale_with({}, 2, DType::F32), 0.5);
  BOOST_CHECK_EQUAL(scale_with({1}, 2, DType::BF16), 0.5);
  BOOST_CHECK_EQUAL(scale_with({}, 3, DType::F16), 0.75);
  BOOST_CHECK_EQUAL(scale_with({}, 0.1, DType::F64), 0.025);
  BOOST_CHECK_EQUAL(scale_with({}, 0, DType::F32), 1);
  BOOST_CHECK_EQUAL(pair_and().load().adapters.at(0).scale, 1);
  auto whole = pair_and();
  const std::vector<std::int64_t> two{2};
  whole.tensors.push_back(tensor_to_save("m.alpha", {}, two));
  BOOST_CHECK_EQUAL(whole.load().adapters.at(0).scale, 0.5);
  // Beside lora_A too, but for who wants what diffusers does.
  auto beside = pair_and(".lora_A.weight", ".lora_B.weight");
  beside.add("m.alpha", {}, {2});
  BOOST_CHECK_EQUAL(beside.load().adapters.at(0).scale, 0.5);
  BOOST_CHECK_EQUAL(beside.load({.diffusers_compatible = true}).adapters.at(0).scale, 1);
  auto down = pair_and();
  down.add("m.alpha", {}, {2});
  BOOST_CHECK_EQUAL(down.load({.diffusers_compatible = true}).adapters.at(0).scale, 0.5);

  const auto refused = [](std::vector<std::int64_t> shape, const std::vector<double>& values, const std::string& phrase) {
    auto file = pair_and();
    file.add("m.alpha", std::move(shape), values);
    WU_CHECK_FILE_ERROR(file.load(), phrase);
  };
  refused({2}, {1, 1}, "tensor \"m.alpha\": expected a scalar, found shape [2]");
  refused({1, 1}, {1}, "expected a scalar, found shape [1, 1]");
  refused({0}, {}, "expected a scalar, found shape [0]");
  refused({}, {-1}, "expected a finite number of at least 0, found -1");
  refused({}, {std::nan("")}, "expected a finite number of at least 0, found nan");
  File lonely = pair_and();
  lonely.add("other.alpha", {}, {1});
  WU_CHECK_FILE_ERROR(lonely.load(), "tensor \"other.alpha\": expected A and B beside this alpha, found neither");
  BOOST_CHECK_EQUAL(lonely.load({.allow_unused = true}).notes.size(), 1U);
}

BOOST_AUTO_TEST_CASE(configurations_give_scales) {
  const Folder folder;
  File file;
  const auto adapters = tricky_adapters();  // ranks 2, 4, 1, 3
  for (const auto& a : adapters) file.add_pair(a, "base_model.model." + a.module, ".lora_A.weight", ".lora_B.weight");
  BOOST_REQUIRE_EQUAL(::mkdir((folder / "a").c_str(), 0700), 0);
  save_safetensors(folder / "a/adapter_model.safetensors", file.tensors);
  const auto load = [&](const std::string& members) {
    write_text(folder / "a/adapter_config.json", "{\"peft_type\": \"LORA\", " + members + "}");
    return load_adapters<double>(folder / "a", {.modules = model});
  };
  const std::string ranks = R"("r": 2, "rank_pattern": {"0\\.to_q_proj": 4, "add_out\\.0": 1, "^blk\\.1\\.to_q": 3})";
  const auto plain = load(ranks + R"(, "lora_alpha": 6, "alpha_pattern": {"to_q": 1.5})").adapters;
  BOOST_CHECK_EQUAL(named(plain, "blk.0.to_q").scale, 0.75);
  BOOST_CHECK_EQUAL(named(plain, "blk.1.to_q").scale, 0.5);
  BOOST_CHECK_EQUAL(named(plain, "blk.0.to_q_proj").scale, 1.5);
  BOOST_CHECK_EQUAL(named(plain, "blk.0.add_out.0").scale, 6);
  const auto rs = load(ranks + R"(, "lora_alpha": 6, "use_rslora": true)").adapters;
  BOOST_CHECK_EQUAL(named(rs, "blk.0.to_q_proj").scale, 3);
  BOOST_CHECK_EQUAL(named(rs, "blk.0.to_q").scale, 6 / std::sqrt(2.));
  BOOST_CHECK_EQUAL(named(load("\"lora_alpha\": 0, \"x\": 1").adapters, "blk.0.to_q").scale, 0);
  BOOST_CHECK_EQUAL(load("\"lora_alpha\": 0, \"x\": 1").notes.size(), 1U);
  WU_CHECK_FILE_ERROR(load("\"r\": 2"), "expected rank 2 of \"blk.0.add_out.0\", as the configuration says, found 1");
  WU_CHECK_FILE_ERROR(load("\"target_modules\": [\"blk.0.to_q\", \"blk.1.to_q\", \"0\"]"),
                      "expected a module that the configuration names, found \"blk.0.to_q_proj\"");
  WU_CHECK_FILE_ERROR(load("\"target_modules\": [\"to_q\", \"0\", \"to_q_proj\"]"),
                      "expected an adapter of \"blk.2.to_q\", which the configuration names, found none");
  WU_CHECK_FILE_ERROR(load("\"use_dora\": true"), "DoRA is not supported");
  write_text(folder / "a/adapter_config.json", "{\"peft_type\": \"LORA\"");
  WU_CHECK_FILE_ERROR(load_adapters<double>(folder / "a"), "adapter_config.json");
  BOOST_REQUIRE_EQUAL(::unlink((folder / "a/adapter_config.json").c_str()), 0);
  WU_CHECK_FILE_ERROR(load_adapters<double>(folder / "a"), "adapter_config.json\": No such file");
  WU_CHECK_FILE_ERROR(load_adapters<double>(folder / "a/adapter_model.safetensors"),
                      "expected the folder of this file instead");
  WU_CHECK_FILE_ERROR(load_adapters<double>(folder / "nothing"), "could not open");
}

BOOST_AUTO_TEST_CASE(metadata_gives_scales) {
  File file;
  file.add_pair(some_adapter("m", 3, 5, 4, 1, 1), "transformer.m", ".lora_A.weight", ".lora_B.weight");
  file.metadata["lora_adapter_metadata"] = R"({"transformer.r": 4, "transformer.lora_alpha": 2, "unet.r": 9})";
  BOOST_CHECK_EQUAL(file.load().adapters.at(0).scale, 0.5);
  BOOST_CHECK(file.load().format == AdapterFormat::diffusers);
  auto with_alpha = file;
  with_alpha.add("transformer.m.alpha", {}, {2});
  WU_CHECK_FILE_ERROR(with_alpha.load(), "expected scales from the configuration only, found an alpha too");
  file.metadata["lora_adapter_metadata"] = R"({"unet.r": 4})";
  WU_CHECK_FILE_ERROR(file.load(), "expected members that begin with \"transformer.\", found none");
  file.metadata["lora_adapter_metadata"] = "{";
  WU_CHECK_FILE_ERROR(file.load(), "lora_adapter_metadata");
  File bare = pair_and(".lora_A.weight", ".lora_B.weight");
  bare.metadata["lora_adapter_metadata"] = R"({"r": 4})";
  WU_CHECK_FILE_ERROR(bare.load(), "expected names under a component such as \"transformer.\"");
}

BOOST_AUTO_TEST_CASE(layers_that_were_split) {
  File file;
  const auto q = some_adapter("q", 3, 2, 2, 0.5, 1), k = some_adapter("k", 3, 4, 2, 0.5, 2),
             v = some_adapter("v", 3, 1, 2, 0.5, 3);
  int part = 0;
  for (const auto& a : {q, k, v}) {
    const std::string end = "." + std::to_string(part++) + ".weight";
    file.add_pair(a, "lora_unet_qkv", ".lora_down" + end, ".lora_up" + end);
  }
  file.add("lora_unet_qkv.alpha", {}, {1});
  const auto x = some_values<double>(3, 9);
  auto expected = wu::test::update_of(q, x);
  for (const auto* a : {&k, &v})
    for (const double y : wu::test::update_of(*a, x)) expected.push_back(y);
  const auto loaded = file.load().adapters;
  BOOST_CHECK_LT(wu::test::distance(wu::test::update_of(named(loaded, "qkv"), x), expected), 1e-12);
  auto hole = file;
  hole.add_pair(q, "lora_unet_qkv", ".lora_down.4.weight", ".lora_up.4.weight");
  WU_CHECK_FILE_ERROR(hole.load(), "expected part 3 of module \"qkv\", found part 4");
  auto both = file;
  both.add_pair(q, "lora_unet_qkv", ".lora_down.weight", ".lora_up.weight");
  WU_CHECK_FILE_ERROR(both.load(), "expected module \"qkv\" whole or in parts, found both");
  auto unlike = file;
  unlike.add_pair(some_adapter("x", 3, 1, 3, 1, 1), "lora_unet_qkv", ".lora_down.3.weight", ".lora_up.3.weight");
  WU_CHECK_FILE_ERROR(unlike.load(), "expected parts of one rank and input");
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_together_is_refused) {
  const auto says = [](const std::string& phrase, auto spoil, const LoadAdapterOptions& options = {}) {
    auto file = pair_and();
    spoil(file);
    WU_CHECK_FILE_ERROR(file.load<float>(options), phrase);
  };
  const auto add = [](std::string name, std::vector<std::int64_t> shape) {
    return [name = std::move(name), shape = std::move(shape)](File& file) {
      std::int64_t count = 1;
      for (const auto extent : shape) count *= extent;
      file.add(name, shape, std::vector<double>(static_cast<std::size_t>(count), 1));
    };
  };
  says("expected a B (up) of module \"n\" too, found none", add("n.lora_down.weight", {2, 3}));
  says("expected an A (down) of module \"n\" too, found none", add("n.lora_up.weight", {2, 3}));
  says("expected one tensor for each place, found \"m.lora_A.", add("m.lora_A.weight", {4, 3}));
  says("expected one tensor for each place", add("m.lora_down.x.weight", {4, 3}));
  says("expected all names to begin like the first one, \"\", found \"unet.\"", add("unet.n.lora_down.weight", {4, 3}));
  says("tensor \"n.weight\": expected a part of an adapter, found a tensor that is none", add("n.weight", {2}));
  says("expected as many rows as B has columns (4), the rank, found shape [5, 3]",
       [&](File& f) { f.tensors.erase(f.tensors.begin()), add("m.lora_down.weight", {5, 3})(f); });
  says("expected extents of at least 1, found shape [0, 3]",
       [&](File& f) { f.tensors.erase(f.tensors.begin()), add("m.lora_down.weight", {0, 3})(f); });
  says("expected a matrix, found shape [12]",
       [&](File& f) { f.tensors.erase(f.tensors.begin()), add("m.lora_down.weight", {12})(f); });
  says("found shape [4, 3, 3, 3]: adapters of convolutions are not supported",
       [&](File& f) { f.tensors.erase(f.tensors.begin()), add("m.lora_down.weight", {4, 3, 3, 3})(f); });
  says("expected a type that can become F32, found BOOL", [](File& f) {
    static const bool flags[12] = {};
    f.tensors[0] = tensor_to_save("m.lora_down.weight", {4, 3}, std::span(flags));
  });
  says("expected values that F32 can hold, found one beyond its range", [](File& f) {
    f.tensors.erase(f.tensors.begin());
    f.add("m.lora_down.weight", {4, 3}, std::vector<double>(12, 1e300));
  });
  const auto infinite = [](File& f) {
    f.tensors.erase(f.tensors.begin());
    std::vector<double> values(12);
    values[7] = -std::numeric_limits<double>::infinity();
    f.add("m.lora_down.weight", {4, 3}, values);
  };
  says("expected finite values, found -inf at position 7", infinite);
  auto file = pair_and();
  infinite(file);
  BOOST_CHECK(std::isinf(file.load({.allow_non_finite = true}).adapters.at(0).A[7]));
  says("expected one of the model's 1 modules, found \"m\"", [](File&) {}, {.modules = {"n"}});
  WU_CHECK_FILE_ERROR(File().load(), "expected adapters, found none");
  for (const auto& [name, kind] :
       std::vector<std::pair<std::string, std::string>>{{"m.dora_scale", "DoRA"},
                                                        {"m.hada_w1_a", "LoHa"},
                                                        {"m.lokr_w1", "LoKr"},
                                                        {"m.lora_mid.weight", "Tucker decomposition"},
                                                        {"m.diff", "a full difference"},
                                                        {"lora_te_x.alpha", "a text encoder"}})
    says("expected LoRA of linear layers, found " + std::string(kind[0] == 'a' && kind[2] == 't' ? "an adapter of " : "") +
             kind,
         add(name, {1}), {.allow_unused = true});
}

BOOST_AUTO_TEST_CASE(convolutions_of_one_position_are_linear) {
  File file;
  const auto a = some_adapter("m", 3, 5, 2, 1, 1);
  file.add("m.lora_down.weight", {2, 3, 1, 1}, a.A);
  file.add("m.lora_up.weight", {5, 2, 1, 1}, a.B);
  check_same_updates<double, double>(file.load().adapters, {a});
}

BOOST_AUTO_TEST_CASE(a_request_out_of_a_batch) {
  File file;
  const auto one = some_adapter("l.0.q", 3, 5, 2, 0.5, 1), two = some_adapter("l.0.q", 3, 5, 2, 0.5, 2);
  auto A = one.A, B = one.B;
  A.insert(A.end(), two.A.begin(), two.A.end());
  B.insert(B.end(), two.B.begin(), two.B.end());
  file.add("l.0.q.lora_A", {2, 2, 3}, A);
  file.add("l.0.q.lora_B", {2, 5, 2}, B);
  file.add("scale", {}, {0.5}, DType::F32);
  BOOST_CHECK(file.load().format == AdapterFormat::hy_wu);
  check_same_updates<double, double>(file.load().adapters, {one});
  check_same_updates<double, double>(file.load({.sample = 1}).adapters, {two});
  WU_CHECK_FILE_ERROR(file.load({.sample = 2}), "expected a sample below 2, the batch, found 2");
  WU_CHECK_FILE_ERROR(file.load({.modules = {"l.1.q"}}), "found \"l.0.q\"");
  const auto says = [&](const std::string& phrase, const std::string& name, std::vector<std::int64_t> shape) {
    auto spoilt = file;
    std::erase_if(spoilt.tensors, [&](const auto& tensor) { return tensor.name == name; });
    std::int64_t count = 1;
    for (const auto extent : shape) count *= extent;
    if (!shape.empty()) spoilt.add(name, shape, std::vector<double>(static_cast<std::size_t>(count)));
    WU_CHECK_FILE_ERROR(spoilt.load(), phrase);
  };
  says("expected A and B of module \"l.0.q\", found one of them", "l.0.q.lora_B", {});
  says("expected shape [batch, rank, in] or [batch, experts, rank, in], found [2, 3]", "l.0.q.lora_A", {2, 3});
  says("expected shape [batch, rank, in]", "l.0.q.lora_A", {2, 0, 3});
  says("expected a B that goes with A of shape [2, 2, 3], found shape [1, 5, 2]", "l.0.q.lora_B", {1, 5, 2});
  says("expected a B that goes with A", "l.0.q.lora_B", {2, 5, 3});
  says("expected a B that goes with A", "l.0.q.lora_B", {2, 2, 5, 2});
  says("expected a part of an adapter", "other", {2});
}

BOOST_AUTO_TEST_CASE(cut_at_every_byte) {
  const Folder folder;
  const Adapters<float> adapters{some_adapter<float>("blk.0.to_q", 2, 3, 1, 1, 1)};
  for (const auto format : {AdapterFormat::hy_wu, AdapterFormat::diffusers, AdapterFormat::kohya}) {
    save_adapters(folder / "f", format, adapters);
    const std::string text = read_text(folder / "f");
    BOOST_REQUIRE_EQUAL(read_adapters<float>(wu::test::as_bytes(text), "f").adapters.size(), 1U);
    for (std::size_t n = 0; n < text.size(); ++n)
      BOOST_CHECK_THROW(read_adapters<float>(wu::test::as_bytes(text.substr(0, n)), "f"), wu::FileError);
  }
  save_adapters(folder / "p", AdapterFormat::peft, adapters);
  const std::string config = read_text(folder / "p/adapter_config.json");
  for (std::size_t n = 0; n + 2 < config.size(); ++n) {  // without the line break at its end it is whole
    write_text(folder / "p/adapter_config.json", config.substr(0, n));
    BOOST_CHECK_THROW(load_adapters<float>(folder / "p"), wu::FileError);
  }
}

BOOST_AUTO_TEST_CASE(changed_bytes_are_refused_or_harmless) {
  const Folder folder;
  for (const auto format : {AdapterFormat::hy_wu, AdapterFormat::diffusers, AdapterFormat::kohya}) {
    save_adapters(folder / "f", format, tricky_adapters<float>());
    const std::string text = read_text(folder / "f");
    std::uint64_t state = 1;
    int read = 0, refused = 0;
    for (int trial = 0; trial < 2000; ++trial) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      std::string changed = text;
      changed[state % (text.size() - 8) + 8] = static_cast<char>(state >> 32);
      try {
        check_adapters(read_adapters<float>(wu::test::as_bytes(changed), "f").adapters);
        ++read;
      } catch (const wu::FileError&) { ++refused; }
    }
    BOOST_CHECK_GT(read, 0);
    BOOST_CHECK_GT(refused, 0);
  }
}

BOOST_AUTO_TEST_CASE(other_scalars) {
  const Folder folder;
  const auto adapters = tricky_adapters<wu::bfloat16>();
  save_adapters(folder / "f", AdapterFormat::kohya, adapters);
  check_same_updates(load_adapters<wu::bfloat16>(folder / "f", {.modules = model, .access = Access::copy}).adapters,
                     adapters);
  check_same_updates(load_adapters<float>(folder / "f", {.modules = model}).adapters, adapters);
}

BOOST_AUTO_TEST_SUITE_END()
