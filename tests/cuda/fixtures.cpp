// The generator on the GPU against numbers made elsewhere (tests/fixtures/generator), in float64: tokens, and the gradients of the
// condition and of every weight.
#include "support.hpp"

#include "wu/generator/generator.hpp"
#include "wu/io/parameters.hpp"

namespace {

using namespace wu;

using Dense = Generator<Tokenizer<4, 16>::of<AdaptedLayers<3, Adapted<"attn.qkv", 16, 48>, Adapted<"attn.out", 16, 16>,
                                                           Adapted<"mlp.up", 16, 64>, Adapted<"mlp.down", 64, 16>>>,
                        Width<16>, HeadWidth<8>, Blocks<2>, JoinedRanks<1>, ConditionWidth<12>>;
constexpr double tolerance = 1e-9;

std::vector<double> values(const io::SafeTensors& file, const std::string& name) {
  std::vector<double> all(static_cast<std::size_t>(file.at(name).count()));
  io::read_into(file.at(name), std::span<double>(all));
  return all;
}
Buffer<double> on_gpu(const std::vector<double>& from) {
  Buffer<double> to(std::ssize(from), memory_of(test::gpu()));
  test::put(to, from);
  return to;
}

}  // namespace

BOOST_AUTO_TEST_CASE(generator_against_numbers_made_elsewhere) {
  auto& gpu = test::gpu();
  const std::string folder = std::string(WU_TEST_DATA) + "/generator/dense/";
  const auto expected = io::SafeTensors::open(folder + "expected.safetensors");
  Weights<Dense, double> here;
  io::load_parameters(io::SafeTensors::open(folder + "model.safetensors"), here.view());
  const auto weights = here.in(memory_of(gpu));
  Weights<Dense, double> gradients(memory_of(gpu));
  const Index batch = expected.at("condition").shape[0], length = expected.at("condition").shape[1];
  const auto condition = on_gpu(values(expected, "condition")), cotangent = on_gpu(values(expected, "cotangent"));
  Buffer<double> tokens(cotangent.size(), memory_of(gpu)), dcondition(condition.size(), memory_of(gpu));
  Workspace ws(0, memory_of(gpu));
  const auto saved =
      Dense::forward<double>(gpu, ws, {tokens.data(), batch},
                             View<const double, dyn, dyn, Dense::input>(condition.data(), batch, length), weights.view());
  Dense::backward<double>(gpu, ws, View<double, dyn, dyn, Dense::input>(dcondition.data(), batch, length), gradients.view(),
                          {cotangent.data(), batch}, saved, weights.view());
  gpu.synchronise();
  BOOST_CHECK_LE(test::relative_error(test::fetch(tokens), values(expected, "tokens")), tolerance);
  BOOST_CHECK_LE(test::relative_error(test::fetch(dcondition), values(expected, "grad.condition")), tolerance);
  auto found = gradients.in(nullptr);
  auto views = found.view();
  int compared = 0;
  for_each_parameter(views, [&](std::string_view name, auto& view) {
    const auto numbers = values(expected, std::string("grad.").append(name));
    const double error = test::relative_error(std::span<const double>(view.data, numbers.size()), numbers);
    BOOST_CHECK_MESSAGE(error <= tolerance, "grad." << name << " is off by " << error);
    ++compared;
  });
  BOOST_CHECK_GT(compared, 40);
}
