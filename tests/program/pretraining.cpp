// What a pre-training leaves behind when it comes to its end and when it is stopped, and that neither going on nor beginning
// anew loses what was learned.
#include <boost/test/unit_test.hpp>

#include "program.hpp"

namespace {

constexpr int steps = 6;

Arguments pretrain_arguments(const fs::path& out) {
  return {"pretrain",
          "--photos",
          Pictures::get().photos,
          "--out",
          out,
          "--steps",
          std::to_string(steps),
          "--batch",
          "2",
          "--seed",
          "3",
          "--rate",
          "0.0023456789012345",
          "--threads",
          "2"};
}

Arguments resumed(Arguments arguments) {
  arguments.emplace_back("--resume");
  return arguments;
}

/// A pre-training that was ended by Ctrl-C, and one that nothing disturbed.
struct Interrupted {
  Scratch scratch;
  fs::path out = scratch / "stopped.safetensors", whole = scratch / "whole.safetensors",
           checkpoint = out.string() + ".checkpoint";
  Ended ended;

  Interrupted() {
    check_done(wu_edit(pretrain_arguments(whole)));
    // The signal may come too late, when the last step is done: that is no fault, but nothing to test either.
    for (int attempt = 0; attempt < 10 && ended.code == 0; ++attempt) {
      fs::remove(out);
      Program program(pretrain_arguments(out));
      if (program.says("step 1/")) program.interrupt();
      ended = program.end();
    }
    check_gave_up(ended, {"stopped", checkpoint.string(), "--resume"}, 130);
    BOOST_TEST_REQUIRE(fs::exists(checkpoint));
    BOOST_TEST(!fs::exists(out));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(pretraining)

BOOST_AUTO_TEST_CASE(stopping_and_resuming_gives_the_same_backbone_bit_for_bit) {
  const Interrupted stopped;
  check_done(wu_edit(resumed(pretrain_arguments(stopped.out))));
  check_same_tensors(stopped.out, stopped.whole);
  BOOST_TEST(!fs::exists(stopped.checkpoint));
}

BOOST_AUTO_TEST_CASE(a_new_pretraining_puts_the_checkpoint_of_a_stopped_one_aside) {
  const Interrupted stopped;
  const std::string before = bytes_of(stopped.checkpoint);
  check_done(wu_edit(pretrain_arguments(stopped.out)));
  BOOST_TEST((bytes_of(stopped.checkpoint.string() + ".old") == before));
  check_same_tensors(stopped.out, stopped.whole);
}

BOOST_AUTO_TEST_CASE(a_pretraining_goes_on_with_its_own_settings_alone) {
  const Interrupted stopped;
  const auto before = contents(stopped.scratch.folder);
  for (const auto& [option, value] : {std::pair{"--seed", "4"}, {"--rate", "0.002"}, {"--batch", "3"}})
    check_refused(wu_edit(resumed(with(pretrain_arguments(stopped.out), option, value))),
                  {stopped.checkpoint.string(), std::string_view(option).substr(2), value});
  BOOST_TEST((contents(stopped.scratch.folder) == before));
}

BOOST_AUTO_TEST_SUITE_END()
