#include "edit/report.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <fstream>
#include <ios>
#include <iterator>
#include <set>

#include <nlohmann/json.hpp>

#include "edit/folder.hpp"
#include "scratch.hpp"

namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::set<std::string> keys(const nlohmann::json& object) {
  std::set<std::string> found;
  for (const auto& [key, value] : object.items()) found.insert(key);
  return found;
}

std::size_t occurrences(const std::string& text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// The page as a reader sees it: letters of encoded pictures may spell anything.
std::string without_pictures(std::string html) {
  const std::string start = "base64,";
  for (std::size_t at = html.find(start); at != std::string::npos; at = html.find(start, at + start.size()))
    html.erase(at + start.size(), html.find('"', at) - at - start.size());
  return html;
}

edit::Report example_report() {
  edit::Report report;
  report.title = "Edits & adapters";
  report.rows = {{"base", "blur", 20, 29.9, 29.2, .9},     {"pg", "blur", 20, 29.9, 33.2, .95},
                 {"pg_shuffle", "blur", 20, 29.9, 18, .5}, {"pg_wrong_image", "blur", 20, 29.9, 32.8, .94},
                 {"base", "age", 20, 18.8, 19.1, .7},      {"pg", "age", 20, 18.8, 30.1, edit::not_measured}};
  const edit::Image a = noisy_image(24, 20, 1), b = noisy_image(24, 20, 2), c = noisy_image(24, 20, 3);
  report.examples.push_back({"blur", "blur <it> \"softly\" & well", a, b, c, a, 29.9, 29.2, 33.2});
  report.examples.push_back({"age", "\u8ba9\u5b83\u53d8\u65e7", a, {}, c, a, 18.8, edit::not_measured, 17});
  report.train_seconds = 751.5;
  report.steps = 4000;
  report.generator_parameters = 483216;
  report.adapter_values = 115200;
  report.facts = {{"path", "bridge, 1 step"}, {"command", "wu-edit train --photos \"my <photos>\""}};
  for (int i = 0; i < 1000; ++i) report.loss_curve.push_back(1.0 / (1 + i));
  return report;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(report)

BOOST_AUTO_TEST_CASE(json_has_exactly_these_keys) {
  const Scratch scratch;
  edit::write_report(scratch / "new" / "folder", example_report());
  const nlohmann::json json = nlohmann::json::parse(text_of(scratch / "new" / "folder" / "results.json"));
  BOOST_TEST((keys(json) ==
              std::set<std::string>{"rows", "train_seconds", "steps", "generator_parameters", "adapter_values", "facts"}));
  BOOST_TEST(json["rows"].size() == 6);
  for (const auto& row : json["rows"])
    BOOST_TEST((keys(row) == std::set<std::string>{"method", "task", "n", "psnr_source", "psnr", "ssim"}));
  BOOST_TEST(json["rows"][1]["method"] == "pg");
  BOOST_TEST(json["rows"][1]["task"] == "blur");
  BOOST_TEST(json["rows"][1]["n"] == 20);
  BOOST_TEST(json["rows"][1]["psnr"] == 33.2);
  BOOST_TEST(json["rows"][1]["psnr_source"] == 29.9);
  BOOST_TEST(json["rows"][1]["ssim"] == .95);
  BOOST_TEST(json["rows"][5]["ssim"].is_null());  // it was NaN
  BOOST_TEST(json["train_seconds"] == 751.5);
  BOOST_TEST(json["steps"] == 4000);
  BOOST_TEST(json["generator_parameters"] == 483216);
  BOOST_TEST(json["adapter_values"] == 115200);
  BOOST_TEST(json["facts"]["path"] == "bridge, 1 step");
}

BOOST_AUTO_TEST_CASE(page_stands_alone) {
  const Scratch scratch;
  edit::write_report(scratch.folder, example_report());
  const std::string html = without_pictures(text_of(scratch / "report.html"));
  BOOST_TEST(html.starts_with("<!DOCTYPE html>"));
  BOOST_TEST(html.find("Edits &amp; adapters") != std::string::npos);
  BOOST_TEST(html.find("blur &lt;it&gt; &quot;softly&quot; &amp; well") != std::string::npos);
  BOOST_TEST(html.find("my &lt;photos&gt;") != std::string::npos);
  BOOST_TEST(html.find("\u8ba9\u5b83\u53d8\u65e7") != std::string::npos);
  BOOST_TEST(html.find("7.3 dB closer to") != std::string::npos);  // the mean of 3.3 and 11.3
  BOOST_TEST(html.find("+3.30") != std::string::npos);
  BOOST_TEST(html.find("-11.90") != std::string::npos);
  BOOST_TEST(html.find("<svg") != std::string::npos);
  BOOST_TEST(occurrences(html, "src=\"data:image/png;base64,") == 7);
  BOOST_TEST(occurrences(html, "src=") == 7);
  for (const char* unwanted : {"<script", "http:", "https:", "nan", "inf\"", "<it>"})
    BOOST_TEST(html.find(unwanted) == std::string::npos, unwanted);
}

BOOST_AUTO_TEST_CASE(pictures_on_the_page_are_whole) {
  const Scratch scratch;
  const edit::Report report = example_report();
  edit::write_report(scratch.folder, report);
  const std::string html = text_of(scratch / "report.html"), start = "base64,";
  const std::size_t from = html.find(start) + start.size();
  const std::string text = html.substr(from, html.find('"', from) - from);
  BOOST_TEST(text.size() % 4 == 0);
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::byte> bytes;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text.substr(0, text.find('='))) {
    bits = bits << 6 | static_cast<std::uint32_t>(alphabet.find(c));
    held += 6;
    if (held >= 8) bytes.push_back(static_cast<std::byte>(bits >> (held -= 8) & 255));
  }
  BOOST_TEST((edit::decode_image(bytes, "page") == report.examples[0].source));
}

BOOST_AUTO_TEST_CASE(sheet_shows_the_pictures) {
  const edit::Report report = example_report();
  const edit::Image sheet = edit::contact_sheet(report);
  edit::check(sheet);
  // Somewhere in the sheet lies the source, every pixel four by four.
  const edit::Image& source = report.examples[0].source;
  bool found = false;
  for (int y = 0; y + 80 <= sheet.height && !found; ++y)
    for (int x = 0; x + 96 <= sheet.width && !found; ++x) {
      found = true;
      for (int row = 0; row < 20 && found; ++row)
        for (int column = 0; column < 24 && found; ++column)
          for (int c = 0; c < 3 && found; ++c)
            found = sheet.rgb[sheet.at(x + 4 * column + 3, y + 4 * row, c)] == source.rgb[source.at(column, row, c)];
    }
  BOOST_TEST(found);
}

BOOST_AUTO_TEST_CASE(odd_reports_are_written_too) {
  const Scratch scratch;
  edit::write_report(scratch.folder, {});
  BOOST_TEST(nlohmann::json::parse(text_of(scratch / "results.json"))["rows"].empty());

  edit::Report odd = example_report();
  odd.title = std::string(300, 'W') + " " + std::string("\x01\x7f\xff\xe4\xbd", 5);  // no UTF-8 at its end
  odd.facts = {{"bad\xff", "\xc3"}};
  odd.rows.push_back({"another", "mean", 3, edit::not_measured, 5, 1});
  odd.loss_curve = {edit::not_measured, -1, 2, std::numeric_limits<double>::infinity(), .5};
  odd.examples.push_back(
      {std::string(500, 'x'), std::string(5000, 'y'), edit::blank(1, 1), edit::blank(900, 3), edit::blank(3, 900), {}});
  for (int i = 0; i < 30; ++i) odd.examples.push_back(odd.examples[0]);
  edit::write_report(scratch.folder, odd);
  BOOST_TEST(edit::load_image(scratch / "report.png").width > 0);
  BOOST_TEST(without_pictures(text_of(scratch / "report.html")).find("nan") == std::string::npos);
  odd.loss_curve = {3, 3, 3};
  edit::write_report(scratch.folder, odd);
  BOOST_TEST(nlohmann::json::parse(text_of(scratch / "results.json"))["rows"].size() == 7);
}

BOOST_AUTO_TEST_CASE(a_failed_report_leaves_the_old_one) {
  const Scratch scratch;
  edit::write_report(scratch.folder, example_report());
  const std::string json = text_of(scratch / "results.json"), html = text_of(scratch / "report.html");
  edit::Report broken = example_report();
  broken.steps = 5;
  broken.examples[1].edited.rgb[7] = std::numeric_limits<float>::quiet_NaN();
  BOOST_CHECK_THROW(edit::write_report(scratch.folder, broken), wu::NonFiniteError);
  BOOST_TEST(text_of(scratch / "results.json") == json);
  BOOST_TEST(text_of(scratch / "report.html") == html);
  BOOST_TEST(scratch.entries() == 3);
}

BOOST_AUTO_TEST_CASE(where_it_cannot_be_written) {
  const Scratch scratch;
  edit::write_file(scratch / "file", "x");
  BOOST_CHECK_EXCEPTION(edit::write_report(scratch / "file", example_report()), wu::FileError,
                        says("cannot create the folder"));
  BOOST_CHECK_EXCEPTION(edit::write_report(scratch / "file" / "below", example_report()), wu::FileError,
                        says("cannot create the folder"));
  fs::create_directories(scratch / "out" / "report.png");
  BOOST_CHECK_EXCEPTION(edit::write_report(scratch / "out", example_report()), wu::FileError, says("report.png"));
}

BOOST_AUTO_TEST_SUITE_END()
