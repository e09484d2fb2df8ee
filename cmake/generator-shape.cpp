// generator-shape CONFIG VARIANT NAME: reads a generator's config.json and prints a header that states its shape as the type NAME.
// VARIANT: released or paper. Notes go to the error stream, a line each. A configuration that is refused ends with status 1 and
// the sentence on the error stream. wu_add_generator() compiles this and runs it when a build is configured: CMake's own reader
// of JSON does not keep the order of an object's members, which here is the order of the tokens.
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "wu/io/generator_config.hpp"

namespace {

using namespace wu::io;

/// `Adapted<"attn.qkv", 16, 48>`; names hold nothing that a C++ string would have to escape.
std::string adapted(const std::string& name, const GeneratorModule& module) {
  return wu::message("wu::Adapted<\"", name, "\", ", module.in, ", ", module.out, ">");
}

std::string entry_text(const GeneratorEntry& entry) {
  if (!entry.grouped) return adapted(entry.name, entry.modules[0]);
  std::string text = wu::message("wu::AdaptedExperts<\"", entry.name, "\", ", entry.experts);
  for (const GeneratorModule& module : entry.modules) text += ",\n" + std::string(25, ' ') + adapted(module.name, module);
  return text + ">";
}

std::string header(const ReadGeneratorConfig& all, const std::string& path, GeneratorVariant variant,
                   const std::string& name) {
  const auto& [c, sizes, notes] = all;
  const bool paper = variant == GeneratorVariant::paper;
  std::string text = wu::message(
      "// The shape of the generator of ", printable_path(path), ", ", paper ? "the paper's" : "the released",
      " variant.\n// Written by wu_add_generator() when the build was configured: change the configuration, not this "
      "file.\n#pragma once\n\n#include <string_view>\n\n#include \"wu/generator/generator.hpp\"\n\n");
  text += wu::message("struct ", name,
                      " {\n  /// The adapted modules in the order of pg_mapping.\n  using Layers = wu::AdaptedLayers<",
                      c.num_base_model_layers);
  for (const GeneratorEntry& entry : c.pg_mapping) text += ",\n      " + entry_text(entry);
  text += wu::message(
      ">;\n  using Tokens = wu::Tokenizer<", c.rank, ", ", c.token_dim, paper ? ", wu::Layout::rank_anchored" : "",
      ">::of<Layers>;\n  using Generator = wu::Generator<Tokens, wu::Width<", c.d_model, ">, wu::HeadWidth<", c.head_dim,
      ">, wu::Blocks<", c.num_pg_layers, ">,\n                                  wu::JoinedRanks<", c.dim_accumulation,
      ">, wu::ConditionWidth<", c.input_dim, ">",
      paper ? ",\n                                  wu::PaperOrder, wu::CrossRotary::paper" : "", ">;\n");
  char alpha[32];
  std::snprintf(alpha, sizeof alpha, "%.17g", c.alpha);
  text +=
      wu::message("  /// Of adapters' names, before the layer's number.\n  static constexpr std::string_view prefix = \"",
                  c.prefix, "\";\n  /// An adapter's product is scaled by alpha / rank.\n  static constexpr double alpha = ",
                  std::string_view(alpha), ";\n};\n\n");
  // The same sums were done from the configuration: a check that the type says what the file does.
  text += wu::message("static_assert(", name, "::Generator::parameter_count == ", sizes.parameters, ");\n");
  text += wu::message("static_assert(", name, "::Tokens::tokens_A == ", sizes.tokens_A, ");\n");
  text += wu::message("static_assert(", name, "::Tokens::tokens_B == ", sizes.tokens_B, ");\n");
  text += wu::message("static_assert(", name, "::Tokens::values == ", sizes.values, ");\n");
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() != 3 || (arguments[1] != "released" && arguments[1] != "paper"))
      throw wu::Error("usage: generator-shape CONFIG released|paper NAME");
    const auto variant = arguments[1] == "paper" ? GeneratorVariant::paper : GeneratorVariant::released;
    const auto all = read_generator_config(arguments[0], variant);
    for (const std::string& note : all.notes) std::fprintf(stderr, "%s\n", note.c_str());
    std::fputs(header(all, arguments[0], variant, arguments[2]).c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const std::exception& e) { std::fprintf(stderr, "%s\n", e.what()); }
  return 1;
}
