// What cannot work: one sentence, an exit code that is not zero, and no file.
#include <boost/test/unit_test.hpp>

#include <limits>

#include "program.hpp"

namespace {

using namespace wu;

/// A copy of a fixture's checkpoint, to be spoiled.
struct Checkpoint {
  Scratch scratch;
  Fixture fixture;
  fs::path folder = scratch / "checkpoint", out = scratch / "out.safetensors", tokens = scratch / "tokens.safetensors";

  explicit Checkpoint(const std::string& name) : fixture(::fixture(name)) {
    fs::create_directory(folder);
    for (const char* file : {"config.json", "model.safetensors"}) fs::copy(fixture.folder / file, folder);
  }
  Ran run(const Arguments& more = {}) const {
    Arguments all{"--checkpoint", folder.string(), "--condition", fixture.condition().string(),
                  "--out",        out.string(),    "--tokens",    tokens.string()};
    all.insert(all.end(), more.begin(), more.end());
    return ::run(fixture, all);
  }
  /// Refused with these words, and nothing written.
  void refused(std::initializer_list<std::string_view> parts, const Arguments& more = {}) const {
    check_refused(run(more), parts);
    BOOST_TEST(scratch.entries() == 1);
  }
  void replace(const std::string& part, const std::string& other) const {
    std::string text = bytes_of(folder / "config.json");
    const std::size_t at = text.find(part);
    BOOST_TEST_REQUIRE(at != text.npos);
    write(folder / "config.json", text.replace(at, part.size(), other));
  }
  /// Saves the model with one value of one tensor changed.
  void spoil_weights(const std::string& name, float value) const {
    const std::string path = (folder / "model.safetensors").string();
    std::vector<io::TensorToSave> tensors;
    const auto model = io::SafeTensors::open((fixture.folder / "model.safetensors").string());
    std::vector<float> changed(static_cast<std::size_t>(model.at(name).count()));
    io::read_into(model.at(name), changed);
    changed[0] = value;
    for (const auto& t : model.tensors()) {
      if (t.name == name) tensors.push_back(io::tensor_to_save(name, t.shape, changed));
      else tensors.push_back({t.name, t.dtype, t.shape, t.bytes});
    }
    io::save_safetensors(path, std::move(tensors));
  }
};

void save_condition(const fs::path& path, std::vector<std::int64_t> shape, float value = 0.5f,
                    const std::string& name = "condition") {
  std::size_t count = 1;
  for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
  const std::vector<float> values(count, value);
  io::save_safetensors(path.string(), {io::tensor_to_save(name, std::move(shape), values)});
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_configuration_of_another_shape_is_refused) {
  const Checkpoint c("dense");
  c.replace("\"num_pg_layers\": 2", "\"num_pg_layers\": 3");
  c.refused({"config.json", "num_pg_layers: expected 2, for which this program is compiled, found 3"});
  fs::copy_file(fixture("experts").folder / "config.json", c.folder / "config.json", fs::copy_options::overwrite_existing);
  c.refused({"config.json", "token_dim: expected 16, for which this program is compiled, found 4"});
  write(c.folder / "config.json", "{");
  c.refused({"config.json", "byte 1"});
  fs::remove(c.folder / "config.json");
  c.refused({"config.json", "No such file or directory"});
}

BOOST_AUTO_TEST_CASE(unknown_fields_are_noted_and_ignored) {
  const Checkpoint c("dense");
  c.replace("\"rank\": 4", "\"rank\": 4, \"colour\": 3");
  const Ran ended = c.run();
  check_done(ended);
  BOOST_TEST(ended.err.find("note: ") == 0U);
  BOOST_TEST(ended.err.find("\"colour\" is not known here and was ignored") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_another_shape_is_refused) {
  const Checkpoint c("dense");
  const fs::path model = c.folder / "model.safetensors";
  fs::copy_file(fixture("paper").folder / "model.safetensors", model, fs::copy_options::overwrite_existing);
  c.refused({"model.safetensors", "hw_pos.weight", "expected shape [64, 16], found "});
  const std::string whole = bytes_of(c.fixture.folder / "model.safetensors");
  write(model, whole.substr(0, whole.size() - 1));
  c.refused({"model.safetensors"});
  fs::remove(model);
  c.refused({c.folder.string(), "expected model.safetensors"});
  fs::remove_all(c.folder);
  check_refused(c.run(), {"config.json", "No such file or directory"});
}

BOOST_AUTO_TEST_CASE(a_condition_that_does_not_fit_is_refused) {
  const Checkpoint c("dense");
  const Scratch others;
  const fs::path file = others / "condition.safetensors";
  const auto with = [&](std::initializer_list<std::string_view> parts) {
    check_refused(run(c.fixture, {"--checkpoint", c.folder.string(), "--condition", file.string(), "--out", c.out.string()}),
                  parts);
    BOOST_TEST(c.scratch.entries() == 1);
  };
  with({file.string(), "No such file or directory"});
  save_condition(file, {2, 5, 13});
  with({"tensor \"condition\": expected shape [batch, length, 12], batch and length at least 1, found [2, 5, 13]"});
  save_condition(file, {5, 12});
  with({"found [5, 12]"});
  save_condition(file, {2, 0, 12});
  with({"found [2, 0, 12]"});
  save_condition(file, {1, 5, 12}, 0.5f, "conditions");
  with({"expected the tensor \"condition\""});
  save_condition(file, {1, 5, 12}, std::numeric_limits<float>::quiet_NaN());
  with({"tensor \"condition\": expected finite values, found nan as value 0"});
  const std::vector<float> zeros(60);
  io::save_safetensors(file.string(),
                       {io::tensor_to_save("condition", {1, 5, 12}, zeros), io::tensor_to_save("more", {60}, zeros)});
  with({"expected the tensor \"condition\" alone, found 2 tensors"});
  write(file, "no tensors");
  with({file.string()});
}

BOOST_AUTO_TEST_CASE(nan_in_the_weights_is_an_error_and_nothing_is_written) {
  for (const char* name : {"model.blocks.1.feed_forward.fc2.bias", "model.proj_out_B.bias", "hidden_in.weight"}) {
    const Checkpoint c("dense");
    c.spoil_weights(name, std::numeric_limits<float>::quiet_NaN());
    write(c.out, "an earlier result");
    check_refused(c.run(), {"expected finite tokens, found nan", "nothing was written"});
    BOOST_TEST(bytes_of(c.out) == "an earlier result");
    BOOST_TEST(c.scratch.entries() == 2);
  }
}

BOOST_AUTO_TEST_CASE(a_result_that_cannot_be_written_is_named) {
  const Checkpoint c("dense");
  const fs::path file = c.scratch / "file";
  write(file, "nothing may change this");
  const auto to = [&](const fs::path& out, const fs::path& tokens, const Arguments& more = {}) {
    Arguments all{"--checkpoint", c.folder.string(), "--condition", c.fixture.condition().string(),
                  "--out",        out.string(),      "--tokens",    tokens.string()};
    all.insert(all.end(), more.begin(), more.end());
    return run(c.fixture, all);
  };
  // Below a file nobody can write, not even root.
  check_refused(to(file / "out", c.tokens), {(file / "out-0").string(), "Not a directory"});
  check_refused(to(c.out, file / "tokens"), {(file / "tokens").string(), "Not a directory"});
  check_refused(to(c.scratch / "none/out", c.tokens), {"none/", "No such file or directory"});
  check_refused(to(file / "folder", c.tokens, {"--format", "peft"}), {(file / "folder-0").string(), "Not a directory"});
  check_refused(to(c.out, c.scratch / "out-1.safetensors"), {"--tokens: expected another file than --out"});
  BOOST_TEST(bytes_of(file) == "nothing may change this");
  BOOST_TEST(c.scratch.entries() == 2);
}

BOOST_AUTO_TEST_CASE(wrong_words_on_the_command_line_are_refused) {
  const Checkpoint c("dense");
  check_refused(c.run({"--format", "onnx"}), {"--format", "expected one of diffusers, hy-wu, kohya, peft, found 'onnx'"}, 2);
  check_refused(c.run({"--dtype", "float16"}), {"--dtype", "expected one of bfloat16, float32, found 'float16'"}, 2);
  check_refused(c.run({"--layout", "rank_anchored"}), {"--layout", "expected one of flat, rank-anchored"}, 2);
  check_refused(c.run({"--threads", "-1"}), {"--threads"}, 2);
  check_refused(c.run({"--colour", "red"}), {"--colour"}, 2);
  check_refused(run(c.fixture, {}), {"--checkpoint is required"}, 2);
  check_refused(run(c.fixture, {"--checkpoint", c.folder.string(), "--condition", "x"}), {"--out is required"}, 2);
  BOOST_TEST(c.scratch.entries() == 1);
}

BOOST_AUTO_TEST_CASE(rank_anchored_tokens_need_a_width_that_divides_all_others) {
  const Checkpoint c("padded");
  c.refused({"--layout rank-anchored: expected a token width that divides every adapted width, so a divisor of 4, found 24",
             "--layout flat fits every width"},
            {"--layout", "rank-anchored"});
}

BOOST_AUTO_TEST_CASE(a_plan_needs_no_checkpoint) {
  const Fixture f = fixture("dense");
  const Ran one = run(f, {"--plan"});
  check_done(one);
  const Ran batch = run(f, {"--plan", "--condition", f.condition().string()});
  check_done(batch);
  for (const Ran* plan : {&one, &batch})
    for (const char* word : {"weights", "activations", "workspace", "FLOP"})
      BOOST_TEST(plan->out.find(word) != std::string::npos, plan->out << " has no word " << word);
  BOOST_TEST(one.out != batch.out);
}
