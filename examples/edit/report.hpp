// The report of an editing experiment: numbers for programs, a contact sheet and a page for people.
#pragma once

#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "edit/image.hpp"

namespace edit {

inline constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

/// One request as a person sees it: the picture given, what the backbone alone and what it with generated adapters makes
/// of it, and what was wanted. A picture that there is not stays empty, a number that there is not, not_measured.
struct Example {
  std::string task, instruction;  ///< UTF-8
  Image source, base, edited, target;
  double psnr_source = not_measured, psnr_base = not_measured, psnr_edited = not_measured;
};

/// The mean over n pictures of one task under one method: "base" (the backbone alone), "pg" (generated adapters),
/// "pg_shuffle" (those of another request), "pg_wrong_image" (right instruction, another picture), or any other name.
struct Row {
  std::string method, task;
  int n = 0;
  double psnr_source = not_measured, psnr = not_measured, ssim = not_measured;
};

struct Report {
  std::string title;
  std::vector<Row> rows;
  std::vector<Example> examples;
  double train_seconds = 0;
  long steps = 0;
  long long generator_parameters = 0, adapter_values = 0;
  std::vector<std::pair<std::string, std::string>> facts;  ///< name and value: path, photographs, command line
  std::vector<double> loss_curve;                          ///< evenly spaced over the steps
};

/// Writes three files into `folder`, which is created where it is missing:
///   results.json  {"rows": [{"method", "task", "n", "psnr_source", "psnr", "ssim"}], "train_seconds", "steps",
///                 "generator_parameters", "adapter_values", "facts": {name: value}}; null for what is not finite
///   report.png    a contact sheet of the first 24 examples: source, backbone alone, edited, target
///   report.html   a page that needs no other file: headline, gains by task and method, loss curve, all examples
/// Each file is replaced as a whole or not at all, and none before all three are ready. Throws wu::FileError when one cannot
/// be written, wu::NonFiniteError for a picture with NaN.
void write_report(const std::filesystem::path& folder, const Report& report);

/// The contact sheet alone.
Image contact_sheet(const Report& report);

}  // namespace edit
