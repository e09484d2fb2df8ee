// Norm and effective rank of updates, against the product B A formed whole and its singular values by another method.
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>

#include <Eigen/Core>
#include <Eigen/SVD>

#include "inspect.hpp"
#include "wu/core/random.hpp"

using namespace wu::io;

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Shape = std::vector<std::int64_t>;

std::vector<double> random_values(std::size_t count, const char* what) {
  wu::Random random(11, what);
  std::vector<double> values(count);
  for (double& value : values) value = random.normal();
  return values;
}

Matrix as_matrix(const std::vector<double>& values, std::int64_t rows, std::size_t from = 0, std::size_t count = 0) {
  count = count == 0 ? values.size() - from : count;
  return Eigen::Map<const Matrix>(values.data() + from, rows, static_cast<std::int64_t>(count) / rows);
}

struct Expected {
  double norm = 0, effective_rank = 0;
};
Expected expected_of(const Matrix& update) {
  const Eigen::VectorXd values = Eigen::JacobiSVD<Matrix>(update).singularValues();
  double entropy = 0;
  for (const double value : values)
    if (value > 1e-12 * values[0]) entropy -= value / values.sum() * std::log(value / values.sum());
  return {update.norm(), std::exp(entropy)};
}

const Json& module(const Json& json, const std::string& name) {
  return one_of(at(json, "adapters", "modules"), "module", name);
}

void check_module(const Json& json, const std::string& name, const Matrix& update, double scale) {
  BOOST_TEST_CONTEXT(name) {
    const Json& one = module(json, name);
    const Expected expected = expected_of(update);
    BOOST_TEST(number_at(one, "scale") == scale, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(number_at(one, "norm") == std::abs(scale) * expected.norm, boost::test_tools::tolerance(1e-10));
    BOOST_TEST(number_at(one, "effective_rank") == expected.effective_rank, boost::test_tools::tolerance(1e-5));
    BOOST_TEST(number_at(one, "out") == static_cast<double>(update.rows()));
    BOOST_TEST(number_at(one, "in") == static_cast<double>(update.cols()));
  }
}

std::string why_not(const Json& json, const std::string& name) {
  for (const Json& one : at(json, "adapters", "not_measured").elements)
    if (at(one, "module").text == name) return at(one, "why").text;
  return "it was measured";
}

/// A (3, 7) and B (5, 3), for every spelling.
const std::vector<double> A = random_values(21, "A"), B = random_values(15, "B");
const Matrix update = as_matrix(B, 5) * as_matrix(A, 3);

}  // namespace

BOOST_AUTO_TEST_SUITE(adapters)

BOOST_AUTO_TEST_CASE(every_spelling_is_known) {
  const Scratch scratch;
  const std::string file = (scratch / "f.safetensors").string();
  const std::vector<double> alpha{12}, none{0}, kernel = random_values(3 * 2 * 9, "kernel"), bias(5);
  save_safetensors(
      file,
      {tensor_to_save("base_model.model.peft.lora_A.weight", {3, 7}, A),
       tensor_to_save("base_model.model.peft.lora_B.weight", {5, 3}, B),
       tensor_to_save("base_model.model.peft.lora_B.bias", {5}, bias),
       tensor_to_save("named.lora_A.default.weight", {3, 7}, A), tensor_to_save("named.lora_B.default.weight", {5, 3}, B),
       tensor_to_save("lora_unet_kohya.lora_down.weight", {3, 7}, A),
       tensor_to_save("lora_unet_kohya.lora_up.weight", {5, 3}, B), tensor_to_save("lora_unet_kohya.alpha", {}, alpha),
       tensor_to_save("zero.lora_down.weight", {3, 7}, A), tensor_to_save("zero.lora_up.weight", {5, 3}, B),
       tensor_to_save("zero.alpha", {1}, none), tensor_to_save("conv.lora_down.weight", {3, 2, 3, 3}, kernel),
       tensor_to_save("conv.lora_up.weight", {5, 3, 1, 1}, B)});
  const Json json = json_of(file);
  check_module(json, "base_model.model.peft", update, 1);
  check_module(json, "named", update, 1);
  check_module(json, "lora_unet_kohya", update, 4);
  check_module(json, "zero", update, 1);
  check_module(json, "conv", as_matrix(B, 5) * as_matrix(kernel, 3), 1);
  BOOST_TEST(at(json, "adapters", "modules").elements.size() == 5u);
  BOOST_TEST(at(json, "adapters", "not_measured").elements.size() == 1u);
  BOOST_TEST(why_not(json, "base_model.model.peft.lora_B.bias") == "a bias of the adapter");
  BOOST_TEST(at(json, "adapters", "scale_from").text == "alpha / rank, alpha from the file");
  const std::string table = table_of(file);
  BOOST_TEST((table.find("eff. rank") != std::string::npos), table);
  BOOST_TEST((table.find("5 updates, norm of all") != std::string::npos), table);
}

BOOST_AUTO_TEST_CASE(generated_adapters_have_a_batch_and_experts) {
  const Scratch scratch;
  const std::vector<double> a = random_values(2 * 3 * 21, "experts A"), b = random_values(2 * 3 * 15, "experts B"), scale{4};
  save_safetensors(
      (scratch / "one.safetensors").string(),
      {tensor_to_save("model.layers.0.q.lora_A", {1, 3, 7}, A), tensor_to_save("model.layers.0.q.lora_B", {1, 5, 3}, B),
       tensor_to_save("model.layers.0.w1.lora_A", {2, 3, 3, 7}, a),
       tensor_to_save("model.layers.0.w1.lora_B", {2, 3, 5, 3}, b), tensor_to_save("scale", {}, scale)});
  const Json json = json_of(scratch.folder);
  check_module(json, "model.layers.0.q", update, 4);
  for (std::size_t k = 0; k < 6; ++k)
    check_module(json, "model.layers.0.w1 [" + std::to_string(k / 3) + ", " + std::to_string(k % 3) + "]",
                 as_matrix(b, 5, k * 15, 15) * as_matrix(a, 3, k * 21, 21), 4);
  BOOST_TEST(at(json, "adapters", "modules").elements.size() == 7u);
}

BOOST_AUTO_TEST_CASE(peft_says_alpha_in_its_configuration) {
  const Scratch scratch;
  save_safetensors((scratch / "adapter_model.safetensors").string(),
                   {tensor_to_save("m.lora_A.weight", {3, 7}, A), tensor_to_save("m.lora_B.weight", {5, 3}, B)});
  const auto config = [&](const std::string& text) { std::ofstream(scratch / "adapter_config.json") << text; };
  config(R"({"peft_type": "LORA", "r": 3, "lora_alpha": 6})");
  for (const auto& path : {scratch.folder, scratch / "adapter_model.safetensors"})
    check_module(json_of(path), "m", update, 2);
  config(R"({"peft_type": "LORA", "r": 3, "lora_alpha": 6, "use_rslora": true})");
  check_module(json_of(scratch.folder), "m", update, 6 / std::sqrt(3.));
  config(R"({"peft_type": "LORA", "r": 8, "lora_alpha": 6, "rank_pattern": {"m": 3}, "alpha_pattern": {"m": 9}})");
  check_module(json_of(scratch.folder), "m", update, 3);
  // What the configuration contradicts is not measured; a configuration that is no JSON is a broken file.
  const auto says = [](const std::string& why, const std::string& phrase) {
    BOOST_TEST((why.find(phrase) != std::string::npos), why);
  };
  config(R"({"peft_type": "LORA", "r": 4, "lora_alpha": 6})");
  says(why_not(json_of(scratch.folder), "m"), "expected rank 4 of \"m\", as the configuration says, found 3");
  config(R"({"peft_type": "LORA", "r": 3, "lora_alpha": "six"})");
  says(why_not(json_of(scratch.folder), "all of them"), "lora_alpha");
  config("{");
  check_refused(wu_inspect({scratch.folder.string()}), "adapter_config.json");
}

BOOST_AUTO_TEST_CASE(diffusers_says_alpha_in_the_metadata) {
  const Scratch scratch;
  save_safetensors(
      (scratch / "pytorch_lora_weights.safetensors").string(),
      {tensor_to_save("transformer.m.lora_A.weight", {3, 7}, A), tensor_to_save("transformer.m.lora_B.weight", {5, 3}, B)},
      {{"lora_adapter_metadata", R"({"transformer.r": 3, "transformer.lora_alpha": 12})"}});
  check_module(json_of(scratch.folder), "transformer.m", update, 4);
}

BOOST_AUTO_TEST_CASE(effective_rank_counts_directions) {
  const Scratch scratch;
  const auto effective = [&](const std::vector<double>& a, const std::vector<double>& b) {
    save_safetensors((scratch / "f.safetensors").string(),
                     {tensor_to_save("m.lora_A.weight", {3, 4}, a), tensor_to_save("m.lora_B.weight", {3, 3}, b)});
    const Json json = json_of(scratch / "f.safetensors");
    return number_at(module(json, "m"), "effective_rank");
  };
  const std::vector<double> rows{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}, same{1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4};
  const std::vector<double> identity{1, 0, 0, 0, 1, 0, 0, 0, 1}, two{1, 0, 0, 0, 1, 0, 0, 0, 0}, zero(9);
  const auto close = boost::test_tools::tolerance(1e-6);
  BOOST_TEST(effective(rows, identity) == 3., close);
  BOOST_TEST(effective(rows, two) == 2., close);
  BOOST_TEST(effective(same, identity) == 1., close);
  BOOST_TEST(effective(rows, zero) == 0.);
  // Singular values 3 and 1: entropy of 3/4 and 1/4.
  BOOST_TEST(effective(rows, {3, 0, 0, 0, 1, 0, 0, 0, 0}) == std::exp(-0.75 * std::log(0.75) - 0.25 * std::log(0.25)),
             close);
  // Far out of the range of squares.
  BOOST_TEST(effective({1e200, 0, 0, 0, 0, 1e200, 0, 0, 0, 0, 0, 0}, {1e-200, 0, 0, 0, 1e-200, 0, 0, 0, 1e-200}) == 2.,
             close);
}

BOOST_AUTO_TEST_CASE(what_is_no_pair_is_said_and_the_rest_measured) {
  const Scratch scratch;
  std::vector<double> broken = A;
  broken[4] = std::nan("");
  const std::vector<double> two{1, 2}, minus{-1};
  const bool flags[15] = {};
  save_safetensors((scratch / "f.safetensors").string(), {tensor_to_save("good.lora_A.weight", {3, 7}, A),
                                                          tensor_to_save("good.lora_B.weight", {5, 3}, B),
                                                          tensor_to_save("a.lora_A.weight", {3, 7}, A),
                                                          tensor_to_save("b.lora_B.weight", {5, 3}, B),
                                                          tensor_to_save("ranks.lora_A.weight", {7, 3}, A),
                                                          tensor_to_save("ranks.lora_B.weight", {5, 3}, B),
                                                          tensor_to_save("flat.lora_A.weight", {21}, A),
                                                          tensor_to_save("flat.lora_B.weight", {5, 3}, B),
                                                          tensor_to_save("two.lora_A.weight", {3, 7}, A),
                                                          tensor_to_save("two.lora_down.weight", {3, 7}, A),
                                                          tensor_to_save("two.lora_B.weight", {5, 3}, B),
                                                          tensor_to_save("type.lora_A.weight", {3, 7}, A),
                                                          tensor_to_save("type.lora_B.weight", {5, 3}, std::span(flags)),
                                                          tensor_to_save("alpha.lora_A.weight", {3, 7}, A),
                                                          tensor_to_save("alpha.lora_B.weight", {5, 3}, B),
                                                          tensor_to_save("alpha.alpha", {2}, two),
                                                          tensor_to_save("minus.lora_A.weight", {3, 7}, A),
                                                          tensor_to_save("minus.lora_B.weight", {5, 3}, B),
                                                          tensor_to_save("minus.alpha", {}, minus),
                                                          tensor_to_save("nan.lora_A.weight", {3, 7}, broken),
                                                          tensor_to_save("nan.lora_B.weight", {5, 3}, B)});
  const Json json = json_of(scratch / "f.safetensors");
  check_module(json, "good", update, 1);
  BOOST_TEST(why_not(json, "a") == "expected A and B, found A alone");
  BOOST_TEST(why_not(json, "b") == "expected A and B, found B alone");
  BOOST_TEST(why_not(json, "ranks") == "expected A (rank, in) and B (out, rank), found [7, 3] and [5, 3]");
  BOOST_TEST(why_not(json, "flat") == "expected A (rank, in) and B (out, rank), found [21] and [5, 3]");
  BOOST_TEST(why_not(json, "two") == "expected one A and one B, found two of a kind");
  BOOST_TEST(why_not(json, "type") == "expected types that can be read as numbers, found A of F64 and B of BOOL");
  BOOST_TEST(why_not(json, "alpha") == "expected one number from 0 on as alpha, found another");
  BOOST_TEST(why_not(json, "minus") == "expected one number from 0 on as alpha, found another");
  BOOST_TEST(at(module(json, "nan"), "norm").is(Json::Kind::null));
  BOOST_TEST(at(module(json, "nan"), "effective_rank").is(Json::Kind::null));
  const std::string table = table_of(scratch / "f.safetensors");
  BOOST_TEST((table.find("not measured: a: expected A and B, found A alone\n") != std::string::npos), table);
}

BOOST_AUTO_TEST_SUITE_END()
