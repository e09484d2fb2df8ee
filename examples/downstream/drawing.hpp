// A picture of some held-out springs as an SVG file, for a browser: no library needed.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace springs {

struct Curve {
  const char* name;
  const char* style;        ///< SVG attributes: colour, width, dashes
  std::vector<double> y{};  ///< at equal distances over 0 <= t <= 1
};
struct Panel {
  std::string title;
  std::vector<Curve> curves;                        ///< drawn one over the other
  std::vector<std::pair<double, double>> points{};  ///< (t, y)
};

inline std::string draw(const std::vector<Panel>& panels) {
  constexpr double width = 310, height = 190, gap = 20, top = 76, columns = 3;
  const auto number = [](double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", v);
    return std::string(text);
  };
  const std::size_t full_rows = (panels.size() + 2) / 3;
  const auto rows = static_cast<double>(full_rows);
  const std::string full_width = number(gap + columns * (width + gap)), full_height = number(top + rows * (height + gap));
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + full_width + " " + full_height +
                    "\" font-family=\"system-ui, sans-serif\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
                    "<text x=\"20\" y=\"32\" font-size=\"18\" font-weight=\"600\" fill=\"#212529\">One frozen network, "
                    "adapters written for each spring from twelve measurements</text>\n";
  double x = gap;
  for (const Curve& curve : panels.at(0).curves) {
    svg += "<line x1=\"" + number(x) + "\" x2=\"" + number(x + 26) + "\" y1=\"54\" y2=\"54\" " + curve.style +
           "/><text x=\"" + number(x + 33) + "\" y=\"58.5\" font-size=\"13\" fill=\"#495057\">" + curve.name + "</text>\n";
    x += 62 + 6.6 * static_cast<double>(std::string_view(curve.name).size());
  }
  svg += "<circle cx=\"" + number(x) + "\" cy=\"54\" r=\"4\" fill=\"#1c7ed6\"/><text x=\"" + number(x + 10) +
         "\" y=\"58.5\" font-size=\"13\" fill=\"#495057\">measured</text>\n";
  for (std::size_t k = 0; k < panels.size(); ++k) {
    const std::size_t row = k / 3, column = k % 3;
    const double left = gap + static_cast<double>(column) * (width + gap),
                 upper = top + static_cast<double>(row) * (height + gap), middle = upper + height / 2 + 8;
    const auto at = [&](double t, double y) {
      return number(left + 12 + t * (width - 24)) + "," + number(middle - y * (height / 2 - 18) / 1.2);
    };
    svg += "<rect x=\"" + number(left) + "\" y=\"" + number(upper) + "\" width=\"" + number(width) + "\" height=\"" +
           number(height) + "\" rx=\"10\" fill=\"#f8f9fa\"/>\n<line x1=\"" + number(left + 12) + "\" x2=\"" +
           number(left + width - 12) + "\" y1=\"" + number(middle) + "\" y2=\"" + number(middle) +
           "\" stroke=\"#dee2e6\"/>\n";
    for (const Curve& curve : panels[k].curves) {
      svg += std::string("<polyline fill=\"none\" stroke-linejoin=\"round\" ") + curve.style + " points=\"";
      for (std::size_t i = 0; i < curve.y.size(); ++i)
        svg += at(static_cast<double>(i) / static_cast<double>(curve.y.size() - 1), curve.y[i]) + " ";
      svg += "\"/>\n";
    }
    for (const auto& [t, y] : panels[k].points) {
      const std::string place = at(t, y);
      const std::size_t comma = place.find(',');
      svg += "<circle cx=\"" + place.substr(0, comma) + "\" cy=\"" + place.substr(comma + 1) +
             "\" r=\"4\" fill=\"#1c7ed6\" stroke=\"#ffffff\" stroke-width=\"1.2\"/>\n";
    }
    svg += "<text x=\"" + number(left + width - 12) + "\" y=\"" + number(upper + 20) +
           "\" text-anchor=\"end\" font-size=\"12\" fill=\"#868e96\">" + panels[k].title + "</text>\n";
  }
  return svg + "</svg>\n";
}

}  // namespace springs
