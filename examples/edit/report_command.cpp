// The report: held-out pictures, held-out phrasings, and what happens when adapters are missing, exchanged, or made for another
// picture.
#include <algorithm>
#include <iostream>
#include <map>
#include <sstream>

#include "edit/checkpoint.hpp"
#include "edit/commands.hpp"
#include "edit/folder.hpp"
#include "edit/metrics.hpp"
#include "edit/network.hpp"
#include "edit/photographs.hpp"
#include "edit/progress.hpp"
#include "edit/report.hpp"
#include "edit/tasks.hpp"

namespace edit {

namespace {

struct Sample {
  Task task;
  std::size_t picture;
  std::string phrase;
  Pair pair;
  Request request;
};

/// Every held-out picture with every task and every held-out phrasing; damage differs between the phrasings too.
std::vector<Sample> held_out_samples(const Photographs& pictures, int side, std::uint64_t seed) {
  std::vector<Sample> samples;
  for (const Task task : tasks) {
    const auto phrases = held_out_phrases(task);
    for (std::size_t p = 0; p < pictures.held_out.size(); ++p)
      for (std::size_t k = 0; k < phrases.size(); ++k) {
        wu::Random random(seed, "held-out damage", (static_cast<std::uint64_t>(task) * 1000 + p) * 10 + k);
        Sample s{task, p, std::string(phrases[k]), make_pair(task, middle_square(pictures.held_out[p], side), random), {}};
        describe_request(s.request, s.pair.source, s.phrase);
        samples.push_back(std::move(s));
      }
  }
  return samples;
}

struct Mean {
  double source = 0, psnr = 0, ssim = 0;
  int n = 0;
};

}  // namespace

int report(const ReportOptions& options) {
  FrozenWeights frozen;
  MemoryWeights memory;
  const Facts backbone = load_weights(options.model / "backbone.safetensors", frozen);
  const fs::path memory_file = options.model / "generator.safetensors";
  const Facts trained = load_memory(memory_file, memory, frozen);
  const Photographs pictures = load_photographs(options.photos, options.held_out, options.seed);
  make_folder(options.out);  // before the measuring, which takes its time
  const std::vector<Sample> samples = held_out_samples(pictures, options.side, options.seed);
  Network network(options.threads);
  Network::SampleOptions how;
  how.path = backbone.contains("path") && backbone.at("path") == "flow" ? Path::flow : Path::bridge;
  how.steps = how.path == Path::flow ? 6 : 1;

  // Adapters of all samples, some requests at a time.
  std::vector<wu::Buffer<float>> adapters;
  for (std::size_t begin = 0; begin < samples.size(); begin += 8) {
    std::vector<Request> some;
    for (std::size_t k = begin; k < std::min(begin + 8, samples.size()); ++k) some.push_back(samples[k].request);
    const wu::Buffer<float> all = network.generate(memory, some);
    for (std::size_t k = 0; k < some.size(); ++k) {
      adapters.emplace_back(Tokens::values);
      std::copy_n(all.data() + static_cast<Index>(k) * Tokens::values, Tokens::values, adapters.back().data());
    }
  }

  // pg_shuffle: the adapters of a sample of another task, a fixed stride away. pg_wrong_image: of the same task and phrase, with
  // the next picture, where there is one.
  const std::size_t phrases = held_out_phrases(Task::blur).size(), of_task = pictures.held_out.size() * phrases;
  auto shuffled = [&](std::size_t k) { return (k + of_task * (1 + k % (tasks.size() - 1))) % samples.size(); };
  auto wrong_image = [&](std::size_t k) { return k / of_task * of_task + (k % of_task + phrases) % of_task; };

  std::vector<std::string> methods{"base", "pg", "pg_shuffle"};
  if (pictures.held_out.size() > 1) methods.push_back("pg_wrong_image");
  std::map<std::pair<std::string, Task>, Mean> means;
  Report out;
  Progress progress("pictures");
  const std::size_t shown =
      static_cast<std::size_t>(options.examples);  // of each task, with different pictures and phrasings
  for (std::size_t k = 0; k < samples.size(); ++k) {
    const Sample& s = samples[k];
    const double psnr_source = psnr(s.pair.source, s.pair.target);
    std::map<std::string, Image> results;
    for (const std::string& method : methods) {
      std::span<const float> with;
      if (method != "base")
        with = adapters[method == "pg" ? k : method == "pg_shuffle" ? shuffled(k) : wrong_image(k)].span();
      const Image result = network.sample(frozen, with, s.request.pieces, s.pair.source, how);
      Mean& m = means[{method, s.task}];
      m.source += psnr_source, m.psnr += psnr(result, s.pair.target), m.ssim += ssim(result, s.pair.target), m.n += 1;
      results[method] = result;
    }
    const std::size_t within = k % of_task;
    if (within % phrases == (within / phrases) % phrases && within / phrases < shown) {
      Example e{std::string(name(s.task)), s.phrase, s.pair.source, results["base"], results["pg"], s.pair.target};
      e.psnr_source = psnr_source, e.psnr_base = psnr(e.base, e.target), e.psnr_edited = psnr(e.edited, e.target);
      out.examples.push_back(std::move(e));
    }
    progress.show(static_cast<long>(k + 1), static_cast<long>(samples.size()), std::string(name(s.task)));
  }

  out.title = "Functional memory: a generator writes the editor";
  for (const std::string& method : methods)
    for (const Task task : tasks) {
      const Mean& m = means[{method, task}];
      out.rows.push_back({method, std::string(name(task)), m.n, m.source / m.n, m.psnr / m.n, m.ssim / m.n});
    }
  auto text = [&](const char* key) { return trained.contains(key) ? trained.at(key) : std::string("0"); };
  out.train_seconds = number<double>(memory_file, trained, "train seconds");
  out.steps = number<long>(memory_file, trained, "steps");
  out.generator_parameters = Generator::parameter_count;
  out.adapter_values = Tokens::adapter_values;
  out.facts = {
      {"probability path", path_name(how.path) + ", " + std::to_string(how.steps) + (how.steps == 1 ? " step" : " steps")},
      {"photographs", text("photographs")},
      {"frozen backbone", std::to_string(FrozenWeights::count) + " parameters, unchanged by training"},
      {"memory in all", std::to_string(MemoryWeights::count) + " parameters, condition encoders included"},
      {"held-out samples", std::to_string(samples.size()) + ", with phrasings that training never saw"},
      {"requests per step",
       text("requests") + (text("crops") == "1" ? ", one tile each" : ", " + text("crops") + " tiles each")},
      {"seed", text("seed")}};
  std::istringstream curve(text("loss curve"));
  for (double v; curve >> v;) out.loss_curve.push_back(v);
  write_report(options.out, out);

  std::cout << "gain over the unedited source, dB (mean over " << means[{"pg", Task::blur}].n << " samples of each task)\n";
  std::cout << "method";
  for (const Task task : tasks) std::cout << "\t" << name(task);
  std::cout << "\n";
  for (const std::string& method : methods) {
    std::cout << method;
    for (const Task task : tasks) {
      const Mean& m = means[{method, task}];
      char number[32];
      std::snprintf(number, sizeof number, "\t%+.1f", (m.psnr - m.source) / m.n);
      std::cout << number;
    }
    std::cout << "\n";
  }
  std::cout << (options.out / "report.html").string() << "\n";
  return 0;
}

}  // namespace edit
