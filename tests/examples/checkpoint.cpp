// edit/checkpoint.hpp: a run goes to its file and comes back, with a moving average and without one.
#include "scratch.hpp"

#include <algorithm>

#include "edit/checkpoint.hpp"
#include "wu/nn/linear.hpp"

namespace {

using Module = wu::Linear<3, 2>;
using Run = wu::train::Training<Module, float>;

Run some_run(bool averaged) {
  Run run;
  if (averaged) run.average.emplace();
  run.visit([](const std::string& what, auto& weights) {
    wu::Random random(1, what);
    auto p = weights.view();
    wu::for_each_parameter(p, [&](auto&&, const auto& view) {
      for (float& v : view) v = static_cast<float>(random.normal());
    });
  });
  run.step = 12;
  return run;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_checkpoint_gives_back_the_run_that_it_was_made_of) {
  const Scratch scratch;
  const auto path = scratch / "training.safetensors";
  for (const bool averaged : {false, true}) {
    Run run = some_run(averaged), loaded = some_run(!averaged);
    edit::save_checkpoint(path, run, {{"rate", "0.5"}});
    const edit::Facts facts = edit::load_checkpoint(path, loaded);
    BOOST_TEST(facts.at("rate") == "0.5");
    BOOST_TEST(loaded.step == 12);
    BOOST_TEST(loaded.average.has_value() == averaged);
    std::vector<std::vector<float>> expected, found;
    run.visit([&](auto&&, auto& weights) { expected.emplace_back(weights.flat().begin(), weights.flat().end()); });
    loaded.visit([&](auto&&, auto& weights) { found.emplace_back(weights.flat().begin(), weights.flat().end()); });
    BOOST_TEST(found.size() == (averaged ? 4u : 3u));
    BOOST_CHECK(found == expected);
  }
}

BOOST_AUTO_TEST_CASE(a_checkpoint_with_half_an_average_or_other_tensors_is_refused) {
  const Scratch scratch;
  const auto path = scratch / "training.safetensors";
  Run run = some_run(false);
  for (const std::string name : {"average.weight", "third.weight"}) {
    std::vector<wu::io::TensorToSave> tensors;
    run.visit([&](const std::string& what, auto& weights) {
      for (auto& tensor : wu::io::to_tensors(weights.view(), what + ".")) tensors.push_back(std::move(tensor));
    });
    tensors.push_back(tensors.front());
    tensors.back().name = name;
    wu::io::save_safetensors(path.string(), std::move(tensors), {{"steps done", "3"}});
    BOOST_CHECK_EXCEPTION(edit::load_checkpoint(path, run), wu::FileError,
                          says(name == "average.weight" ? "average.bias" : "found 'third.weight' too"));
    BOOST_TEST(run.step == 12);
  }
}
