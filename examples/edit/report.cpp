#include "edit/report.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <stb/stb_easy_font.h>
#include <nlohmann/json.hpp>

#include "edit/folder.hpp"
#include "wu/core/error.hpp"

namespace edit {
namespace {

// ---- words and numbers, the same in the sheet and on the page -------------------------------------------------------

struct Method {
  std::string_view name, heading, sentence;
};
constexpr std::array<Method, 4> methods{{
    {"base", "backbone alone", "the frozen backbone without any adapters"},
    {"pg", "generated adapters", "adapters that the generator writes for this instruction and this picture"},
    {"pg_shuffle", "shuffled", "adapters written for another request"},
    {"pg_wrong_image", "wrong picture", "adapters written for the right instruction but another picture"},
}};

const Method* known(std::string_view name) {
  const auto* found = std::find_if(methods.begin(), methods.end(), [&](const Method& m) { return m.name == name; });
  return found == methods.end() ? nullptr : found;
}

// std::to_chars knows no locale: a comma never turns up where a point is meant.
std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return "n/a";
  std::array<char, 400> text{};  // the largest double has 309 digits
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, digits).ptr;
  const std::string number(text.data(), end);
  return number.starts_with('-') && number.find_first_not_of("-0.") == std::string::npos ? number.substr(1) : number;
}

std::string with_sign(double value, int digits) {
  const std::string number = fixed(value, digits);
  return std::isfinite(value) && !number.starts_with('-') ? "+" + number : number;
}

std::string grouped(long long value) {
  std::string digits = std::to_string(value);
  const std::ptrdiff_t sign = value < 0 ? 1 : 0;
  for (auto i = static_cast<std::ptrdiff_t>(digits.size()) - 3; i > sign; i -= 3)
    digits.insert(static_cast<std::size_t>(i), 1, ',');
  return digits;
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "n/a";
  if (seconds < 90) return fixed(seconds, seconds < 10 ? 1 : 0) + " s";
  if (seconds < 5400) return fixed(seconds / 60, 1) + " min";
  return fixed(seconds / 3600, 1) + " h";
}

bool is_summary(std::string_view task) { return task == "all" || task == "mean" || task == "overall"; }

double gain(const Row& row) { return row.psnr - row.psnr_source; }

// All tasks or methods in their order of appearance, except that known methods go first and summaries of all tasks last.
std::vector<std::string> names(const Report& report, std::string Row::* field) {
  std::vector<std::string> found;
  if (field == &Row::method)
    for (const Method& m : methods)
      if (std::any_of(report.rows.begin(), report.rows.end(), [&](const Row& r) { return r.method == m.name; }))
        found.emplace_back(m.name);
  for (const Row& row : report.rows)
    if (std::find(found.begin(), found.end(), row.*field) == found.end()) found.push_back(row.*field);
  if (field == &Row::task)
    std::stable_partition(found.begin(), found.end(), [](const std::string& task) { return !is_summary(task); });
  return found;
}

const Row* find_row(const Report& report, std::string_view method, std::string_view task) {
  for (const Row& row : report.rows)
    if (row.method == method && row.task == task) return &row;
  return nullptr;
}

// The mean over the tasks of what `value` takes from their rows.
template <class Value>
std::optional<double> mean_over_tasks(const Report& report, std::string_view method, Value value) {
  double sum = 0;
  int n = 0;
  for (const Row& row : report.rows)
    if (row.method == method && !is_summary(row.task) && std::isfinite(value(row))) {
      sum += value(row);
      ++n;
    }
  if (n == 0) return std::nullopt;
  return sum / n;
}

// ---- results.json ---------------------------------------------------------------------------------------------------

std::string results_json(const Report& report) {
  using Json = nlohmann::ordered_json;
  const auto number = [](double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); };  // JSON has no NaN
  Json rows = Json::array();
  for (const Row& row : report.rows)
    rows.push_back({{"method", row.method},
                    {"task", row.task},
                    {"n", row.n},
                    {"psnr_source", number(row.psnr_source)},
                    {"psnr", number(row.psnr)},
                    {"ssim", number(row.ssim)}});
  Json facts = Json::object();
  for (const auto& [name, value] : report.facts) facts[name] = value;
  const Json results{{"rows", std::move(rows)},
                     {"train_seconds", number(report.train_seconds)},
                     {"steps", report.steps},
                     {"generator_parameters", report.generator_parameters},
                     {"adapter_values", report.adapter_values},
                     {"facts", std::move(facts)}};
  return results.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";  // a file name may be no UTF-8
}

// ---- report.png -----------------------------------------------------------------------------------------------------

struct Ink {
  float r, g, b;
};
constexpr Ink paper{.976f, .973f, .965f}, ink{.13f, .14f, .17f}, faint{.45f, .46f, .50f}, line{.85f, .845f, .83f},
    better{.05f, .47f, .25f}, worse{.73f, .17f, .13f}, hollow{.925f, .92f, .91f};

void fill(Image& sheet, int x, int y, int width, int height, Ink colour) {
  const int right = std::min(x + width, sheet.width), bottom = std::min(y + height, sheet.height);
  for (int row = std::max(y, 0); row < bottom; ++row)
    for (int column = std::max(x, 0); column < right; ++column) {
      float* rgb = &sheet.rgb[sheet.at(column, row)];
      rgb[0] = colour.r;
      rgb[1] = colour.g;
      rgb[2] = colour.b;
    }
}

// The characters that the font has: typographic ones by their plain relatives, Chinese instructions by "(zh)", and
// "?" for the rest.
std::string plain(std::string_view utf8) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 14> relatives{{{"\u2018", "'"},
                                                                                     {"\u2019", "'"},
                                                                                     {"\u201c", "\""},
                                                                                     {"\u201d", "\""},
                                                                                     {"\u2013", "-"},
                                                                                     {"\u2014", "-"},
                                                                                     {"\u2212", "-"},
                                                                                     {"\u2026", "..."},
                                                                                     {"\u00d7", "x"},
                                                                                     {"\u00a0", " "},
                                                                                     {"\u00e9", "e"},
                                                                                     {"\u00e4", "a"},
                                                                                     {"\u00f6", "o"},
                                                                                     {"\u00fc", "u"}}};
  std::string text;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    if (c < 0x80) {
      text += c < 32 || c > 126 ? ' ' : utf8[i];
      ++i;
      continue;
    }
    if (c >= 0xe3 && c <= 0xe9) return "(zh)";  // the first bytes of U+3000 to U+9FFF
    const auto* match =
        std::find_if(relatives.begin(), relatives.end(), [&](const auto& r) { return utf8.substr(i).starts_with(r.first); });
    text += match != relatives.end() ? match->second : "?";
    do ++i;
    while (i < utf8.size() && (static_cast<unsigned char>(utf8[i]) & 0xc0) == 0x80);
  }
  return text;
}

int text_width(std::string text, int scale) { return scale * stb_easy_font_width(text.data()); }

// The font is made of rectangles on a grid of 12 rows, so it stays crisp at whole scales.
void draw_text(Image& sheet, int x, int y, std::string text, int scale, Ink colour, bool bold = false) {
  struct Corner {
    float x, y, z;
    std::array<unsigned char, 4> colour;
  };
  std::vector<Corner> corners(text.size() * 48 + 16);  // 12 rectangles a character are more than any of them needs
  const int room = static_cast<int>(corners.size() * sizeof(Corner));
  const int quads = stb_easy_font_print(0, 0, text.data(), nullptr, corners.data(), room);
  for (int q = 0; q < quads; ++q) {
    const Corner &from = corners[static_cast<std::size_t>(4 * q)], &to = corners[static_cast<std::size_t>(4 * q + 2)];
    const int left = static_cast<int>(from.x), top = static_cast<int>(from.y);
    fill(sheet, x + scale * left, y + scale * top, scale * (static_cast<int>(to.x) - left) + (bold ? (scale + 1) / 2 : 0),
         scale * (static_cast<int>(to.y) - top), colour);
  }
}

std::vector<std::string> wrapped(const std::string& text, int width, int scale) {
  std::vector<std::string> lines{""};
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = std::min(text.find(' ', i), text.size());
    const std::string word = text.substr(i, end - i), longer = lines.back() + (lines.back().empty() ? "" : " ") + word;
    if (lines.back().empty() || text_width(longer, scale) <= width) lines.back() = longer;
    else lines.push_back(word);
    i = end + 1;
  }
  return lines;
}

// Cut to the width, with dots where something is missing.
std::string fitted(std::string text, int width, int scale) {
  if (text_width(text, scale) <= width) return text;
  while (!text.empty() && text_width(text + "...", scale) > width) text.pop_back();
  return text + "...";
}

// Enlarged by whole pixels, so that nobody takes the enlargement's smoothness for the picture's; reduced smoothly.
void place(Image& sheet, const Image& image, int x, int y, int cell, int scale) {
  if (image.empty()) {
    fill(sheet, x, y, cell, cell, hollow);
    const std::string none = "no picture";
    draw_text(sheet, x + (cell - text_width(none, 1)) / 2, y + cell / 2 - 6, none, 1, faint);
    return;
  }
  check(image);
  const int longer = std::max(image.width, image.height);
  const Image* shown = &image;
  Image reduced;
  if (longer * scale > cell) {
    scale = 1;
    const auto side = [&](int n) { return std::max(1, static_cast<int>(std::int64_t{n} * cell / longer)); };
    reduced = resize(image, side(image.width), side(image.height));
    shown = &reduced;
  }
  x += (cell - shown->width * scale) / 2;
  y += (cell - shown->height * scale) / 2;
  for (int row = 0; row < shown->height * scale; ++row)
    for (int column = 0; column < shown->width * scale; ++column)
      std::copy_n(&shown->rgb[shown->at(column / scale, row / scale)], 3, &sheet.rgb[sheet.at(x + column, y + row)]);
}

int longest_side(std::span<const Example> examples) {
  int side = 1;
  for (const Example& e : examples)
    for (const Image* image : {&e.source, &e.base, &e.edited, &e.target})
      side = std::max({side, image->width, image->height});
  return side;
}

// ---- report.html ----------------------------------------------------------------------------------------------------

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  return out;
}

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k)
      three = three << 8 | (i + k < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k) text += i + k > bytes.size() ? '=' : alphabet[three >> (18 - 6 * k) & 63];
  }
  return text;
}

constexpr std::string_view style = R"(
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 1120px; padding: 2.5rem 1.5rem 4rem; background: #f9f8f6; color: #22242b;
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .8rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .7rem; }
.headline { font-size: 1.12rem; max-width: 54rem; margin: 0; }
.note { color: #6b6d76; font-size: .9rem; max-width: 54rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; background: #fff; }
th, td { padding: .38rem .55rem; text-align: right; border-bottom: 1px solid #e6e4de; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { font-weight: 600; font-size: .88rem; color: #4a4c55; }
.group { border-left: 1px solid #e6e4de; }
thead .over { text-align: center; color: #22242b; }
tr.sum td { font-weight: 600; border-top: 2px solid #c9c6bd; }
.up { color: #0d7840; font-weight: 600; }
.down { color: #ba2b21; font-weight: 600; }
.soft { color: #6b6d76; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.4rem; margin: 0; font-size: .95rem; }
dt { color: #6b6d76; }
dd { margin: 0; overflow-wrap: anywhere; }
svg { display: block; width: 100%; max-width: 760px; height: auto; background: #fff; border: 1px solid #e6e4de; }
.example { background: #fff; border: 1px solid #e6e4de; border-radius: 10px; padding: 1rem 1.1rem 1.1rem; margin: 0 0 1.2rem; }
.example p { margin: 0 0 .7rem; }
.task { display: inline-block; background: #e9edf5; color: #2c4a7c; border-radius: 99px; padding: .05rem .7rem;
        font-size: .85rem; font-weight: 600; margin-right: .6rem; }
.four { display: grid; grid-template-columns: repeat(4, 1fr); gap: .9rem; }
figure { margin: 0; }
figure img, .none { display: block; width: 100%; height: auto; border-radius: 4px; }
.none { aspect-ratio: 1; background: #efede8; }
img.small { image-rendering: pixelated; }
figcaption { font-size: .88rem; margin-top: .35rem; }
@media (max-width: 640px) { .four { grid-template-columns: repeat(2, 1fr); } }
)";

std::string coloured(double gain_db) {
  if (!std::isfinite(gain_db)) return "<span class=\"soft\">n/a</span>";
  const char* kind = gain_db >= .05 ? "up" : gain_db <= -.05 ? "down" : "soft";
  return wu::message("<span class=\"", kind, "\">", with_sign(gain_db, 2), "</span>");
}

// What the numbers say, in sentences.
std::string headline(const Report& report) {
  const auto own = mean_over_tasks(report, "pg", gain);
  std::string text;
  if (own) {
    const std::size_t tasks = static_cast<std::size_t>(std::count_if(
        report.rows.begin(), report.rows.end(), [](const Row& r) { return r.method == "pg" && !is_summary(r.task); }));
    text = wu::message(
        "With the adapters that the generator writes for each request, the frozen backbone's pictures end on "
        "average <strong>",
        fixed(std::abs(*own), 1), " dB ", *own >= 0 ? "closer to" : "farther from",
        "</strong> their targets than the sources were (",
        tasks == 1 ? std::string("one task") : wu::message("mean over ", tasks, " tasks"), "). ");
  } else {
    text = "Each row below shows what a frozen backbone makes of a picture and an instruction. ";
  }
  std::vector<std::string> others;
  const auto compare = [&](std::string_view method, std::string_view words) {
    if (const auto g = mean_over_tasks(report, method, gain))
      others.push_back(wu::message(words, " ", with_sign(*g, 1), " dB"));
  };
  compare("base", "the backbone alone gains");
  compare("pg_shuffle", "adapters written for another request,");
  compare("pg_wrong_image", "adapters written for the right instruction but another picture,");
  if (!others.empty() && own) {
    text += "For comparison: ";
    for (std::size_t i = 0; i < others.size(); ++i) text += (i > 0 ? "; " : "") + others[i];
    text += ". ";
  }
  if (!report.examples.empty())
    text +=
        "In every example below, compare <em>edited</em> with <em>target</em>; <em>base backbone</em> is the same "
        "network, given the same picture and instruction, without adapters.";
  return text;
}

std::string gains_table(const Report& report) {
  const std::vector<std::string> tasks = names(report, &Row::task), columns = names(report, &Row::method);
  std::string html = "<div class=\"scroll\"><table>\n<thead><tr><th></th><th></th><th>source</th>";
  for (const std::string& method : columns) {
    const Method* m = known(method);
    html += wu::message("<th class=\"over group\" colspan=\"3\">", m ? std::string(m->heading) : escaped(method), "</th>");
  }
  html += "</tr>\n<tr><th>task</th><th>n</th><th>PSNR</th>";
  for (std::size_t i = 0; i < columns.size(); ++i) html += "<th class=\"group\">gain</th><th>PSNR</th><th>SSIM</th>";
  html += "</tr></thead>\n<tbody>\n";
  bool summarised = false;
  for (const std::string& task : tasks) {
    const auto first = std::find_if(report.rows.begin(), report.rows.end(), [&](const Row& r) { return r.task == task; });
    summarised = summarised || is_summary(task);
    html += wu::message("<tr", is_summary(task) ? " class=\"sum\"" : "", "><td>", escaped(task), "</td><td class=\"soft\">",
                        first->n, "</td><td>", fixed(first->psnr_source, 2), "</td>");
    for (const std::string& method : columns) {
      const Row* row = find_row(report, method, task);
      if (row == nullptr) html += "<td class=\"group\"></td><td></td><td></td>";
      else
        html += wu::message("<td class=\"group\">", coloured(gain(*row)), "</td><td>", fixed(row->psnr, 2),
                            "</td><td class=\"soft\">", fixed(row->ssim, 3), "</td>");
    }
    html += "</tr>\n";
  }
  if (!summarised && tasks.size() > 1) {
    html += "<tr class=\"sum\"><td>mean over tasks</td><td></td><td></td>";
    for (const std::string& method : columns) {
      const auto mean = [&](auto value) { return mean_over_tasks(report, method, value).value_or(not_measured); };
      html += wu::message("<td class=\"group\">", coloured(mean(gain)), "</td><td>",
                          fixed(mean([](const Row& r) { return r.psnr; }), 2), "</td><td class=\"soft\">",
                          fixed(mean([](const Row& r) { return r.ssim; }), 3), "</td>");
    }
    html += "</tr>\n";
  }
  html +=
      "</tbody></table></div>\n<p class=\"note\">PSNR in dB against the target, mean over n pictures; gain is PSNR minus "
      "that of the unedited source. ";
  for (const std::string& method : columns)
    if (const Method* m = known(method)) html += wu::message("<strong>", m->heading, "</strong>: ", m->sentence, ". ");
  return html + "</p>\n";
}

// The curve as at most 300 means of neighbours, over the band between their smallest and largest.
std::string loss_svg(const Report& report) {
  struct Bucket {
    double step = 0, mean = 0, low = 0, high = 0;
  };
  const std::size_t n = report.loss_curve.size(), count = std::min<std::size_t>(n, 300);
  const double last_step = report.steps > 0 ? static_cast<double>(report.steps) : static_cast<double>(n);
  std::vector<Bucket> buckets;
  for (std::size_t b = 0; b < count; ++b) {
    const std::size_t from = b * n / count, to = (b + 1) * n / count;
    Bucket bucket;
    int finite = 0;
    for (std::size_t i = from; i < to; ++i) {
      const double v = report.loss_curve[i];
      if (!std::isfinite(v)) continue;
      bucket.low = finite == 0 ? v : std::min(bucket.low, v);
      bucket.high = finite == 0 ? v : std::max(bucket.high, v);
      bucket.mean += v;
      ++finite;
    }
    if (finite == 0) continue;
    bucket.mean /= finite;
    bucket.step = last_step * (.5 * static_cast<double>(from + to)) / static_cast<double>(n);
    buckets.push_back(bucket);
  }
  if (buckets.size() < 2) return "";

  double low = buckets[0].low, high = buckets[0].high;
  for (const Bucket& b : buckets) {
    low = std::min(low, b.low);
    high = std::max(high, b.high);
  }
  const bool logarithmic = low > 0 && high > 8 * low;
  const auto scale = [&](double v) { return logarithmic ? std::log10(v) : v; };
  double bottom = scale(low), top = scale(high);
  if (!(top > bottom)) {
    bottom -= .5;
    top += .5;
  }
  constexpr double width = 760, height = 240, left = 70, right = 20, above = 16, below = 40;
  const auto x = [&](double step) { return fixed(left + (width - left - right) * step / last_step, 1); };
  const auto y = [&](double v) { return fixed(above + (height - above - below) * (top - scale(v)) / (top - bottom), 1); };

  std::string svg = wu::message("<svg viewBox=\"0 0 ", width, " ", height,
                                "\" role=\"img\" aria-label=\"training loss\" "
                                "font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#6b6d76\">\n");
  for (int t = 0; t <= 4; ++t) {
    const double at = bottom + (top - bottom) * t / 4, v = logarithmic ? std::pow(10.0, at) : at;
    const double size = std::max(std::abs(v), 1e-12);
    const int digits = std::clamp(2 - static_cast<int>(std::floor(std::log10(size))), 0, 6);
    svg += wu::message("<line x1=\"", left, "\" x2=\"", width - right, "\" y1=\"", y(v), "\" y2=\"", y(v),
                       "\" stroke=\"#ece9e2\"/><text x=\"", left - 8, "\" y=\"", y(v), "\" dy=\"4\" text-anchor=\"end\">",
                       fixed(v, digits), "</text>\n");
    const double step = last_step * t / 4;
    svg += wu::message("<text x=\"", x(step), "\" y=\"", height - below + 18, "\" text-anchor=\"", t == 4 ? "end" : "middle",
                       "\">", grouped(std::llround(step)), "</text>\n");
  }
  svg += wu::message("<text x=\"", (left + width - right) / 2, "\" y=\"", height - 6,
                     "\" text-anchor=\"middle\">step</text>\n");
  svg += "<path fill=\"#2c4a7c\" fill-opacity=\".15\" d=\"";
  for (std::size_t i = 0; i < buckets.size(); ++i)
    svg += wu::message(i == 0 ? "M" : "L", x(buckets[i].step), " ", y(buckets[i].high));
  for (std::size_t i = buckets.size(); i-- > 0;) svg += wu::message("L", x(buckets[i].step), " ", y(buckets[i].low));
  svg += "Z\"/>\n<polyline fill=\"none\" stroke=\"#2c4a7c\" stroke-width=\"1.8\" stroke-linejoin=\"round\" points=\"";
  for (const Bucket& b : buckets) svg += wu::message(x(b.step), ",", y(b.mean), " ");
  svg += "\"/>\n</svg>\n";
  return wu::message(svg, "<p class=\"note\">Training loss", logarithmic ? ", logarithmic scale" : "",
                     n > count ? "; line: mean of neighbouring steps, band: their smallest to largest" : "", ".</p>\n");
}

std::string figure(const Image& image, std::string_view heading, const std::string& caption) {
  std::string html = "<figure>";
  if (image.empty()) html += "<div class=\"none\"></div>";
  else
    html += wu::message("<img", std::max(image.width, image.height) <= 128 ? " class=\"small\"" : "", " width=\"",
                        image.width, "\" height=\"", image.height, "\" alt=\"", heading, "\" src=\"data:image/png;base64,",
                        base64(encode_png(image)), "\">");
  return wu::message(html, "<figcaption><strong>", heading, "</strong>", caption.empty() ? "" : " &nbsp;", caption,
                     "</figcaption></figure>\n");
}

std::string page(const Report& report) {
  const std::string title = escaped(report.title.empty() ? "Editing report" : report.title);
  std::string html = wu::message(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      title, "</title>\n<style>", style, "</style>\n</head>\n<body>\n<h1>", title, "</h1>\n<p class=\"headline\">",
      headline(report), "</p>\n");
  if (!report.rows.empty()) html += "<h2>Gains</h2>\n" + gains_table(report);

  html += "<h2>The run</h2>\n<dl>\n";
  const auto fact = [&](std::string_view name, std::string_view value) {
    html += wu::message("<dt>", escaped(name), "</dt><dd>", escaped(value), "</dd>\n");
  };
  if (report.steps > 0) fact("training", wu::message(grouped(report.steps), " steps in ", duration(report.train_seconds)));
  if (report.generator_parameters > 0) fact("generator", grouped(report.generator_parameters) + " parameters");
  if (report.adapter_values > 0) fact("adapters", grouped(report.adapter_values) + " values for each request");
  for (const auto& [name, value] : report.facts) fact(name, value);
  html += "</dl>\n";

  if (const std::string svg = loss_svg(report); !svg.empty()) html += "<h2>Loss</h2>\n" + svg;

  if (!report.examples.empty()) html += "<h2>Examples</h2>\n";
  for (const Example& e : report.examples) {
    const auto level = [](double psnr) { return std::isfinite(psnr) ? fixed(psnr, 2) + " dB" : std::string(); };
    const auto change = [&](double psnr) {
      const double difference = psnr - e.psnr_source;
      return level(psnr) + (std::isfinite(difference) ? " (" + coloured(difference) + ")" : "");
    };
    html +=
        wu::message("<section class=\"example\">\n<p><span class=\"task\">", escaped(e.task), "</span>",
                    escaped(e.instruction), "</p>\n<div class=\"four\">\n", figure(e.source, "source", level(e.psnr_source)),
                    figure(e.base, "base backbone", change(e.psnr_base)), figure(e.edited, "edited", change(e.psnr_edited)),
                    figure(e.target, "target", ""), "</div>\n</section>\n");
  }
  return html + "</body>\n</html>\n";
}

}  // namespace

Image contact_sheet(const Report& report) {
  constexpr std::size_t most = 24;  // a taller sheet is no longer looked at as a whole
  constexpr int margin = 36, gap = 16, largest_cell = 512;
  constexpr std::int64_t most_pixels = 24 << 20;
  const std::span<const Example> examples(report.examples.data(), std::min(most, report.examples.size()));
  const int side = longest_side(examples), count = static_cast<int>(examples.size());

  // Pictures in cells of one size, text in proportion; less enlarged where the sheet would become too large.
  const auto cell_at = [&](int s) { return std::clamp(side * s, 160, largest_cell); };
  int scale = side <= 96 ? 4 : side <= 256 ? 2 : 1;
  while (scale > 1 && std::int64_t{4} * cell_at(scale) * cell_at(scale) * count > most_pixels) --scale;
  const int cell = cell_at(scale), inner = 4 * cell + 3 * gap;
  const int text = cell > 300 ? 3 : 2, text_height = 12 * text;

  const std::vector<std::string> title =
      wrapped(plain(report.title.empty() ? "Editing report" : report.title), inner, text + 1);
  std::string gains;
  for (const std::string& method : names(report, &Row::method))
    if (const auto mean = mean_over_tasks(report, method, gain))
      gains += wu::message(gains.empty() ? "mean gain over the source, dB:  " : ",  ",
                           known(method) ? std::string(known(method)->heading) : plain(method), " ", with_sign(*mean, 1));
  const std::vector<std::string> summary = gains.empty() ? std::vector<std::string>{} : wrapped(gains, inner, text);
  const int title_height = static_cast<int>(title.size()) * 12 * (text + 1) + 6;
  const int summary_height = static_cast<int>(summary.size()) * text_height + (summary.empty() ? 0 : 8);
  const int row_height = 12 + text_height + 8 + cell + 8 + text_height + 18;
  const std::string left_out = report.examples.size() > examples.size()
                                   ? wu::message("and ", report.examples.size() - examples.size(), " more in report.html")
                                   : std::string();

  Image sheet = blank(inner + 2 * margin, margin + title_height + summary_height + 16 + text_height + 4 +
                                              count * row_height + (left_out.empty() ? 0 : text_height) + margin / 2);
  fill(sheet, 0, 0, sheet.width, sheet.height, paper);
  int y = margin;
  for (const std::string& words : title) {
    draw_text(sheet, margin, y, words, text + 1, ink, true);
    y += 12 * (text + 1);
  }
  y += 6;
  for (const std::string& words : summary) {
    draw_text(sheet, margin, y, words, text, faint);
    y += text_height;
  }
  y += summary.empty() ? 16 : 24;
  constexpr std::array<const char*, 4> headings{"source", "base backbone", "edited", "target"};
  for (int column = 0; column < 4; ++column)
    draw_text(sheet, margin + column * (cell + gap), y, headings[static_cast<std::size_t>(column)], text, ink, true);
  y += text_height + 4;

  for (const Example& e : examples) {
    fill(sheet, margin, y, inner, text - 1, line);
    const std::string task = fitted(plain(e.task), inner / 2, text);
    const int indent = text_width(task, text) + 10 * text;
    draw_text(sheet, margin, y + 12, task, text, ink, true);
    draw_text(sheet, margin + indent, y + 12, fitted(plain(e.instruction), inner - indent, text), text, faint);
    const int pictures = y + 12 + text_height + 8, below = pictures + cell + 8;
    const std::array<const Image*, 4> images{&e.source, &e.base, &e.edited, &e.target};
    const std::array<double, 4> levels{e.psnr_source, e.psnr_base, e.psnr_edited, not_measured};
    for (std::size_t column = 0; column < 4; ++column) {
      const int x = margin + static_cast<int>(column) * (cell + gap);
      place(sheet, *images[column], x, pictures, cell, scale);
      if (!std::isfinite(levels[column])) continue;
      const std::string level = fixed(levels[column], 2) + " dB";
      draw_text(sheet, x, below, level, text, ink);
      const double change = levels[column] - e.psnr_source;
      if (column > 0 && std::isfinite(change))
        draw_text(sheet, x + text_width(level + "  ", text), below, with_sign(change, 2), text,
                  change >= .05    ? better
                  : change <= -.05 ? worse
                                   : faint);
    }
    y += row_height;
  }
  if (!left_out.empty()) draw_text(sheet, margin, y, left_out, text, faint);
  return sheet;
}

void write_report(const std::filesystem::path& folder, const Report& report) {
  const std::string json = results_json(report), html = page(report);
  const std::vector<std::byte> sheet = encode_png(contact_sheet(report));
  make_folder(folder);
  write_file(folder / "results.json", json);
  write_file(folder / "report.png", sheet);
  write_file(folder / "report.html", html);
}

}  // namespace edit
