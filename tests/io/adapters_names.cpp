// What names modules in files of adapters: patterns, PEFT's configuration, and the spellings of tensors' names.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <string>

#include "support.hpp"
#include "wu/io/adapter_key.hpp"
#include "wu/io/name_pattern.hpp"
#include "wu/io/peft_config.hpp"
#include "wu/io/peft_scales.hpp"

using namespace wu::io;

namespace {

PeftConfig config_of(const std::string& members, std::string_view prefix = "") {
  return {parse_json("{\"peft_type\": \"LORA\", " + members + "}", "c"), prefix, "c"};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(adapters_names)

BOOST_AUTO_TEST_CASE(patterns_match_whole_names) {
  const auto check = [](const char* pattern, const char* name, bool expected) {
    BOOST_CHECK_MESSAGE(NamePattern(pattern).matches(name) == expected, pattern << " and " << name);
  };
  check("to_q", "to_q", true);
  check("to_q", "to_q_proj", false);
  check("to_q", "a.to_q", false);
  check("", "", true);
  check("", "a", false);
  check("a.c", "abc", true);
  check("a\\.c", "abc", false);
  check("a\\.c", "a.c", true);
  check(".*\\.to_(q|k|v)", "blk.0.to_k", true);
  check(".*\\.to_(q|k|v)", "blk.0.to_out", false);
  check(".*\\.to_(?:q|add_(k|v))", "blk.0.to_add_v", true);
  check("blk\\.\\d+\\.x", "blk.12.x", true);
  check("blk\\.\\d+\\.x", "blk..x", false);
  check("blk\\.[0-3]\\.x", "blk.3.x", true);
  check("blk\\.[0-3]\\.x", "blk.4.x", false);
  check("[^.]+", "blk", true);
  check("[^.]+", "blk.x", false);
  check("[a\\-\\]]*", "-]a", true);
  check("[a-]*", "a-a", true);
  check("[\\d_]+", "1_2", true);
  check("a?b", "b", true);
  check("a?b", "aab", false);
  check("(a|b)+c", "abbac", true);
  check("(|a)b", "b", true);
  check("^a$|b", "a", true);
  check("a^b", "ab", false);
  check("(a*)*", "aaaa", true);
  check("a|b|", "", true);
  check("x.y", "x\ny", false);
}

BOOST_AUTO_TEST_CASE(patterns_match_ends_of_names) {
  const auto check = [](const char* pattern, const char* name, bool expected) {
    BOOST_CHECK_MESSAGE(NamePattern(pattern).matches_end(name) == expected, pattern << " and " << name);
  };
  check("to_q", "to_q", true);
  check("to_q", "blk.0.to_q", true);
  check("to_q", "blk.0.not_to_q", false);
  check("^to_q", "to_q", true);
  check("^to_q", "blk.to_q", false);
  check("0.to_q", "blk.10.to_q", false);
  check("to\\_q", "x.to_q", true);
  check("^to\\.q", "to.q", true);
  check("^to\\.q", "to_q", false);
  check("", "a.", true);
  check("", "a", false);
  check("^", "", true);
  check("a|b", "x.b", true);
  check("b.*", "a.b.c.d", true);
  check("(.*\\.)?x", "a.b.x", true);
}

BOOST_AUTO_TEST_CASE(hostile_patterns_take_a_bounded_number_of_steps) {
  // Backtracking would not come to an end here.
  std::string pattern = "(a*)*b", name(3000, 'a');
  BOOST_CHECK(!NamePattern(pattern).matches(name));
  for (int k = 0; k < 60; ++k) pattern += "|(a|a|a.*)*c";
  BOOST_CHECK(!NamePattern(pattern).matches_end(name));
}

BOOST_AUTO_TEST_CASE(other_patterns_are_refused) {
  const auto says = [](const std::string& pattern, const std::string& phrase) {
    WU_CHECK_FILE_ERROR(NamePattern(pattern, "x: "), "x: pattern ");
    WU_CHECK_FILE_ERROR(NamePattern(pattern, "x: "), phrase);
  };
  says("(a", "expected a ')' for every '('");
  says("a)", "expected no ')' without its '('");
  says("*a", "something that can be repeated");
  says("a**", "one of * + ? only");
  says("a+?", "one of * + ? only");
  says("a{2}", "no count in braces");
  says("(?!a)b", "groups without '?'");
  says("(?P<n>a)", "groups without '?'");
  says("\\w+", "\\d or a punctuation mark after a backslash");
  says("(a)\\1", "\\d or a punctuation mark");
  says("a\\", "a letter after a backslash");
  says("[a", "a ']' for every '['");
  says("[z-a]", "ascending order");
  says("[[:alpha:]]", "plain letters between brackets");
  says("\xC3\xA9", "printable ASCII");
  says("a\nb", "printable ASCII");
  says(std::string(30, '(') + std::string(30, ')'), "at most 20 groups");
  says(std::string(1001, 'a'), "at most 1000 letters, found one of 1001");
}

BOOST_AUTO_TEST_CASE(rank_and_alpha_of_the_first_pattern) {
  const auto config = config_of(R"("r": 2, "lora_alpha": 3, "rank_pattern": {"^to_q": 4, "to_q": 5, "blk\\.1\\.to_q": 6},
                                   "alpha_pattern": {"blk.\\d.to_q": 7.5})");
  BOOST_CHECK_EQUAL(config.scale_of("to_q", 4), 3. / 4);
  BOOST_CHECK_EQUAL(config.scale_of("blk.1.to_q", 5), 7.5 / 5);  // not 6: the second pattern came first
  BOOST_CHECK_EQUAL(config.scale_of("blk.1.to_k", 2), 3. / 2);
  WU_CHECK_FILE_ERROR(config.scale_of("blk.1.to_k", 3),
                      "expected rank 2 of \"blk.1.to_k\", as the configuration says, found 3");
  BOOST_CHECK_EQUAL(config_of("\"lora_alpha\": 6, \"use_rslora\": true").scale_of("a", 4), 3);
  BOOST_CHECK_EQUAL(config_of("\"r\": 4").scale_of("a", 4), 2);  // alpha is 8 where nothing says it
}

BOOST_AUTO_TEST_CASE(modules_that_a_configuration_names) {
  const auto list =
      config_of(R"("target_modules": ["to_q", "x.y"], "exclude_modules": ["0.to_q"], "modules_to_save": ["head"])");
  BOOST_CHECK(list.targets("blk.1.to_q") == true);
  BOOST_CHECK(list.targets("to_q") == true);
  BOOST_CHECK(list.targets("blk.0.to_q") == false);
  BOOST_CHECK(list.targets("y") == false);
  BOOST_CHECK(list.targets("blk.head.to_q") == false);
  const auto pattern =
      config_of(R"x("target_modules": ".*\\.(a|b)", "exclude_modules": "blk\\.3.*", "layers_to_transform": [9])x");
  BOOST_CHECK(pattern.targets("blk.0.a") == true);
  BOOST_CHECK(pattern.targets("a") == false);
  BOOST_CHECK(pattern.targets("blk.3.a") == false);
  const auto beyond = config_of(R"x("target_modules": "(?!x).*")x");
  BOOST_CHECK(!beyond.targets("a").has_value());
  BOOST_REQUIRE_EQUAL(beyond.notes().size(), 1U);
  BOOST_CHECK(wu::test::contains(beyond.notes()[0], "which modules it names was not checked"));
  BOOST_CHECK(!config_of(R"("target_modules": "all-linear")").targets("a").has_value());
}

BOOST_AUTO_TEST_CASE(layers_are_the_first_number) {
  const auto some = config_of(R"("target_modules": ["up"], "layers_to_transform": [1, 3])");
  BOOST_CHECK(some.targets("model.layers.1.experts.0.up") == true);
  BOOST_CHECK(some.targets("model.layers.0.experts.1.up") == false);
  BOOST_CHECK(some.targets("model.layers.13.up") == false);
  BOOST_CHECK(some.targets("model.layers.up") == false);
  BOOST_CHECK(some.targets("up") == true);  // named in full: layers do not matter
  const auto one = config_of(R"("target_modules": ["up"], "layers_to_transform": 2, "layers_pattern": ["blocks", "h"])");
  BOOST_CHECK(one.targets("model.layers.1.h.2.up") == true);
  BOOST_CHECK(one.targets("h.2.up") == true);
  BOOST_CHECK(one.targets("model.layers.2.up") == false);
}

BOOST_AUTO_TEST_CASE(configurations_that_are_refused) {
  const auto says = [](const std::string& text, const std::string& phrase) {
    WU_CHECK_FILE_ERROR(PeftConfig(parse_json(text, "c"), "", "c"), phrase);
  };
  says("[]", "c: expected an object, found an array");
  says("{\"r\": 4}", "expected the member \"peft_type\", found none");
  says("{}", "found none");
  says(R"({"peft_type": "LOHA"})", "expected the peft_type \"LORA\", found \"LOHA\"");
  says(R"({"peft_type": 1})", "expected the peft_type \"LORA\", found \"1\"");
  const auto also = [&](const std::string& member, const std::string& phrase) {
    says("{\"peft_type\": \"LORA\", " + member + "}", phrase);
  };
  also("\"use_dora\": true", "DoRA is not supported");
  also("\"use_dora\": \"yes\"", "expected true or false as \"use_dora\", found \"yes\"");
  also("\"use_qalora\": true", "found \"use_qalora\", which is not supported");
  also("\"alora_invocation_tokens\": [1]", "found \"alora_invocation_tokens\"");
  also("\"layer_replication\": [[0, 1]]", "found \"layer_replication\"");
  also("\"target_parameters\": [1]", "expected names as \"target_parameters\"");
  also("\"r\": 0", "expected a rank of at least 1 as \"r\", found \"0\"");
  also("\"r\": 2.5", "found \"2.5\"");
  also("\"lora_alpha\": -1", "expected a number of at least 0 as \"lora_alpha\", found \"-1\"");
  also("\"lora_alpha\": \"8\"", "found \"8\"");
  also("\"rank_pattern\": [1]", "expected an object as \"rank_pattern\"");
  also("\"rank_pattern\": {\"(?=a)\": 1}", "rank_pattern: pattern \"(?=a)\"");
  also("\"target_modules\": [1]", "expected names as \"target_modules\", found \"1\"");
  also("\"layers_to_transform\": [\"1\"]", "expected numbers of layers");
  WU_CHECK_FILE_ERROR(config_of("\"r\": 1", "unet."), "expected members that begin with \"unet.\", found none");
}

BOOST_AUTO_TEST_CASE(what_changes_nothing_known_is_noted) {
  const auto config =
      config_of(R"("eva_config": {"rho": 2}, "new_thing": 1, "new_but_unset": null, "runtime_config": {"a": 1},
                                   "init_lora_weights": "pissa", "lora_dropout": 0.1, "target_parameters": null)");
  BOOST_REQUIRE_EQUAL(config.notes().size(), 3U);
  BOOST_CHECK_EQUAL(config.notes()[0], "c: \"eva_config\" is set and was ignored");
  BOOST_CHECK_EQUAL(config.notes()[1], "c: \"new_thing\" is not known and was ignored");
  BOOST_CHECK(wu::test::contains(config.notes()[2], "\"init_lora_weights\" is \"pissa\""));
}

BOOST_AUTO_TEST_CASE(what_is_written_is_understood) {
  const std::vector<PeftModule> modules{{"a.0.to_q", 1, 1},  {"b.0.to_q", 2, 1},  {"b.1.to_q", 2, 0.3},
                                        {"c+[x]", 3, 1},     {"c.0.c+[x]", 2, 5}, {"d.0.e.1.f", 2, 1},
                                        {"d.0.e.2.f", 2, 1}, {"f", 7, 2},         {"to_q", 5, 1}};
  const PeftConfig config(parse_json(format_peft_config(modules, "unet."), "c"), "unet.", "c");
  for (const PeftModule& m : modules) {
    BOOST_CHECK_EQUAL(config.scale_of(m.module, m.rank), m.alpha / static_cast<double>(m.rank));
    BOOST_CHECK(config.targets(m.module) == true);
    WU_CHECK_FILE_ERROR(config.scale_of(m.module, 11), "expected rank");
  }
  BOOST_CHECK(config.targets("b.2.to_k") == false);
  BOOST_CHECK(config.notes().empty());
}

BOOST_AUTO_TEST_CASE(spellings_of_keys) {
  const auto check = [](const char* name, const char* prefix, const char* module, AdapterRole role, bool down_up = false,
                        int part = -1) {
    const auto key = parse_adapter_key(name);
    BOOST_REQUIRE_MESSAGE(key, name);
    BOOST_CHECK_MESSAGE(
        key->prefix == prefix && key->module == module && key->role == role && key->down_up == down_up && key->part == part,
        name << " became " << key->prefix << " " << key->module << " " << key->part);
  };
  constexpr auto A = AdapterRole::A, B = AdapterRole::B, alpha = AdapterRole::alpha;
  check("base_model.model.model.layers.0.q.lora_A.weight", "base_model.model.", "model.layers.0.q", A);
  check("base_model.model.base_model.model.q.lora_B.default.weight", "base_model.model.", "base_model.model.q", B);
  check("blk.0.to_q.lora_B.weight", "", "blk.0.to_q", B);
  check("transformer.blk.0.to_q.lora_A.default.weight", "transformer.", "blk.0.to_q", A);
  check("transformer_blocks.0.to_q.lora_A.weight", "", "transformer_blocks.0.to_q", A);
  check("diffusion_model.blk.0.to_q.lora_B.weight", "diffusion_model.", "blk.0.to_q", B);
  check("model.diffusion_model.q.alpha", "model.diffusion_model.", "q", alpha);
  check("lora_unet_blk_0_to_q.lora_down.weight", "lora_unet_", "blk_0_to_q", A, true);
  check("lora_unet_blk_0_qkv.lora_up.2.weight", "lora_unet_", "blk_0_qkv", B, true, 2);
  check("lora_unet_blk_0_to_q.alpha", "lora_unet_", "blk_0_to_q", alpha);
  check("unet.a.attn1.processor.to_q_lora.down.weight", "unet.", "a.attn1.to_q", A);
  check("unet.a.attn1.processor.to_out_lora.up.weight", "unet.", "a.attn1.to_out.0", B);
  check("unet.a.to_out.0.lora.up.weight", "unet.", "a.to_out.0", B);
  check("unet.a.ff.lora_linear_layer.down.weight", "unet.", "a.ff", A);
  check("a.alpha.lora_A.weight", "", "a.alpha", A);
  check("a.lora_A.x.lora_B.weight", "", "a.lora_A.x", B);
  check("l.0.q.lora_A", "", "l.0.q", A);
  for (const char* name :
       {"a.weight", "a.lora_A.bias", "a.lora_A.x.y.weight", "a.lora_Ax.weight", "transformer..lora_A.weight", ".alpha",
        "a.alpha.weight", "a.lora_A.weight.weight", "lora_unet_a.lora_up.10.weight"})
    BOOST_CHECK_MESSAGE(!parse_adapter_key(name), name);
}

BOOST_AUTO_TEST_CASE(other_kinds_have_names) {
  const auto check = [](const char* name, const char* kind) { BOOST_CHECK_EQUAL(unsupported_adapter_kind(name), kind); };
  check("a.lora_magnitude_vector", "DoRA");
  check("a.lora_magnitude_vector.weight", "DoRA");
  check("lora_unet_a.dora_scale", "DoRA");
  check("lora_unet_a.hada_w1_a", "LoHa");
  check("lora_unet_a.lokr_w1", "LoKr");
  check("lora_unet_a.oft_diag", "OFT");
  check("base_model.model.a.oft_R.default.weight", "OFT");
  check("base_model.model.a.boft_R", "BOFT");
  check("lora_unet_a.diff", "a full difference");
  check("lora_unet_a.diff_b", "a full difference of a bias");
  check("lora_unet_a.lora_mid.weight", "Tucker decomposition");
  check("base_model.model.a.lora_embedding_A", "an adapter of an embedding");
  check("a.lora_B.bias", "a bias of the adapter");
  check("a.lora_B.default.bias", "a bias of the adapter");
  check("lora_te1_a.lora_down.weight", "an adapter of a text encoder");
  check("text_encoder.a.lora_A.weight", "an adapter of a text encoder");
  check("a.diffuse.lora_A.weight", "");
  check("a.lora_A.weight", "");
}

BOOST_AUTO_TEST_SUITE_END()
