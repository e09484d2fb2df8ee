// wu-inspect: what a safetensors file, a checkpoint or an adapter holds.
#include <CLI/CLI.hpp>

#include <exception>
#include <iostream>
#include <new>
#include <string>

#include "inspect/report.hpp"
#include "inspect/source.hpp"
#include "inspect/text.hpp"
#include "wu/core/error.hpp"
#include "wu/core/version.hpp"

int main(int argc, char** argv) {
  CLI::App app{
      "What a safetensors file, a checkpoint or an adapter holds: names, types, shapes, bytes and metadata,\n"
      "and of the values the Frobenius norm, the smallest and the largest, NaN and infinities; these are\n"
      "counted and otherwise left out."};
  app.footer(
      "Adapters (tensors lora_A and lora_B, or lora_down and lora_up) are listed once more, with the norm of\n"
      "scale * B A and its effective rank, exp(-sum p log p) with p = singular values / their sum (Roy and\n"
      "Vetterli, The effective rank, EUSIPCO 2007). Neither needs B A itself.\n\n"
      "Exit status: 0 done, 1 the file is refused, 2 wrong arguments.");
  std::string path;
  bool json = false, header = false;
  app.add_option("path", path, "*.safetensors, *.safetensors.index.json, or a folder of a model or adapter")
      ->required()
      ->type_name("FILE|DIR");
  app.add_flag("--json", json, "one JSON object instead of a table; names and metadata in full");
  app.add_flag("--header", header, "only what the headers say, without reading the values");
  app.set_version_flag("--version", wu::version_text);
  const auto complain = [](const std::string& what) { std::cerr << "wu-inspect: " << what << "\n"; };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help and --version
    complain(inspect::shown(e.what()) + "; --help says what can be asked for");
    return 2;
  }
  try {
    const inspect::Source source = inspect::open_source(path);
    const inspect::Report report = inspect::inspect(source, !header);
    std::cout << (json ? inspect::as_json(report) : inspect::as_table(report)) << std::flush;
    if (std::cout) return 0;
    complain("the result could not be written");
  } catch (const wu::Error& e) { complain(e.what()); } catch (const std::bad_alloc&) {
    complain("not enough memory");
  } catch (const std::exception& e) { complain(inspect::shown(e.what())); }
  return 1;
}
