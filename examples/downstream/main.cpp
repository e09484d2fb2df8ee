// springs: functional memory for tables of numbers. See --help.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "drawing.hpp"
#include "training.hpp"

namespace springs {

constexpr const char* usage = R"(usage: springs COMMAND [options]
  train   trains the backbone, the memory and a shared adapter; writes them to --model, and reports
  report  errors on held-out springs; a picture of some, springs.svg, and its numbers, answers.csv, in --model
  fit     writes one spring's adapters to --adapters, from the measurements in --examples
  apply   prints the positions of that spring over time, by the frozen backbone with --adapters

  --model DIR      where the trained models are (default: model)
  --adapters FILE  one spring's adapters (default: adapters.safetensors)
  --examples FILE  measurements, a line "time,position" for each; times from 0 to 1
  --points N       how many positions apply prints (default: 11)
  --steps N        steps of each of the three trainings (default: 1000)
  --seed N         for training and report (default: 1)
  --threads N      of the processor (default: 2)
)";

/// The command line. Throws wu::Error about what it does not know.
struct Arguments {
  std::string command;
  std::map<std::string, std::string> values{{"--model", "model"}, {"--adapters", "adapters.safetensors"},
                                            {"--examples", ""},   {"--points", "11"},
                                            {"--steps", "1000"},  {"--seed", "1"},
                                            {"--threads", "2"}};

  Arguments(int count, char** words) : command(count > 1 ? words[1] : "") {
    for (int k = 2; k < count; k += 2) {
      if (!values.contains(words[k])) throw wu::Error(wu::message("unknown option '", words[k], "'; try --help"));
      if (k + 1 == count) throw wu::Error(wu::message("the option ", words[k], " needs a value"));
      values[words[k]] = words[k + 1];
    }
  }
  const std::string& text(const std::string& option) const { return values.at(option); }
  Index number(const std::string& option, Index least) const {
    const std::string& text = values.at(option);
    char* end = nullptr;
    const long long value = std::strtoll(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || value < least || value > 1'000'000)
      throw wu::Error(wu::message(option, ": expected a number from ", least, " to 1000000, found '", text, "'"));
    return static_cast<Index>(value);
  }
};

/// (1, L, 2) from lines "time,position"; the first line may be a heading. Throws wu::FileError.
wu::Tensor<float, dyn, dyn, 2> read_examples(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw wu::FileError(wu::message(path, ": cannot be opened"));
  std::vector<float> numbers;
  std::string line;
  for (int n = 1; std::getline(file, line); ++n) {
    std::istringstream row(line);
    double t = 0, y = 0;
    char comma = 0, rest = 0;
    if (n == 1 && line.find_first_of("0123456789") == std::string::npos) continue;
    if (line.find_first_not_of(" \r\t") == std::string::npos) continue;
    if (!(row >> t >> comma >> y) || comma != ',' || (row >> rest) || !(t >= 0 && t <= 1))
      throw wu::FileError(
          wu::message(path, ":", n, ": expected a time from 0 to 1, a comma and a position, found '", line, "'"));
    numbers.push_back(static_cast<float>(t)), numbers.push_back(static_cast<float>(y));
  }
  if (numbers.empty()) throw wu::FileError(wu::message(path, ": expected at least one measurement, found none"));
  wu::Tensor<float, dyn, dyn, 2> examples(1, static_cast<Index>(numbers.size() / 2));
  std::copy(numbers.begin(), numbers.end(), examples.data());
  return examples;
}

/// Times at equal distances over 0 .. 1, `copies` times.
wu::Tensor<float, dyn, 1> even_times(Index points, Index copies = 1) {
  wu::Tensor<float, dyn, 1> t(points * copies);
  for (Index k = 0; k < t.size(); ++k)
    t[k] = static_cast<float>(k % points) / static_cast<float>(std::max<Index>(1, points - 1));
  return t;
}

/// Prints errors on held-out springs; writes springs.svg and answers.csv, which hold six of them, to `folder`.
void report(wu::cpu::Context& cpu, Models& models, std::uint64_t seed, const std::string& folder) {
  constexpr Index springs = 200, length = 12, points = 101, shown = 6;
  const Batch held_out(seed, "held out", 0, springs, length, /*questions*/ 0);
  const auto t = even_times(points, springs);
  const auto adapters = models.memory.forward(cpu, held_out.examples);
  const std::vector<Index>& own = held_out.which;
  std::vector<Index> another = own;
  std::rotate(another.begin(), another.begin() + 1, another.end());
  const std::vector<Index> first(own.size(), 0);

  struct Row {
    const char *name, *style;
    wu::Tensor<float, dyn, 1> y;
  };
  const std::array rows{Row{"frozen backbone alone", R"(stroke="#868e96" stroke-width="1.6" stroke-dasharray="5 4")",
                            answer(cpu, models.backbone, t, {})},
                        Row{"one shared adapter", R"(stroke="none")",
                            answer(cpu, models.backbone, t, {models.shared.weights.frozen().batch(), first, scale})},
                        Row{"another spring's adapters", R"(stroke="#f59f00" stroke-width="1.6")",
                            answer(cpu, models.backbone, t, {adapters, another, scale})},
                        Row{"its own adapters", R"(stroke="#c2255c" stroke-width="2.2")",
                            answer(cpu, models.backbone, t, {adapters, own, scale})}};

  const auto position = [&](Index k) {  // of the spring itself, without the error of a measurement
    return held_out.springs[static_cast<std::size_t>(k / points)].position(static_cast<double>(t[k]));
  };
  const auto error = [&](const Row& row, Index from, Index count) {
    double sum = 0;
    for (Index k = from * points; k < (from + count) * points; ++k)
      sum += std::pow(static_cast<double>(row.y[k]) - position(k), 2);
    return std::sqrt(sum / static_cast<double>(count * points));
  };
  std::printf("\n%td held-out springs, %td measurements of each: root mean square error of the position\n", springs, length);
  for (const Row& row : rows) std::printf("  %-28s %.4f\n", row.name, error(row, 0, springs));

  std::vector<Panel> panels;
  std::string table = "spring,time,position,base,shared,another,own\n";
  for (Index k = 0; k < shown; ++k) {
    char title[64];
    std::snprintf(title, sizeof title, "error %.2f \u2192 %.2f", error(rows.front(), k, 1), error(rows.back(), k, 1));
    Panel panel{title, {{"the spring", R"(stroke="#c3cfd9" stroke-width="8" stroke-linecap="round")"}}};
    for (Index i = k * points; i < (k + 1) * points; ++i) panel.curves[0].y.push_back(position(i));
    for (const Row& row : rows)
      if (&row != &rows[1])  // the shared adapter's curve would cover the frozen backbone's
        panel.curves.push_back({row.name, row.style, {row.y.data() + k * points, row.y.data() + (k + 1) * points}});
    for (Index i = k * length; i < (k + 1) * length; ++i)
      panel.points.emplace_back(held_out.examples[2 * i], held_out.examples[2 * i + 1]);
    panels.push_back(panel);
    for (Index i = k * points; i < (k + 1) * points; ++i) {
      char line[160];
      std::snprintf(line, sizeof line, "%td,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g\n", k, static_cast<double>(t[i]), position(i),
                    static_cast<double>(rows[0].y[i]), static_cast<double>(rows[1].y[i]), static_cast<double>(rows[2].y[i]),
                    static_cast<double>(rows[3].y[i]));
      table += line;
    }
  }
  wu::io::write_file_atomically(folder + "/springs.svg", draw(panels));
  wu::io::write_file_atomically(folder + "/answers.csv", table);
  std::printf("%s/springs.svg shows %td of them\n", folder.c_str(), shown);
}

int run(const Arguments& arguments) {
  wu::cpu::Context cpu({.threads = static_cast<int>(arguments.number("--threads", 1))});
  const std::string &model = arguments.text("--model"), &file = arguments.text("--adapters");
  const auto seed = static_cast<std::uint64_t>(arguments.number("--seed", 0));

  if (arguments.command == "train") {
    std::filesystem::create_directories(model);
    Models models = Models::train(cpu, seed, arguments.number("--steps", 1));
    models.save(model);
    report(cpu, models, seed, model);
  } else if (arguments.command == "report") {
    Models models = Models::load(model);
    report(cpu, models, seed, model);
  } else if (arguments.command == "fit") {
    if (arguments.text("--examples").empty()) throw wu::Error("fit needs --examples FILE");
    const auto examples = read_examples(arguments.text("--examples"));
    auto memory = wu::Model<Memory, float>::load(model + "/memory.safetensors");
    const auto written = memory.forward(cpu, examples);
    wu::Model<Tokens, float> adapters;
    copy(cpu, adapters.weights.view().batch(), written.view());
    adapters.save(file);
    std::printf("%s: %td values from %td measurements\n", file.c_str(), Tokens::adapter_values, examples.extent(1));
  } else if (arguments.command == "apply") {
    const auto backbone = wu::Model<Backbone, float>::load(model + "/backbone.safetensors");
    const auto adapters = wu::Model<Tokens, float>::load(file);
    const auto t = even_times(arguments.number("--points", 1));
    const std::vector<Index> which{0};
    const auto y = answer(cpu, backbone, t, {adapters.weights.frozen().batch(), which, scale});
    std::printf("time,position\n");
    for (Index k = 0; k < t.size(); ++k) std::printf("%.9g,%.9g\n", static_cast<double>(t[k]), static_cast<double>(y[k]));
  } else
    throw wu::Error(
        wu::message("unknown command '", arguments.command, "': expected train, report, fit or apply; try --help"));
  return 0;
}

}  // namespace springs

int main(int count, char** words) {
  for (int k = 1; k < count; ++k)
    if (std::string(words[k]) == "--help") return std::fputs(springs::usage, stdout) < 0;
  try {
    const int status = springs::run(springs::Arguments(count, words));
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) throw wu::Error("the output could not be written");
    return status;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "springs: %s\n", e.what());
    return 1;
  }
}
