// Pre-training: the backbone learns neutral edits, and to leave a picture alone when it does not know the phrase.
#include <cmath>
#include <iostream>

#include "edit/checkpoint.hpp"
#include "edit/commands.hpp"
#include "edit/folder.hpp"
#include "edit/network.hpp"
#include "edit/neutral.hpp"
#include "edit/photographs.hpp"
#include "edit/progress.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/diffusion/times.hpp"

namespace edit {

namespace {

constexpr double unknown_share = 0.2;  // of the samples carry random words and want the picture as it is
constexpr double loss_floor = 1.0 / 400;
constexpr int margin = 8;  // pixels around a tile, so that its border has neighbours when an edit is applied

struct Sample {
  Tiles tiles;
  std::vector<std::int32_t> pieces;
};

Sample draw_sample(const std::vector<Image>& pictures, wu::Random& random) {
  Sample sample;
  sample.tiles.side = crop_side;
  const Image picture =
      random_square(pictures[random.below(static_cast<std::uint32_t>(pictures.size()))], crop_side + 2 * margin, random);
  const auto& edits = neutral_edits();
  Image target = picture;
  if (random.uniform() < unknown_share) {
    sample.pieces.assign(static_cast<std::size_t>(BackboneText::length), 0);
    const std::uint32_t words = 1 + random.below(static_cast<std::uint32_t>(BackboneText::length - 1));
    for (std::uint32_t k = 0; k < words; ++k)
      sample.pieces[k] = static_cast<std::int32_t>(1 + random.below(BackboneText::vocabulary - 1));
    repeat_pieces(sample.pieces);
  } else {
    const NeutralEdit& edit = edits[random.below(static_cast<std::uint32_t>(edits.size()))];
    sample.pieces = pieces_of(edit.phrases[random.below(static_cast<std::uint32_t>(edit.phrases.size()))]);
    target = edit.apply(picture);
  }
  sample.tiles.add(picture, target, margin, margin);
  return sample;
}

}  // namespace

std::string path_name(Path path) { return path == Path::bridge ? "bridge" : "flow"; }

int pretrain(const PretrainOptions& options) {
  catch_interrupts();
  Network network(options.threads);
  const Photographs pictures = load_photographs(options.photos, std::nullopt, options.seed);
  const fs::path checkpoint = options.out.string() + ".checkpoint";
  // What cannot be written is said now, not when there is something to lose.
  if (options.out.has_parent_path()) make_folder(options.out.parent_path());
  for (const fs::path& file : {options.out, checkpoint}) const wu::io::AtomicFile trial(file.string());

  wu::train::Training<Frozen, float> run;
  const Facts facts{{"what", "wu-edit backbone"},
                    {"path", path_name(options.path)},
                    {"steps", std::to_string(options.steps)},
                    {"seed", std::to_string(options.seed)},
                    {"batch", std::to_string(options.batch)},
                    {"rate", exact(options.rate)},
                    {"photographs", pictures.description}};
  if (options.resume) {
    Facts was = load_checkpoint(checkpoint, run);
    for (const auto& [key, value] : facts)
      if (was[key] != value)
        throw wu::FileError(
            wu::message(checkpoint.string(), ": expected the ", key, " of this command, ", value, ", found ", was[key]));
  } else initialise(run.weights(), options.seed);
  std::cerr << "pre-training " << FrozenWeights::count << " parameters for " << options.steps << " steps of "
            << options.batch << " tiles on " << pictures.description << "\n";
  if (!options.resume) put_aside(checkpoint);

  wu::train::Options rule;
  rule.schedule = {.peak = options.rate, .warmup = 100, .steps = options.steps};
  Progress progress("step");
  const Index first = run.step;
  double smooth = 0;
  auto step = [&] {
    return run.advance(network.ctx, rule, [&](auto, auto, Index at, Index) {
      std::vector<Sample> samples(static_cast<std::size_t>(options.batch));
      network.ctx.split(options.batch, 1 << 20, [&](int, Index begin, Index end) {
        for (Index k = begin; k < end; ++k) {
          wu::Random random(options.seed, "pre-training sample", static_cast<std::uint64_t>(at * options.batch + k));
          samples[static_cast<std::size_t>(k)] = draw_sample(pictures.training, random);
        }
      });
      Tiles tiles;
      tiles.side = crop_side;
      std::vector<std::int32_t> pieces;
      std::vector<double> t;
      wu::Random times(options.seed, "pre-training times", static_cast<std::uint64_t>(at));
      for (const Sample& s : samples) {
        tiles.count += 1;
        tiles.source.insert(tiles.source.end(), s.tiles.source.begin(), s.tiles.source.end());
        tiles.target.insert(tiles.target.end(), s.tiles.target.begin(), s.tiles.target.end());
        pieces.insert(pieces.end(), s.pieces.begin(), s.pieces.end());
        t.push_back(options.path == Path::bridge ? wu::diffusion::SamplerTimes{1}(times)
                                                 : wu::diffusion::LogitNormalTimes{}(times));
      }
      return network.pretrain_loss(
          run.values(), run.gradients(), tiles, pieces,
          {.path = options.path, .t = t, .noise_seed = options.seed + static_cast<std::uint64_t>(at), .floor = loss_floor});
    });
  };
  std::string stopped;
  while (run.step < options.steps && !interrupted()) {
    try {
      const double loss = step().loss;
      smooth = run.step == first + 1 ? loss : 0.98 * smooth + 0.02 * loss;
    } catch (const wu::NonFiniteError& e) {
      stopped = e.what();
      break;
    }
    progress.show(run.step, options.steps,
                  wu::message("loss ", smooth, "  ",
                              static_cast<int>(static_cast<double>((run.step - first) * options.batch) / progress.seconds()),
                              " tiles/s"));
    if (run.step % 200 == 0) save_checkpoint(checkpoint, run, facts);
  }
  if (run.step < options.steps) {
    save_checkpoint(checkpoint, run, facts);
    progress.end_line();
    return stopped_early(stopped, run.step, options.steps, checkpoint);
  }
  save_weights(options.out, run.weights(), facts);
  fs::remove(checkpoint);
  std::cout << options.out.string() << ": " << FrozenWeights::count << " parameters, loss " << smooth << ", "
            << static_cast<int>(progress.seconds()) << " s\n";
  return 0;
}

}  // namespace edit
