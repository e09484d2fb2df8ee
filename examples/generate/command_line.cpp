#include "command_line.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <map>
#include <new>
#include <utility>

#include "wu/core/error.hpp"
#include "wu/core/version.hpp"

namespace generate {

namespace {

/// An option that takes one of some names; `into` is left alone where it is not given.
template <class E>
void choice(CLI::App& app, const std::string& flag, E& into, const std::map<std::string, E>& names,
            const std::string& help) {
  std::string list;
  for (const auto& [name, value] : names) list += (list.empty() ? "" : ", ") + name;
  app.add_option_function<std::string>(
         flag,
         [&into, names, flag, list](const std::string& given) {
           const auto at = names.find(given);
           if (at == names.end())
             throw CLI::ValidationError(flag, wu::message("expected one of ", list, ", found '", given, "'"));
           into = at->second;
         },
         help)
      ->type_name("NAME");
}

int complain(std::string_view sentence, int code) {
  std::fprintf(stderr, "wu-generate: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
  return code;
}

}  // namespace

int main(int argc, char** argv, std::string_view shape, int (*run)(const Options&)) {
  Options options;
  CLI::App app(wu::message(
      "A generator reads a condition and writes a model's low-rank adapters. This program is compiled for ", shape, "."));
  app.set_version_flag("--version", wu::version_text);
  app.get_formatter()->column_width(36);
  app.add_option("--checkpoint", options.checkpoint,
                 "the generator's folder: config.json, and model.safetensors or model.safetensors.index.json with its files")
      ->type_name("DIR");
  app.add_option("--condition", options.condition, "safetensors file of one tensor, condition (batch, length, width)")
      ->type_name("FILE");
  app.add_option("--out", options.out, "the adapters; with a batch above 1, NAME-0.safetensors and so on")
      ->type_name("FILE");
  app.add_option("--tokens", options.tokens, "also write the tokens (batch, layers, tokens, rank, width)")
      ->type_name("FILE");
  choice<Layout>(app, "--layout", options.layout, {{"flat", Layout::flat}, {"rank-anchored", Layout::rank_anchored}},
                 "how adapters lie in tokens: flat or rank-anchored; without: as the generator's variant has it");
  using wu::io::AdapterFormat;
  std::map<std::string, AdapterFormat> formats;
  for (const auto format : {AdapterFormat::hy_wu, AdapterFormat::peft, AdapterFormat::diffusers, AdapterFormat::kohya})
    formats.emplace(name_of(format), format);
  choice(app, "--format", options.format, formats,
         "of the adapters: hy-wu (the default), peft, whose --out is a folder, diffusers or kohya");
  choice<Type>(app, "--dtype", options.type, {{"float32", Type::float32}, {"bfloat16", Type::bfloat16}},
               "to compute and write in, float32 or bfloat16; without: the checkpoint's");
  app.add_option("--threads", options.threads, "threads to work with; 0: all of the machine")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_flag("--plan", options.plan, "say what a run takes, for the condition if one is given, and stop");

  try {
    app.parse(argc, argv);
    if (!options.plan)
      for (const auto& [value, flag] : {std::pair(&options.checkpoint, "--checkpoint"),
                                        std::pair(&options.condition, "--condition"), std::pair(&options.out, "--out")})
        if (value->empty()) throw CLI::RequiredError(flag);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help and --version
    return complain(std::string(e.what()) + "; --help says what can be asked for", 2);
  }
  try {
    return run(options);
  } catch (const std::bad_alloc&) { return complain("not enough memory", 1); } catch (const std::exception& e) {
    return complain(e.what(), 1);
  }
}

void note(std::string_view text) { std::fprintf(stderr, "note: %.*s\n", static_cast<int>(text.size()), text.data()); }

}  // namespace generate
