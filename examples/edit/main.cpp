// wu-edit: a functional memory for photographs, from pre-training to the report.
#include <CLI/CLI.hpp>

#include <cmath>
#include <iostream>

#include "edit/commands.hpp"
#include "edit/network.hpp"
#include "edit/numbers.hpp"
#include "wu/core/error.hpp"
#include "wu/core/version.hpp"

namespace {

// CLI11's own checks let NaN pass, take -1 for a very large number where there is no sign, and recite the largest double to
// whoever gets a number wrong.
template <class T>
CLI::Validator number(std::string wanted, bool (*fits)(T)) {
  auto check = [wanted, fits](std::string& text) {
    const auto value = edit::parse_number<T>(text);
    return value && fits(*value) ? std::string() : wu::message("expected ", wanted, ", found '", text, "'");
  };
  return {check, ""};
}

}  // namespace

int main(int argc, char** argv) {
  using namespace edit;
  const auto positive = number<double>("a number above 0", [](double v) { return v > 0 && std::isfinite(v); });
  const auto count = number<Index>("a whole number above 0", [](Index v) { return v > 0; });
  const auto count_or_none = number<Index>("a whole number that is not negative", [](Index v) { return v >= 0; });
  const auto any_seed =
      number<std::uint64_t>("a whole number below 2^64 that is not negative", [](std::uint64_t) { return true; });
  CLI::App app{
      "A generator reads a picture and an instruction and writes the adapters with which a frozen backbone edits it."};
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", wu::version_text);
  app.get_formatter()->column_width(36);

  auto optional_folder = [](CLI::App* command, const std::string& flag, std::optional<fs::path>& into,
                            const std::string& help) {
    command->add_option_function<std::string>(
               flag, [&into](const std::string& value) { into = value; }, help)
        ->type_name("DIR");
  };
  auto threads = [](CLI::App* command, int& into) {
    command->add_option("--threads", into, "threads to work with; 0: all of the machine")
        ->check(CLI::Range(0, 1024))
        ->capture_default_str();
  };

  auto device = [](CLI::App* command, std::string& into) {
    command->add_option("--device", into, "what computes: cpu, or cuda for the first GPU")
        ->check(CLI::IsMember({"cpu", "cuda"}))
        ->capture_default_str();
  };
  auto network = [](const auto& options) {
    return options.device == "cuda" ? cuda_network(options.threads) : std::make_unique<Network>(options.threads);
  };

  PretrainOptions pretrain_options;
  std::string path = "bridge";
  auto* pretrain_command =
      app.add_subcommand("pretrain", "train a backbone on neutral edits, none of which is a task of the demonstration");
  optional_folder(pretrain_command, "--photos", pretrain_options.photos, "pictures to train on; without: drawn ones");
  pretrain_command->add_option("--out", pretrain_options.out, "the backbone's file")->capture_default_str();
  pretrain_command->add_option("--path", path, "probability path")
      ->check(CLI::IsMember({"bridge", "flow"}))
      ->capture_default_str();
  pretrain_command->add_option("--steps", pretrain_options.steps, "optimiser steps")->check(count)->capture_default_str();
  pretrain_command->add_option("--batch", pretrain_options.batch, "tiles in a step")->check(count)->capture_default_str();
  pretrain_command->add_option("--rate", pretrain_options.rate, "largest learning rate")
      ->check(positive)
      ->capture_default_str();
  pretrain_command->add_option("--seed", pretrain_options.seed, "of everything random")
      ->check(any_seed)
      ->capture_default_str();
  pretrain_command->add_flag("--resume", pretrain_options.resume, "go on from the checkpoint beside --out");
  threads(pretrain_command, pretrain_options.threads);

  TrainOptions train_options;
  auto* train_command = app.add_subcommand("train", "train the generator on a frozen backbone");
  optional_folder(train_command, "--photos", train_options.photos,
                  "pictures to train on (every tenth is set aside unless --held-out is given); without: drawn ones");
  optional_folder(train_command, "--held-out", train_options.held_out, "pictures that are not trained on");
  train_command->add_option("--backbone", train_options.backbone, "the frozen backbone's file")->capture_default_str();
  train_command->add_option("--model", train_options.model, "folder for the result")->capture_default_str();
  train_command->add_option("--minutes", train_options.minutes, "how long to train")->check(positive)->capture_default_str();
  train_command
      ->add_option("--steps", train_options.steps,
                   "optimiser steps, instead of minutes: the same on every machine; 0: by minutes")
      ->check(count_or_none)
      ->capture_default_str();
  train_command->add_option("--requests", train_options.requests, "requests in a step")->check(count)->capture_default_str();
  train_command->add_option("--crops", train_options.crops, "tiles of each request")->check(count)->capture_default_str();
  train_command->add_option("--rate", train_options.rate, "largest learning rate")->check(positive)->capture_default_str();
  train_command->add_option("--seed", train_options.seed, "of everything random")->check(any_seed)->capture_default_str();
  train_command->add_flag("--resume", train_options.resume, "go on from the checkpoint in --model, with its settings");
  threads(train_command, train_options.threads);
  device(train_command, train_options.device);

  EditOptions edit_options;
  auto* edit_command = app.add_subcommand("edit", "edit one picture of any size");
  edit_command->add_option("--model", edit_options.model, "folder with backbone.safetensors and generator.safetensors")
      ->required();
  edit_command->add_option("--image", edit_options.image, "the picture, PNG or JPEG")->required();
  edit_command->add_option("--instruction", edit_options.instruction, "what to do, in English or Chinese")->required();
  edit_command->add_option("--out", edit_options.out, "the result, .png or .jpg")->required();
  edit_command->add_option("--seed", edit_options.seed, "of the noise, on the path from noise")
      ->check(any_seed)
      ->capture_default_str();
  edit_command->add_flag("--base", edit_options.base, "without adapters: the frozen backbone alone");
  threads(edit_command, edit_options.threads);
  device(edit_command, edit_options.device);

  ReportOptions report_options;
  auto* report_command =
      app.add_subcommand("report", "measure on held-out pictures and write report.html, report.png and results.json");
  report_command->add_option("--model", report_options.model, "folder with backbone.safetensors and generator.safetensors")
      ->capture_default_str();
  report_command->add_option("--out", report_options.out, "folder for the report")->capture_default_str();
  optional_folder(report_command, "--photos", report_options.photos,
                  "the pictures that were trained on; every tenth of them is measured on unless --held-out is given");
  optional_folder(report_command, "--held-out", report_options.held_out, "pictures to measure on");
  report_command->add_option("--side", report_options.side, "pixels along the square that is measured")
      ->check(CLI::Range(64, 512))
      ->capture_default_str();
  report_command->add_option("--examples", report_options.examples, "pictures of each task on the contact sheet")
      ->check(CLI::Range(1, 9))
      ->capture_default_str();
  report_command
      ->add_option("--seed", report_options.seed,
                   "of the damage; also of the drawn pictures, where it must be the one of train")
      ->check(any_seed)
      ->capture_default_str();
  threads(report_command, report_options.threads);

  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) throw CLI::RequiredError("A command (pretrain, train, edit or report)");
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help and --version
    std::cerr << "wu-edit: " << e.what() << "; --help says what can be asked for\n";
    return 2;
  }
  pretrain_options.path = path == "flow" ? Path::flow : Path::bridge;
  try {
    if (*pretrain_command) return pretrain(pretrain_options);
    if (*train_command) return train(train_options, *network(train_options));
    if (*edit_command) return edit_image(edit_options, *network(edit_options));
    return report(report_options);
  } catch (const wu::Error& e) {
    std::cerr << "wu-edit: " << e.what() << "\n";
  } catch (const std::filesystem::filesystem_error& e) {
    std::cerr << "wu-edit: " << e.path1().string() << ": " << e.code().message() << "\n";
  } catch (const std::bad_alloc&) { std::cerr << "wu-edit: not enough memory\n"; } catch (const std::exception& e) {
    std::cerr << "wu-edit: " << e.what() << "\n";
  }
  return 1;
}
