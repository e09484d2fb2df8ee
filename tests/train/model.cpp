// train/model.hpp: a trained module, its file, and the adapters that it writes.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "io/support.hpp"
#include "support/gradient_check.hpp"
#include "wu/generator/generator.hpp"
#include "wu/io/mapped_parameters.hpp"
#include "wu/train/model.hpp"

namespace {

using namespace wu;

using Shape = AdaptedLayers<2, Adapted<"up", 4, 6>, Adapted<"down", 6, 4>>;
using Tokens = Tokenizer<2, 3>::of<Shape>;
using Writer = wu::Generator<Tokens, Width<8>, HeadWidth<4>, Blocks<1>, JoinedRanks<2>, ConditionWidth<5>>;

Weights<Writer, float> random_generator() {
  Weights<Writer, float> weights;
  Writer::initialise<float>(weights.view(), 3);
  fill_normal(weights.view().proj_out_B.weight, 3, "B", 0.5);
  return weights;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_model_that_was_saved_and_loaded_writes_the_same_adapters) {
  const test::Folder folder;
  const std::string path = folder / "model.safetensors";
  reference ctx;
  Tensor<float, dyn, dyn, 5> condition(3, 2);
  fill_normal(condition.view(), 1, "condition", 1);

  Model<Writer, float> model(random_generator());
  const Tokens::Owned<float> written = model.forward(ctx, condition);
  BOOST_CHECK_EQUAL(written.extent(0), 3);
  Workspace ws;
  Tokens::Owned<float> expected(3);
  Writer::forward<float>(ctx, ws, expected, condition, model.weights.frozen());
  BOOST_CHECK(same_bits(written.span(), expected.span()));
  BOOST_CHECK(!same_bits(written.span().subspan(0, Tokens::values), written.span().subspan(Tokens::values, Tokens::values)));

  model.save(path, {{"what", "a generator"}});
  auto loaded = Model<Writer, float>::load(path);
  BOOST_CHECK(same_bits(loaded.weights.flat(), model.weights.flat()));
  BOOST_CHECK(same_bits(loaded.forward(ctx, condition).span(), written.span()));
  BOOST_CHECK(same_bits(loaded.forward(ctx, condition).span(), written.span()));  // the workspace's second use
  const auto prefix = Writer::prefix<float>(ctx, ws, loaded.weights.frozen());
  BOOST_CHECK(same_bits(loaded.forward(ctx, condition, prefix).span(), written.span()));
  BOOST_CHECK_EQUAL(io::SafeTensors::open(path).metadata().at("what"), "a generator");
  BOOST_CHECK(same_bits(Model<Writer, float>::load(folder.path()).weights.flat(), model.weights.flat()));
}

BOOST_AUTO_TEST_CASE(weights_that_stay_in_their_file_write_the_same_adapters) {
  const test::Folder folder;
  reference ctx;
  Workspace ws;
  const auto check = [&]<class T>(const Weights<Writer, T>& weights) {
    io::save_safetensors(folder / "model.safetensors", io::to_tensors(weights.view()));
    const auto mapped =
        io::map_parameters<typename Writer::template Parameters<const T>>(io::Checkpoint::open(folder.path()));
    BOOST_TEST(mapped.copied_bytes() == 0u);
    Tensor<T, dyn, dyn, 5> condition(3, 2);
    fill_normal(condition.view(), 1, "condition", 1);
    Tokens::Owned<T> in_memory(3), from_file(3);
    Writer::template forward<T>(ctx, ws, in_memory, condition, weights.view());
    Writer::template forward<T>(ctx, ws, from_file, condition, mapped.view());
    BOOST_CHECK(std::memcmp(in_memory.data(), from_file.data(), in_memory.span().size_bytes()) == 0);
  };
  const Weights<Writer, float> weights = random_generator();
  Weights<Writer, bfloat16> rounded;
  std::copy(weights.flat().begin(), weights.flat().end(), rounded.flat().begin());
  check(weights);
  check(std::as_const(rounded));
}

BOOST_AUTO_TEST_CASE(one_requests_adapters_have_a_file_too) {
  const test::Folder folder;
  Model<Tokens, float> adapters;
  Tokens::initialise<float>(adapters.weights.view(), 1);
  adapters.save(folder / "adapters.safetensors");
  const auto loaded = Model<Tokens, float>::load(folder / "adapters.safetensors");
  BOOST_CHECK(same_bits(loaded.weights.flat(), adapters.weights.flat()));
}

BOOST_AUTO_TEST_CASE(a_file_may_hold_a_model_among_others) {
  const test::Folder folder;
  const std::string path = folder / "both.safetensors";
  const auto generator = random_generator();
  Weights<Linear<2, 3>, float> encoder;
  auto tensors = io::to_tensors(generator.frozen(), "generator.");
  for (auto& tensor : io::to_tensors(encoder.frozen(), "encoder.")) tensors.push_back(tensor);
  io::save_safetensors(path, tensors);
  const auto loaded = Model<Writer, float>::load(path, "generator.");
  BOOST_CHECK(same_bits(loaded.weights.flat(), generator.flat()));
  BOOST_CHECK_THROW((Model<Writer, float>::load(path)), FileError);
  BOOST_CHECK_THROW((Model<Writer, float>::load(folder / "none.safetensors")), FileError);
}

BOOST_AUTO_TEST_CASE(weights_that_are_not_finite_are_not_saved) {
  const test::Folder folder;
  const std::string path = folder / "linear.safetensors";
  Model<Linear<2, 3>, float> model;
  model.weights.view().bias[1] = 7;
  model.save(path);
  model.weights.view().bias[2] = std::numeric_limits<float>::quiet_NaN();
  BOOST_CHECK_EXCEPTION(model.save(path), NonFiniteError, [](const NonFiniteError& e) {
    return std::string(e.what()) == "model: expected finite weights to save, found nan in bias";
  });
  BOOST_CHECK_EQUAL((Model<Linear<2, 3>, float>::load(path).weights.view().bias[1]), 7);  // the old file is still there
}
