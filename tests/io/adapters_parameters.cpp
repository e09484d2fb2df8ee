// PEFT's adapters of parameters that hold all experts: both ways to store them, and which parameter is which.
#include <boost/test/unit_test.hpp>

#include <sys/stat.h>

#include <string>
#include <vector>

#include "adapters_support.hpp"
#include "wu/io/load_adapters.hpp"

using namespace wu::io;
using wu::Index;
using wu::test::check_same_updates;
using wu::test::Folder;
using wu::test::some_adapter;

namespace {

/// A folder of PEFT with adapters of parameters, written by the definition of their layout.
struct Peft {
  Folder folder;
  std::vector<TensorToSave> tensors;

  /// exchanged: for a parameter (experts, out, in) that was taken as (experts, in, out).
  void add(const Adapter<double>& a, const std::string& module, bool exchanged) {
    const auto size = [](Index n) { return static_cast<std::size_t>(n); };
    const Index in = exchanged ? a.out : a.in, out = exchanged ? a.in : a.out, E = a.experts, r = a.rank;
    std::vector<double> A(size(r * E * in)), B(size(out * r * E));
    for (Index e = 0; e < E; ++e)
      for (Index k = 0; k < r; ++k) {
        const auto own_A = [&](Index i) { return a.A[size((e * r + k) * a.in + i)]; };
        const auto own_B = [&](Index o) { return a.B[size((e * a.out + o) * r + k)]; };
        for (Index i = 0; i < in; ++i) A[size((e * r + k) * in + i)] = exchanged ? own_B(i) : own_A(i);
        for (Index o = 0; o < out; ++o) B[size((o * r + k) * E + e)] = exchanged ? own_A(o) : own_B(o);
      }
    const std::string name = "base_model.model." + module;
    tensors.push_back(tensor_to_save_as(DType::F64, name + ".lora_A.weight", {r * E, in}, A));
    tensors.push_back(tensor_to_save_as(DType::F64, name + ".lora_B.weight", {out, r * E}, B));
  }

  Adapters<double> load(const std::string& members, const std::vector<ExpertParameter>& parameters) const {
    ::mkdir((folder / "a").c_str(), 0700);
    save_safetensors(folder / "a/adapter_model.safetensors", tensors);
    wu::test::write_text(folder / "a/adapter_config.json", "{\"peft_type\": \"LORA\", " + members + "}");
    return load_adapters<double>(folder / "a", {.parameters = parameters}).adapters;
  }
};

const std::string both = R"("r": 2, "lora_alpha": 3, "alpha_pattern": {"experts.down": 5},
                            "target_parameters": ["experts.up", "l.0.experts.down"])";
const std::vector<ExpertParameter> known{{"l.0.experts.up", 3, 5, 8}, {"l.0.experts.down", 3, 4, 5}};

}  // namespace

BOOST_AUTO_TEST_SUITE(adapters_parameters)

BOOST_AUTO_TEST_CASE(one_pair_for_all_experts) {
  const Adapters<double> adapters{some_adapter("l.0.experts.up", 5, 8, 2, 1.5, 1, 3),
                                  some_adapter("l.0.experts.down", 4, 5, 2, 2.5, 2, 3)};
  for (const bool exchanged : {false, true})
    for (const bool up_first : {false, true}) {
      Peft peft;
      peft.add(adapters[up_first ? 0 : 1], "l.0.experts", exchanged);
      peft.add(adapters[up_first ? 1 : 0], "l.0.experts.base_layer", exchanged);
      check_same_updates(peft.load(both, known), adapters);
    }
}

BOOST_AUTO_TEST_CASE(beside_linear_layers) {
  Peft peft;
  const auto up = some_adapter("l.0.experts.up", 5, 8, 2, 1.5, 1, 3), plain = some_adapter("l.0.attn", 5, 4, 2, 1.5, 2);
  peft.add(up, "l.0.experts", false);
  peft.tensors.push_back(tensor_to_save("base_model.model.l.0.attn.lora_A.weight", {2, 5}, plain.A));
  peft.tensors.push_back(tensor_to_save("base_model.model.l.0.attn.lora_B.weight", {4, 2}, plain.B));
  check_same_updates<double, double>(peft.load(both + R"(, "target_modules": ["attn"])", known), {up, plain});
}

BOOST_AUTO_TEST_CASE(a_square_parameter_needs_a_word) {
  const auto square = some_adapter("l.0.experts.up", 5, 5, 2, 1.5, 1, 3);
  for (const bool exchanged : {false, true}) {
    Peft peft;
    peft.add(square, "l.0.experts", exchanged);
    WU_CHECK_FILE_ERROR(peft.load(both, {{"l.0.experts.up", 3, 5, 5}}), "found 5 to 5, which fit several");
    check_same_updates<double, double>(peft.load(both, {{"l.0.experts.up", 3, 5, 5, exchanged}}), {square});
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  Peft peft;
  peft.add(some_adapter("l.0.experts.up", 5, 8, 2, 1.5, 1, 3), "l.0.experts", false);
  WU_CHECK_FILE_ERROR(peft.load(both, {}), "found adapters of expert parameters (target_parameters)");
  WU_CHECK_FILE_ERROR(peft.load(both, {{"l.0.experts.up", 3, 6, 8}}), "found 5 to 8, which fit none");
  WU_CHECK_FILE_ERROR(peft.load(both, {{"l.0.experts.up", 4, 5, 8}}), "expected a multiple of 4 rows");
  WU_CHECK_FILE_ERROR(peft.load(both, {{"l.0.experts.up", 6, 5, 8}}), "expected rank 2 of \"l.0.experts.up\"");
  WU_CHECK_FILE_ERROR(peft.load(both, {{"l.0.experts.up", 0, 5, 8}}), "expected a multiple of 0 rows");
  WU_CHECK_FILE_ERROR(peft.load(R"("r": 2, "target_parameters": ["experts.down"])", known),
                      "expected a parameter that the configuration names, found \"l.0.experts.up\"");
  Peft deeper;
  deeper.add(some_adapter("l.0.experts.up", 5, 8, 2, 1.5, 1, 3), "l.0.experts.base_layer", false);
  WU_CHECK_FILE_ERROR(deeper.load("\"r\": 2", {}), "found an adapter of an expert parameter");
  Peft twice;
  twice.add(some_adapter("l.0.experts.up", 5, 8, 2, 1.5, 1, 3), "l.0.experts", false);
  twice.add(some_adapter("l.0.experts.up", 5, 8, 2, 1.5, 2, 3), "l.0.experts.base_layer", false);
  WU_CHECK_FILE_ERROR(twice.load(both, known), "expected each parameter once, found \"l.0.experts.up\" twice");
}

BOOST_AUTO_TEST_SUITE_END()
