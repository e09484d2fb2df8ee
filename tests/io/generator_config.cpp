// A generator's config.json: what is read from the published form, and what is refused.
#include <boost/test/unit_test.hpp>

#include <string>
#include <string_view>
#include <type_traits>

#include "support.hpp"
#include "wu/generator/generator.hpp"
#include "wu/io/generator_config.hpp"

using namespace wu::io;
using wu::test::contains;

namespace {

const std::string whole = R"({
  "model_type": "parameter_generator", "token_dim": 16, "output_dim": 16, "rank": 4, "alpha": 8, "input_dim": 12,
  "dim_accumulation": 2, "d_model": 48, "head_dim": 8, "num_base_model_layers": 3, "num_pg_layers": 2, "prefix": "model.layers.",
  "pg_mapping": {
    "z.first": {"lora_A_dim": 16, "lora_B_dim": 48},
    "a.experts": {"type": "grouped", "num_experts": 3, "sub_weights": {"w2": {"lora_A_dim": 16, "lora_B_dim": 32},
                                                                       "w1": {"lora_A_dim": 32, "lora_B_dim": 16}}}
  }
})";

/// The text with one part, which must be there, replaced.
std::string with(std::string_view part, std::string_view other) {
  std::string text = whole;
  const std::size_t at = text.find(part);
  BOOST_REQUIRE_MESSAGE(at != text.npos, part);
  return text.replace(at, part.size(), other);
}

void refused(std::string_view part, std::string_view other, const std::string& sentence,
             GeneratorVariant variant = GeneratorVariant::released) {
  WU_CHECK_FILE_ERROR(parse_generator_config(with(part, other), "x/config.json", variant), "\"x/config.json\": " + sentence);
}

using Shape = wu::AdaptedLayers<3, wu::Adapted<"z.first", 16, 48>,
                                wu::AdaptedExperts<"a.experts", 3, wu::Adapted<"w2", 16, 32>, wu::Adapted<"w1", 32, 16>>>;
template <class Layers, wu::Index C, wu::Index Rank, wu::Index Blocks>
using GeneratorOf = wu::Generator<typename wu::Tokenizer<Rank, 16>::template of<Layers>, wu::Width<C>, wu::HeadWidth<8>,
                                  wu::Blocks<Blocks>, wu::JoinedRanks<2>, wu::ConditionWidth<12>>;
using Same = GeneratorOf<Shape, 48, 4, 2>;

}  // namespace

BOOST_AUTO_TEST_SUITE(generator_config)

BOOST_AUTO_TEST_CASE(every_field_is_read_and_modules_keep_the_order_of_the_file) {
  const auto [c, sizes, notes] = parse_generator_config(whole, "config.json");
  BOOST_TEST(c.token_dim == 16);
  BOOST_TEST(c.output_dim == 16);
  BOOST_TEST(c.rank == 4);
  BOOST_TEST(c.alpha == 8);
  BOOST_TEST(c.input_dim == 12);
  BOOST_TEST(c.dim_accumulation == 2);
  BOOST_TEST(c.d_model == 48);
  BOOST_TEST(c.head_dim == 8);
  BOOST_TEST(c.num_base_model_layers == 3);
  BOOST_TEST(c.num_pg_layers == 2);
  BOOST_TEST(c.prefix == "model.layers.");
  BOOST_TEST_REQUIRE(c.pg_mapping.size() == 2U);
  const GeneratorEntry &first = c.pg_mapping[0], &experts = c.pg_mapping[1];
  BOOST_TEST(first.name == "z.first");
  BOOST_TEST(!first.grouped);
  BOOST_TEST(first.experts == 1);
  BOOST_TEST_REQUIRE(first.modules.size() == 1U);
  BOOST_TEST(first.name_of(first.modules[0]) == "z.first");
  BOOST_TEST(first.modules[0].in == 16);
  BOOST_TEST(first.modules[0].out == 48);
  BOOST_TEST(experts.grouped);
  BOOST_TEST(experts.experts == 3);
  BOOST_TEST_REQUIRE(experts.modules.size() == 2U);
  BOOST_TEST(experts.name_of(experts.modules[0]) == "a.experts.w2");
  BOOST_TEST(experts.name_of(experts.modules[1]) == "a.experts.w1");
  BOOST_TEST(experts.modules[1].in == 32);
  BOOST_TEST(notes.empty());
  BOOST_TEST(sizes.gcd_width == 16);
}

BOOST_AUTO_TEST_CASE(what_follows_is_what_the_type_has) {
  const auto sizes = parse_generator_config(whole, "config.json").sizes;
  BOOST_TEST(sizes.tokens_A == Same::Tokens::tokens_A);
  BOOST_TEST(sizes.tokens_B == Same::Tokens::tokens_B);
  BOOST_TEST(sizes.values == Same::Tokens::values);
  BOOST_TEST(sizes.parameters == Same::parameter_count);
}

BOOST_AUTO_TEST_CASE(the_published_sizes) {
  const auto sizes =
      parse_generator_config(R"({"token_dim": 1024, "output_dim": 1024, "rank": 16, "alpha": 64, "input_dim": 4096,
    "dim_accumulation": 4, "d_model": 4096, "head_dim": 128, "num_base_model_layers": 32, "num_pg_layers": 24, "prefix": "",
    "pg_mapping": {"qkv": {"lora_A_dim": 4096, "lora_B_dim": 6144}, "o": {"lora_A_dim": 4096, "lora_B_dim": 4096},
    "up": {"lora_A_dim": 4096, "lora_B_dim": 6144}, "down": {"lora_A_dim": 3072, "lora_B_dim": 4096},
    "experts": {"type": "grouped", "num_experts": 64, "sub_weights": {"w1": {"lora_A_dim": 4096, "lora_B_dim": 3072},
    "w2": {"lora_A_dim": 3072, "lora_B_dim": 4096}, "w3": {"lora_A_dim": 4096, "lora_B_dim": 3072}}}}})",
                             "config.json")
          .sizes;
  BOOST_TEST(sizes.tokens_A == 719);
  BOOST_TEST(sizes.tokens_B == 660);
  BOOST_TEST(sizes.values == 722'993'152);
  BOOST_TEST(sizes.parameters == 8'096'647'168);
  BOOST_TEST(sizes.gcd_width == 1024);
}

BOOST_AUTO_TEST_CASE(every_configuration_of_the_fixtures) {
  const std::string folder = std::string(WU_TEST_DATA) + "/generator/";
  const auto read = [&](const char* name, GeneratorVariant variant = GeneratorVariant::released) {
    const auto all = read_generator_config(folder + name + "/config.json", variant);
    BOOST_TEST(all.notes.empty(), name);
    BOOST_TEST(all.config.prefix == "model.layers.");
    return all;
  };
  BOOST_TEST(read("dense").sizes.tokens_A == 7);
  BOOST_TEST(read("experts").config.pg_mapping.size() == 5U);
  BOOST_TEST(read("padded").sizes.gcd_width == 4);
  BOOST_TEST(read("wide_rank").config.rank == 16);
  BOOST_TEST(read("spanning").config.pg_mapping[1].experts == 3);
  BOOST_TEST(read("paper", GeneratorVariant::paper).config.num_base_model_layers == 3);
}

BOOST_AUTO_TEST_CASE(unknown_fields_are_noted) {
  const auto notes = [](std::string_view part, std::string_view other) {
    std::string all;
    for (const std::string& note : parse_generator_config(with(part, other), "config.json").notes) all += note + "\n";
    return all;
  };
  BOOST_TEST(notes("\"rank\": 4", "\"rank\": 4, \"dropout\\n\": 0.5") ==
             "\"config.json\": the field \"dropout\\u{000a}\" is not known here and was ignored\n");
  BOOST_TEST(notes("\"lora_A_dim\": 16, \"lora_B_dim\": 48", "\"lora_A_dim\": 16, \"lora_B_dim\": 48, \"bias\": true") ==
             "\"config.json\": pg_mapping: \"z.first\": the field \"bias\" is not known here and was ignored\n");
  BOOST_TEST(contains(notes("\"num_experts\": 3", "\"num_experts\": 3, \"top_k\": 2"),
                      "pg_mapping: \"a.experts\": the field \"top_k\""));
  BOOST_TEST(
      contains(notes("{\"lora_A_dim\": 32", "{\"x\": [{}], \"lora_A_dim\": 32"), "sub_weights: \"w1\": the field \"x\""));
}

BOOST_AUTO_TEST_CASE(a_missing_field_is_named) {
  for (const char* field : {"token_dim", "output_dim", "rank", "alpha", "input_dim", "dim_accumulation", "d_model",
                            "head_dim", "num_base_model_layers", "num_pg_layers", "prefix", "pg_mapping"})
    refused(std::string("\"") + field + "\":", "\"other\":", std::string("expected the field ") + field + ", found none");
  refused("\"lora_B_dim\": 48", "\"b\": 48", "pg_mapping: \"z.first\": expected the field lora_B_dim, found none");
  refused("\"num_experts\": 3", "\"n\": 3", "pg_mapping: \"a.experts\": expected the field num_experts, found none");
  refused("\"sub_weights\"", "\"s\"", "pg_mapping: \"a.experts\": expected the field sub_weights, found none");
  refused("{\"lora_A_dim\": 32, ", "{",
          "pg_mapping: \"a.experts\": sub_weights: \"w1\": expected the field lora_A_dim, found none");
}

BOOST_AUTO_TEST_CASE(wrong_types_and_ranges_are_named) {
  for (const char* value :
       {"\"4\"", "4.0", "4e0", "-4", "0", "2147483648", "99999999999999999999", "null", "true", "[4]", "{}"})
    refused("\"rank\": 4", std::string("\"rank\": ") + value, "rank: expected a whole number from 1 to 2147483647, found ");
  refused("\"num_pg_layers\": 2", "\"num_pg_layers\": 1025",
          "num_pg_layers: expected a whole number from 1 to 1024, found \"1025\"");
  for (const char* value : {"\"8\"", "0", "-8", "1e300", "1e999", "null"})
    refused("\"alpha\": 8", std::string("\"alpha\": ") + value, "alpha: expected a number above 0 and up to 1e9, found ");
  for (const std::string& value :
       {std::string("7"), std::string("\"a b\""), std::string("\"a\\\"\""), "\"" + std::string(101, 'a') + "\""})
    refused("\"model.layers.\"", value, "prefix: expected a text of at most 100 letters, digits, '_', '-' and '.', found ");
  refused("\"lora_A_dim\": 16, \"lora_B_dim\": 48", "\"lora_A_dim\": 0, \"lora_B_dim\": 48",
          "pg_mapping: \"z.first\": lora_A_dim: expected a whole number from 1 to 2147483647, found \"0\"");
  refused("{\"lora_A_dim\": 16, \"lora_B_dim\": 48}", "[16, 48]",
          "pg_mapping: \"z.first\": expected an object, found an array");
  refused("{\"lora_A_dim\": 32, \"lora_B_dim\": 16}", "5",
          "pg_mapping: \"a.experts\": sub_weights: \"w1\": expected an object, found \"5\"");
  const std::string mapping =
      whole.substr(whole.find("\"pg_mapping\": {"), whole.rfind('}') - whole.find("\"pg_mapping\": {"));
  refused(mapping, "\"pg_mapping\": []", "pg_mapping: expected an object, found an array");
  refused(mapping, "\"pg_mapping\": {}", "pg_mapping: expected at least one module, found none");
  for (const char* text : {"[]", "3", "null", "\"x\""})
    WU_CHECK_FILE_ERROR(parse_generator_config(text, "config.json"), "expected an object, found ");
  WU_CHECK_FILE_ERROR(parse_generator_config("{", "config.json"), "expected a name in double quotes at byte 1");
  WU_CHECK_FILE_ERROR(parse_generator_config(std::string(generator_config_limit + 1, ' '), "config.json"),
                      "expected a configuration of at most 1048576 bytes, found 1048577");
}

BOOST_AUTO_TEST_CASE(names_are_plain_and_stand_once) {
  for (const char* name : {"", "a b", "a\\\"b", "a\\\\", "\\u00e9", "a\\n", "a/b"})
    refused("\"z.first\"", std::string("\"") + name + "\"",
            "pg_mapping: expected a name of 1 to 100 letters, digits, '_', '-' and '.', found ");
  refused("\"w1\"", "\"w 1\"",
          "pg_mapping: \"a.experts\": sub_weights: expected a name of 1 to 100 letters, digits, '_', '-' and '.', found \"w "
          "1\"");
  refused("\"z.first\"", "\"a.experts.w1\"",
          "pg_mapping: expected each module once, found \"a.experts.w1\" as an entry and as a sub-weight of a group");
  refused("\"z.first\"", "\"a.experts\"", "expected each name once, found \"a.experts\" twice");
}

BOOST_AUTO_TEST_CASE(contradictory_fields_are_named) {
  refused("\"output_dim\": 16", "\"output_dim\": 8", "output_dim: expected 16, the same as token_dim, found 8");
  refused("\"dim_accumulation\": 2", "\"dim_accumulation\": 3",
          "dim_accumulation: expected a divisor of the rank, 4, found 3");
  refused("\"dim_accumulation\": 2, \"d_model\": 48, \"head_dim\": 8",
          "\"dim_accumulation\": 4, \"d_model\": 50, \"head_dim\": 8",
          "dim_accumulation: expected a divisor of d_model, 50, found 4");
  refused("\"head_dim\": 8", "\"head_dim\": 20", "head_dim: expected a divisor of d_model, 48, found 20");
  refused("\"head_dim\": 8", "\"head_dim\": 6",
          "head_dim: expected a multiple of 4, so that every axis gets rotary pairs, found 6");
  refused("\"head_dim\": 8", "\"head_dim\": 12", "head_dim: expected a multiple of 8", GeneratorVariant::paper);
  BOOST_CHECK_NO_THROW(parse_generator_config(with("\"head_dim\": 8", "\"head_dim\": 12"), "config.json"));
  refused(
      "\"lora_B_dim\": 48", "\"lora_B_dim\": 40",
      "token_dim: expected a divisor of every adapted width, as rank-anchored tokens need, found 16, which does not divide "
      "the 40 of \"z.first\"",
      GeneratorVariant::paper);
  BOOST_CHECK_NO_THROW(parse_generator_config(with("\"lora_B_dim\": 48", "\"lora_B_dim\": 40"), "config.json"));
  refused("\"grouped\"", "\"dense\"", "pg_mapping: \"a.experts\": type: expected \"grouped\" or none, found \"dense\"");
  refused("\"grouped\"", "3", "pg_mapping: \"a.experts\": type: expected \"grouped\" or none, found \"3\"");
  refused("\"type\": \"grouped\", ", "", "pg_mapping: \"a.experts\": num_experts: expected none beside an entry without");
  refused("\"num_experts\": 3", "\"num_experts\": 3, \"lora_A_dim\": 3",
          "pg_mapping: \"a.experts\": lora_A_dim: expected none in a group, whose sub_weights have their own, found one");
  refused("{\"w2\": {\"lora_A_dim\": 16, \"lora_B_dim\": 32},", "{}, \"x\": {",
          "pg_mapping: \"a.experts\": sub_weights: expected an object of at least one layer, found an empty one");
}

BOOST_AUTO_TEST_CASE(sizes_beyond_all_bounds_are_refused_and_do_not_wrap_around) {
  refused("\"num_experts\": 3, \"sub_weights\": {\"w2\": {\"lora_A_dim\": 16",
          "\"num_experts\": 2147483647, \"sub_weights\": {\"w2\": {\"lora_A_dim\": 2147483647",
          "pg_mapping: expected adapters of at most 2^59 values for a request, found more");
  refused("\"d_model\": 48", "\"d_model\": 2147483640",
          "d_model: expected a generator of at most 2^59 parameters, found more");
  refused("\"d_model\": 48, \"head_dim\": 8, \"num_base_model_layers\": 3",
          "\"d_model\": 2147483640, \"head_dim\": 8, \"num_base_model_layers\": 2147483647",
          "d_model: expected activations of at most 2^59 values for a request, found more");
  // Many layers alone are fine: the sizes stay exact.
  const auto sizes =
      parse_generator_config(with("\"num_base_model_layers\": 3", "\"num_base_model_layers\": 2147483647"), "config.json")
          .sizes;
  BOOST_TEST(sizes.values == 2147483647 * (sizes.tokens_A + sizes.tokens_B) * 64);
}

BOOST_AUTO_TEST_CASE(a_long_mapping_is_refused) {
  const auto more = [](int modules) {
    std::string mapping = "\"pg_mapping\": {";
    for (int k = 0; k < modules; ++k) mapping += "\"m" + std::to_string(k) + "\": {\"lora_A_dim\": 1, \"lora_B_dim\": 1}, ";
    return with("\"pg_mapping\": {", mapping);
  };
  BOOST_TEST(parse_generator_config(more(253), "config.json").config.pg_mapping.size() == 255U);
  WU_CHECK_FILE_ERROR(parse_generator_config(more(254), "config.json"),
                      "pg_mapping: expected at most 256 modules, found more");
}

BOOST_AUTO_TEST_CASE(a_file_is_read_and_named) {
  const wu::test::Folder folder;
  wu::test::write_text(folder / "config.json", whole);
  BOOST_TEST(read_generator_config(folder / "config.json").config.rank == 4);
  wu::test::write_text(folder / "config.json", std::string(generator_config_limit + 1, ' '));
  WU_CHECK_FILE_ERROR(read_generator_config(folder / "config.json"), "config.json\": expected a configuration of at most");
  WU_CHECK_FILE_ERROR(read_generator_config(folder / "missing.json"), "missing.json\": No such file or directory");
}

BOOST_AUTO_TEST_CASE(a_configuration_is_held_against_a_type) {
  const auto against = []<class G>(std::type_identity<G>, std::string_view part = "", std::string_view other = "") {
    return wu::test::error_of(
        [&] { check_config<G>(parse_generator_config(with(part, other), "c.json").config, "c.json"); });
  };
  constexpr std::type_identity<Same> same;
  const std::string compiled = ", for which this program is compiled, found ";
  BOOST_TEST(against(same) == "");
  BOOST_TEST(against(same, "\"alpha\": 8", "\"alpha\": 2.5") == "");
  BOOST_TEST(against(same, "\"model.layers.\"", "\"\"") == "");
  BOOST_TEST(against(same, "\"rank\": 4", "\"rank\": 8") == "\"c.json\": rank: expected 4" + compiled + "8");
  BOOST_TEST(against(same, "\"token_dim\": 16, \"output_dim\": 16", "\"token_dim\": 8, \"output_dim\": 8") ==
             "\"c.json\": token_dim: expected 16" + compiled + "8");
  BOOST_TEST(against(same, "\"input_dim\": 12", "\"input_dim\": 13") ==
             "\"c.json\": input_dim: expected 12" + compiled + "13");
  BOOST_TEST(against(same, "\"dim_accumulation\": 2", "\"dim_accumulation\": 4") ==
             "\"c.json\": dim_accumulation: expected 2" + compiled + "4");
  BOOST_TEST(against(same, "\"d_model\": 48", "\"d_model\": 64") == "\"c.json\": d_model: expected 48" + compiled + "64");
  BOOST_TEST(against(same, "\"head_dim\": 8", "\"head_dim\": 16") == "\"c.json\": head_dim: expected 8" + compiled + "16");
  BOOST_TEST(against(same, "\"num_base_model_layers\": 3", "\"num_base_model_layers\": 4") ==
             "\"c.json\": num_base_model_layers: expected 3" + compiled + "4");
  BOOST_TEST(against(same, "\"num_pg_layers\": 2", "\"num_pg_layers\": 1") ==
             "\"c.json\": num_pg_layers: expected 2" + compiled + "1");
  BOOST_TEST(against(same, "\"lora_B_dim\": 48", "\"lora_B_dim\": 40") ==
             "\"c.json\": pg_mapping: expected as module 0 \"z.first\", 16 to 48" + compiled + "\"z.first\", 16 to 40");
  BOOST_TEST(against(same, "\"num_experts\": 3", "\"num_experts\": 2") ==
             "\"c.json\": pg_mapping: expected as module 1 \"a.experts.w2\", 16 to 32, 3 experts" + compiled +
                 "\"a.experts.w2\", 16 to 32, 2 experts");
  BOOST_TEST(contains(against(same, "\"w1\"", "\"w3\""), "as module 2 \"a.experts.w1\""));
  BOOST_TEST(against(same, "\"z.first\":", "\"new\": {\"lora_A_dim\": 1, \"lora_B_dim\": 1}, \"z.first\":") ==
             "\"c.json\": pg_mapping: expected as module 0 \"z.first\", 16 to 48" + compiled + "\"new\", 1 to 1");
  using Fewer = GeneratorOf<wu::AdaptedLayers<3, wu::Adapted<"z.first", 16, 48>>, 48, 4, 2>;
  BOOST_TEST(contains(against(std::type_identity<Fewer>{}),
                      "pg_mapping: expected no module beyond the first 1, for which this program is "
                      "compiled, found \"a.experts.w2\", 16 to 32, 3 experts"));
  using More =
      GeneratorOf<wu::AdaptedLayers<3, wu::Adapted<"z.first", 16, 48>,
                                    wu::AdaptedExperts<"a.experts", 3, wu::Adapted<"w2", 16, 32>, wu::Adapted<"w1", 32, 16>>,
                                    wu::Adapted<"last", 1, 1>>,
                  48, 4, 2>;
  BOOST_TEST(contains(against(std::type_identity<More>{}), "pg_mapping: expected 4" + compiled + "3"));
}

BOOST_AUTO_TEST_SUITE_END()
