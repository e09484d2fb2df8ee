// Training the functional memory: for each step a few requests, each a damaged or clean picture with an instruction; the
// generator writes adapters for every request, the frozen backbone edits tiles of it with them, and the diffusion loss alone
// teaches the generator (paper eq. 7).
#include <cmath>
#include <iostream>
#include <sstream>

#include "edit/checkpoint.hpp"
#include "edit/commands.hpp"
#include "edit/folder.hpp"
#include "edit/network.hpp"
#include "edit/photographs.hpp"
#include "edit/progress.hpp"
#include "edit/tasks.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/diffusion/times.hpp"

namespace edit {

namespace {

constexpr int square = 160;             // pixels of the picture that a training request is about
constexpr double piece_dropout = 0.15;  // of the word pieces are lost, so that no phrase is learned by heart
constexpr Index warm_steps = 4,
                calibration_steps = 12;  // the steps between are timed, to find how many fit into the minutes asked for

/// Falls from the first to the last value at the same rate all through the run: strong edits are learned first, then faint ones.
/// With a low floor from the start, faint edits pull hardest and the strong ones are hardly learned.
double loss_floor(Index step, Index steps) {
  constexpr double first = 0.03, last = 0.0005;
  return first * std::pow(last / first, static_cast<double>(step - 1) / static_cast<double>(steps));
}

Request draw_request(const std::vector<Image>& pictures, Index crops, wu::Random& random) {
  const Image photograph =
      random_square(pictures[random.below(static_cast<std::uint32_t>(pictures.size()))], square, random);
  const Task task = training_task(random);
  const Pair pair = make_pair(task, photograph, random);
  Request request;
  describe_request(request, pair.source, training_phrase(task, random));
  for (std::int32_t& piece : request.pieces)
    if (piece != 0 && random.uniform() < piece_dropout) piece = 0;
  request.tiles.side = crop_side;
  const auto room = static_cast<std::uint32_t>(std::min(pair.source.width, pair.source.height) - crop_side + 1);
  for (Index k = 0; k < crops; ++k) {
    const int x = static_cast<int>(random.below(room)), y = static_cast<int>(random.below(room));
    request.tiles.add(pair.source, pair.target, x, y);
  }
  return request;
}

std::string joined(const std::vector<double>& numbers) {
  std::string text;
  for (const double v : numbers) text += wu::message(text.empty() ? "" : " ", v);
  return text;
}

}  // namespace

int train(const TrainOptions& options, Network& network) {
  catch_interrupts();
  FrozenWeights frozen;
  const Facts backbone = load_weights(options.backbone, frozen);
  const std::uint64_t backbone_hash = hash(frozen);
  const Path path = backbone.contains("path") && backbone.at("path") == "flow" ? Path::flow : Path::bridge;
  const fs::path checkpoint = options.model / "training.safetensors";

  const FrozenWeights frozen_there = frozen.in(network.memory());
  Network::Run run;
  TrainOptions settings = options;
  double seconds_before = 0, smooth = 0;
  std::vector<double> curve;
  auto note = [&](double loss) {
    smooth = curve.empty() ? loss : 0.97 * smooth + 0.03 * loss;
    curve.push_back(loss);
  };
  Facts before;
  if (options.resume) {
    before = load_checkpoint(checkpoint, run);
    settings.steps = number<Index>(checkpoint, before, "steps", 1);
    settings.requests = number<Index>(checkpoint, before, "requests", 1);
    settings.crops = number<Index>(checkpoint, before, "crops", 1);
    settings.seed = number<std::uint64_t>(checkpoint, before, "seed");
    settings.rate = number<double>(checkpoint, before, "rate");
    seconds_before = number<double>(checkpoint, before, "train seconds");
    std::istringstream losses(before["losses"]);
    for (double loss; losses >> loss;) note(loss);
    if (fact(checkpoint, before, "backbone hash") != std::to_string(backbone_hash))
      throw wu::FileError(
          wu::message(checkpoint.string(), ": was trained on another backbone than ", options.backbone.string()));
  } else initialise(run.weights(), options.seed);
  run = run.in(network.memory());

  const Photographs pictures = load_photographs(options.photos, options.held_out, settings.seed);
  if (pictures.training.empty()) throw wu::Error("there is nothing to train on: --held-out was given without --photos");
  if (options.resume && before["photographs"] != pictures.description)
    throw wu::FileError(wu::message(checkpoint.string(), ": was trained on other pictures (", before["photographs"],
                                    ") than those given now (", pictures.description, ")"));
  // What cannot be written is said now, not when there is something to lose.
  make_folder(options.model);
  for (const char* name : {"training.safetensors", "generator.safetensors", "backbone.safetensors"})
    const wu::io::AtomicFile trial((options.model / name).string());

  wu::train::Options rule;
  rule.schedule.peak = settings.rate;
  rule.schedule.steps = settings.steps;
  auto step = [&] {
    return network.advance(run, rule, [&](const auto& values, const auto& gradients, Index at, Index) {
      std::vector<Request> requests(static_cast<std::size_t>(settings.requests));
      network.ctx.split(settings.requests, 1 << 20, [&](int, Index begin, Index end) {
        for (Index k = begin; k < end; ++k) {
          wu::Random random(settings.seed, "training request", static_cast<std::uint64_t>(at * settings.requests + k));
          requests[static_cast<std::size_t>(k)] = draw_request(pictures.training, settings.crops, random);
        }
      });
      wu::Random random(settings.seed, "training times", static_cast<std::uint64_t>(at));
      std::vector<double> t(static_cast<std::size_t>(settings.requests * settings.crops));
      for (double& v : t)
        v = path == Path::bridge ? wu::diffusion::SamplerTimes{1}(random) : wu::diffusion::LogitNormalTimes{}(random);
      Index worst = -1;
      const double loss = network.memory_loss(frozen_there, values, gradients, requests,
                                              {.path = path,
                                               .t = t,
                                               .noise_seed = settings.seed + static_cast<std::uint64_t>(at),
                                               .floor = loss_floor(at, rule.schedule.steps)},
                                              worst);
      if (!std::isfinite(loss))
        throw wu::NonFiniteError(
            wu::message("the loss is not finite at step ", at, ", request ", worst + 1, " of ", settings.requests));
      return loss;
    });
  };

  // Without a number of steps: measure some, which do not count, and take as many as fit.
  if (settings.steps == 0) {
    const Progress clock("");
    Network::Run start;
    rule.schedule.steps = calibration_steps;
    double warm = 0;
    for (Index k = 0; k < calibration_steps; ++k) {
      if (k == warm_steps) warm = clock.seconds();
      step();
    }
    const double each = (clock.seconds() - warm) / static_cast<double>(calibration_steps - warm_steps);
    settings.steps = std::max<Index>(20, static_cast<Index>((settings.minutes * 60 - clock.seconds()) / each));
    initialise(start.weights(), options.seed);
    run = start.in(network.memory());
    rule.schedule.steps = settings.steps;
  }
  rule.schedule.warmup = std::min<Index>(40, settings.steps / 5 + 1);
  std::cerr << "training " << MemoryWeights::count << " parameters (" << Generator::parameter_count
            << " of the generator) for " << settings.steps << " steps of " << settings.requests << " requests with "
            << settings.crops << " tiles each; " << pictures.description << "\n";

  if (!options.resume) put_aside(checkpoint);
  Progress progress("step");
  auto facts = [&] {
    return Facts{{"what", "wu-edit memory"},
                 {"path", path_name(path)},
                 {"steps", std::to_string(settings.steps)},
                 {"requests", std::to_string(settings.requests)},
                 {"crops", std::to_string(settings.crops)},
                 {"seed", std::to_string(settings.seed)},
                 {"rate", exact(settings.rate)},
                 {"backbone hash", std::to_string(backbone_hash)},
                 {"train seconds", wu::message(seconds_before + progress.seconds())},
                 {"photographs", pictures.description}};
  };
  auto save = [&] {
    Facts so_far = facts();
    so_far["losses"] = joined(curve);
    auto here = run.in(nullptr);
    save_checkpoint(checkpoint, here, so_far);
  };
  const Index first = run.step;
  std::string stopped;
  auto last_save = Progress::Clock::now();
  while (run.step < settings.steps && !interrupted()) {
    try {
      note(step().loss);
    } catch (const wu::NonFiniteError& e) {
      stopped = e.what();
      break;
    }
    progress.show(run.step, settings.steps,
                  wu::message("loss ", smooth, "  ",
                              static_cast<int>(static_cast<double>((run.step - first) * settings.requests * settings.crops) /
                                               progress.seconds()),
                              " tiles/s"));
    if (Progress::Clock::now() - last_save > std::chrono::minutes(1)) {
      last_save = Progress::Clock::now();
      try {
        save();
      } catch (const wu::FileError& e) {  // the disk may have room again in a minute
        progress.end_line();
        std::cerr << "wu-edit: " << e.what() << "; training goes on without this checkpoint\n";
      }
    }
  }
  if (run.step < settings.steps) {
    save();
    progress.end_line();
    return stopped_early(stopped, run.step, settings.steps, checkpoint);
  }
  if (hash(frozen_there.in(nullptr)) != backbone_hash)
    throw wu::Error("the frozen backbone was changed by training; this is a defect of the program");
  Facts done = facts();
  std::vector<double> means;
  for (std::size_t k = 0; k < 200 && !curve.empty(); ++k) {
    const std::size_t begin = k * curve.size() / 200, end = std::max(begin + 1, (k + 1) * curve.size() / 200);
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += curve[i];
    means.push_back(sum / static_cast<double>(end - begin));
  }
  done["loss curve"] = joined(means);
  try {
    auto weights = run.weights().in(nullptr);
    save_weights(options.model / "generator.safetensors", weights, done);
    save_weights(options.model / "backbone.safetensors", frozen, backbone);
  } catch (const wu::FileError&) {
    try {
      save();                         // the steps since the last checkpoint, where the disk still has room for them
    } catch (const wu::FileError&) {  // the first failure is the one to report
    }
    throw;
  }
  fs::remove(checkpoint);
  std::cout << (options.model / "generator.safetensors").string() << ": " << MemoryWeights::count << " parameters, "
            << settings.steps << " steps, loss " << smooth << ", " << static_cast<int>(seconds_before + progress.seconds())
            << " s; the backbone's " << FrozenWeights::count << " parameters are unchanged\n";
  return 0;
}

}  // namespace edit
