// What a training leaves behind when it comes to its end, when it is stopped, and when the disk is full: nothing that was
// learned is lost, and going on gives what never stopping would have given, bit for bit.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <system_error>

#include "program.hpp"

namespace {

std::string metadata(const fs::path& file, const std::string& key) {
  const auto stored = wu::io::SafeTensors::open(file.string()).metadata();
  const auto found = stored.find(key);
  return found == stored.end() ? "" : found->second;
}

/// The stopped training, to go on with.
struct Copy {
  Scratch scratch;
  fs::path model = scratch / "model", checkpoint = model / "training.safetensors";
  Copy() { fs::copy(Stopped::get().model, model); }
};

void check_equals_undisturbed_training(const fs::path& model) {
  const fs::path expected = Trained::get().model / "generator.safetensors", found = model / "generator.safetensors";
  check_same_tensors(found, expected);
  for (const char* key : {"steps", "requests", "crops", "seed", "rate", "path", "photographs", "backbone hash"})
    BOOST_TEST(metadata(found, key) == metadata(expected, key), key);
  // Its curve is drawn over all steps by the report, so it has to begin with the first.
  const auto curve = metadata(found, "loss curve");
  BOOST_TEST(std::count(curve.begin(), curve.end(), ' ') == 199);
  BOOST_TEST(curve == metadata(expected, "loss curve"));
  check_same_tensors(model / "backbone.safetensors", backbone_file);
  BOOST_TEST(!fs::exists(model / "training.safetensors"));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(training)

BOOST_AUTO_TEST_CASE(a_training_leaves_a_generator_and_the_backbone_as_it_was) {
  const Trained& trained = Trained::get();
  check_done(trained.training);
  BOOST_TEST((trained.training.out.find("the backbone's") != std::string::npos), trained.training.out);
  BOOST_TEST((trained.training.err.find(wu::message("step ", training_steps, "/", training_steps)) != std::string::npos));
  check_same_tensors(trained.model / "backbone.safetensors", backbone_file);
  BOOST_TEST(metadata(trained.model / "backbone.safetensors", "path") == metadata(backbone_file, "path"));
  BOOST_TEST(metadata(trained.model / "generator.safetensors", "steps") == std::to_string(training_steps));
  BOOST_TEST(contents(trained.model).size() == 2u);  // no checkpoint, nothing half-written
}

BOOST_AUTO_TEST_CASE(ctrl_c_saves_the_training_and_says_how_to_go_on) {
  const Stopped& stopped = Stopped::get();
  const fs::path checkpoint = stopped.model / "training.safetensors";
  check_gave_up(stopped.training, {"stopped", checkpoint.string(), "--resume"}, 130);
  const int done = std::stoi(metadata(checkpoint, "steps done"));
  BOOST_TEST(done >= 1);
  BOOST_TEST(done < training_steps);
  BOOST_TEST((stopped.training.err.find(wu::message("after step ", done, " of ", training_steps)) != std::string::npos));
  // The model that was there before is still there, and nothing else is new.
  BOOST_TEST(bytes_of(stopped.model / "generator.safetensors") == Stopped::older_generator);
  BOOST_TEST(bytes_of(stopped.model / "backbone.safetensors") == Stopped::older_backbone);
  BOOST_TEST(contents(stopped.model).size() == 3u);
}

BOOST_AUTO_TEST_CASE(stopping_and_resuming_gives_the_same_generator_bit_for_bit) {
  const Copy copy;
  check_done(wu_edit(resume_arguments(copy.model)));
  check_equals_undisturbed_training(copy.model);
}

BOOST_AUTO_TEST_CASE(a_save_that_is_cut_short_leaves_the_checkpoint_to_resume_from) {
  const Copy copy;
  const auto before = contents(copy.model);
  {  // Stopped again, at once; now the checkpoint does not fit.
    Program program(resume_arguments(copy.model), /*largest_file*/ 1 << 20);
    BOOST_TEST(program.says("training "));
    program.interrupt();
    check_gave_up(program.end(), {"could not save", copy.model.string(), "File too large"});
    BOOST_TEST((contents(copy.model) == before));
  }
  // All steps are done, and the generator does not fit.
  check_gave_up(wu_edit(resume_arguments(copy.model), /*largest_file*/ 1 << 20),
                {"could not save", (copy.model / "generator.safetensors").string(), "File too large"});
  BOOST_TEST((contents(copy.model) == before));

  check_done(wu_edit(resume_arguments(copy.model)));
  check_equals_undisturbed_training(copy.model);
}

BOOST_AUTO_TEST_CASE(a_new_training_puts_the_checkpoint_of_a_stopped_one_aside) {
  const Copy copy;
  const std::string before = bytes_of(copy.checkpoint);
  check_done(wu_edit(train_arguments(copy.model)));
  BOOST_TEST(bytes_of(copy.checkpoint.string() + ".old") == before);
  check_equals_undisturbed_training(copy.model);
}

BOOST_AUTO_TEST_CASE(a_model_that_cannot_be_written_after_the_last_step_stays_in_the_checkpoint) {
  // What is in the way has to come after the program looked for it and before it saves; where it comes too late, once more.
  for (int attempt = 0; attempt < 10; ++attempt) {
    const Copy copy;
    const fs::path generator = copy.model / "generator.safetensors";
    Program program(resume_arguments(copy.model));
    BOOST_TEST_REQUIRE(program.says("training "));
    std::error_code too_late;
    fs::remove(generator, too_late);
    fs::create_directory(generator, too_late);
    const Ended ended = program.end();
    if (ended.code == 0) continue;

    check_gave_up(ended, {generator.string(), "found a folder of that name"});
    BOOST_TEST(metadata(copy.checkpoint, "steps done") == std::to_string(training_steps));
    fs::remove(generator);
    check_done(wu_edit(resume_arguments(copy.model)));  // with no step left to do
    check_equals_undisturbed_training(copy.model);
    return;
  }
  BOOST_ERROR("the program always came to its end too early, so this checks nothing");
}

BOOST_AUTO_TEST_CASE(without_a_checkpoint_there_is_nothing_to_resume) {
  const Scratch scratch;
  check_refused(wu_edit(resume_arguments(scratch / "model")), {"training.safetensors", "No such file or directory"});
  BOOST_TEST(scratch.entries() == 0);
}

BOOST_AUTO_TEST_CASE(a_training_is_not_resumed_with_other_pictures_or_on_another_backbone) {
  const Copy copy;
  const Scratch others;
  fs::copy(Pictures::get().photos, others / "photos");
  fs::remove(others / "photos/2.png");
  save_with_another_value(backbone_file, others / "backbone.safetensors");
  const auto before = contents(copy.model);
  const Arguments resume = resume_arguments(copy.model);
  check_refused(wu_edit(with(resume, "--photos", others / "photos")), {copy.checkpoint.string(), "other pictures"});
  check_refused(wu_edit(with(resume, "--backbone", others / "backbone.safetensors")),
                {copy.checkpoint.string(), "another backbone", (others / "backbone.safetensors").string()});
  BOOST_TEST((contents(copy.model) == before));
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_another_shape_or_with_nonsense_in_it_is_not_resumed) {
  const Copy copy;
  const fs::path good = Stopped::get().model / "training.safetensors";
  const auto check = [&](std::initializer_list<std::string_view> parts) {
    const auto before = contents(copy.model);
    check_refused(wu_edit(resume_arguments(copy.model)), parts);
    BOOST_TEST((contents(copy.model) == before));
  };
  for (const char* prefix : {"values.", "first.", "second."}) {
    const std::string tensor = save_of_another_shape(good, copy.checkpoint, prefix);
    check({copy.checkpoint.string(), tensor, "expected shape [", "], found ["});
  }
  for (const auto& [key, value] : {std::pair{"steps", "0"}, {"rate", "fast"}, {"seed", "-1"}, {"train seconds", "1 s"}}) {
    save_changed(good, copy.checkpoint, [&, key = key, value = value](auto&, auto& facts) { facts[key] = value; });
    check({copy.checkpoint.string(), key, value});
  }
  save_changed(good, copy.checkpoint, [](auto&, auto& facts) { facts.erase("requests"); });
  check({copy.checkpoint.string(), "requests", "was this file written by wu-edit?"});
  const std::string whole = bytes_of(good);
  write(copy.checkpoint, whole.substr(0, whole.size() / 2));
  check({copy.checkpoint.string()});
}

BOOST_AUTO_TEST_SUITE_END()
