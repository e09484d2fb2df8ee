#include "edit/neutral.hpp"

#include <algorithm>
#include <cmath>

namespace edit {

namespace {

/// The picture moved: out(x, y) = in(x - dx, y - dy).
Image moved(const Image& in, int dx, int dy) {
  Image out = in;
  for (int y = 0; y < in.height; ++y)
    for (int x = 0; x < in.width; ++x)
      for (int c = 0; c < 3; ++c)
        out.rgb[out.at(x, y, c)] =
            in.rgb[in.at(std::clamp(x - dx, 0, in.width - 1), std::clamp(y - dy, 0, in.height - 1), c)];
  return out;
}

/// grey + gain * (a - b), one pixel at a time.
Image difference(const Image& a, const Image& b, float gain) {
  Image out = a;
  for (std::size_t k = 0; k < out.rgb.size(); ++k) out.rgb[k] = std::clamp(0.5f + gain * (a.rgb[k] - b.rgb[k]), 0.0f, 1.0f);
  return out;
}

/// The channels in another order.
Image channels(const Image& in, std::array<int, 3> order) {
  return each_pixel(in, [&](float& r, float& g, float& b) {
    const float v[] = {r, g, b};
    r = v[order[0]], g = v[order[1]], b = v[order[2]];
  });
}

/// Turns the hue by an angle about the grey axis: luma and saturation stay.
Image hue(const Image& in, double degrees) {
  const double a = degrees * 3.14159265358979 / 180, c = std::cos(a), s = std::sin(a), k = (1 - c) / 3,
               q = s / std::sqrt(3.0);
  return each_pixel(in, [&](float& r, float& g, float& b) {
    const double x = r, y = g, z = b;
    r = static_cast<float>(std::clamp(x * (c + k) + y * (k - q) + z * (k + q), 0.0, 1.0));
    g = static_cast<float>(std::clamp(x * (k + q) + y * (c + k) + z * (k - q), 0.0, 1.0));
    b = static_cast<float>(std::clamp(x * (k - q) + y * (k + q) + z * (c + k), 0.0, 1.0));
  });
}

Image edges(const Image& in) {
  const Image left = moved(in, 1, 0), right = moved(in, -1, 0), up = moved(in, 0, 1), down = moved(in, 0, -1);
  Image out = in;
  for (std::size_t k = 0; k < out.rgb.size(); ++k)
    out.rgb[k] = std::min(1.0f, 2 * std::hypot(right.rgb[k] - left.rgb[k], down.rgb[k] - up.rgb[k]));
  return out;
}

}  // namespace

const std::vector<NeutralEdit>& neutral_edits() {
  static const std::vector<NeutralEdit> all = [] {
    std::vector<NeutralEdit> e;
    e.push_back(
        {"keep", {"keep the picture", "change nothing", "same picture", "保持不变"}, [](const Image& in) { return in; }});
    e.push_back({"rotate hue", {"rotate the colours", "turn the hue", "shift every hue", "旋转色相"}, [](const Image& in) {
                   return channels(in, {1, 2, 0});
                 }});
    e.push_back({"rotate hue back",
                 {"rotate the colours backwards", "turn the hue the other way", "反向旋转色相"},
                 [](const Image& in) { return channels(in, {2, 0, 1}); }});
    e.push_back({"hue 60", {"a sixth of the colour wheel", "move hues by sixty degrees", "色相六十度"}, [](const Image& in) {
                   return hue(in, 60);
                 }});
    e.push_back(
        {"hue 180", {"opposite hues", "complementary hues", "互补色"}, [](const Image& in) { return hue(in, 180); }});
    e.push_back({"swap red blue", {"swap red and blue", "exchange red with blue", "红蓝互换"}, [](const Image& in) {
                   return channels(in, {2, 1, 0});
                 }});
    e.push_back({"swap red green", {"swap red and green", "exchange red with green", "红绿互换"}, [](const Image& in) {
                   return channels(in, {1, 0, 2});
                 }});
    e.push_back({"swap green blue", {"swap green and blue", "exchange green with blue", "绿蓝互换"}, [](const Image& in) {
                   return channels(in, {0, 2, 1});
                 }});
    e.push_back({"negative", {"invert", "photographic negative", "negative image", "反相"}, [](const Image& in) {
                   return each_pixel(in, [](float& r, float& g, float& b) { r = 1 - r, g = 1 - g, b = 1 - b; });
                 }});
    e.push_back({"solarise", {"solarise", "sabattier effect", "曝晒反转"}, [](const Image& in) {
                   return each_pixel(in, [](float& r, float& g, float& b) {
                     for (float* v : {&r, &g, &b}) *v = 1 - std::fabs(2 * *v - 1);
                   });
                 }});
    e.push_back({"edges", {"draw the edges", "outlines only", "edge map", "勾勒边缘"}, edges});
    e.push_back({"relief", {"emboss", "relief like a coin", "浮雕"}, [](const Image& in) {
                   return difference(moved(in, -1, -1), moved(in, 1, 1), 0.7f);
                 }});
    e.push_back({"slope across", {"horizontal derivative", "slope from left to right", "水平导数"}, [](const Image& in) {
                   return difference(moved(in, -1, 0), moved(in, 1, 0), 1.0f);
                 }});
    e.push_back({"slope down", {"vertical derivative", "slope from top to bottom", "垂直导数"}, [](const Image& in) {
                   return difference(moved(in, 0, -1), moved(in, 0, 1), 1.0f);
                 }});
    e.push_back({"curvature", {"laplacian", "curvature map", "拉普拉斯"}, [](const Image& in) {
                   Image ring = moved(in, 1, 0);
                   for (const Image& other : {moved(in, -1, 0), moved(in, 0, 1), moved(in, 0, -1)})
                     for (std::size_t k = 0; k < ring.rgb.size(); ++k) ring.rgb[k] += other.rgb[k];
                   for (float& v : ring.rgb) v /= 4;
                   return difference(in, ring, 2.0f);
                 }});
    struct Move {
      std::string_view name;
      std::vector<std::string_view> phrases;
      int dx, dy;
    };
    const std::vector<Move> moves{{"left 1", {"one pixel left", "左移一像素"}, -1, 0},
                                  {"right 1", {"one pixel right", "右移一像素"}, 1, 0},
                                  {"up 1", {"one pixel up", "上移一像素"}, 0, -1},
                                  {"down 1", {"one pixel down", "下移一像素"}, 0, 1},
                                  {"left 2", {"two pixels left", "左移两像素"}, -2, 0},
                                  {"right 2", {"two pixels right", "右移两像素"}, 2, 0},
                                  {"up 2", {"two pixels up", "上移两像素"}, 0, -2},
                                  {"down 2", {"two pixels down", "下移两像素"}, 0, 2},
                                  {"corner 3", {"three pixels diagonally", "斜移三像素"}, 3, 3},
                                  {"corner -3", {"three pixels back diagonally", "反斜移三像素"}, -3, -3},
                                  {"across 4", {"four pixels across", "横移四像素"}, 4, 0},
                                  {"along 4", {"four pixels along", "纵移四像素"}, 0, 4}};
    for (const Move& m : moves) e.push_back({m.name, m.phrases, [m](const Image& in) { return moved(in, m.dx, m.dy); }});
    // Colour planes moved apart: filters that differ between channels.
    e.push_back({"fringes", {"split the colour planes", "chromatic fringes", "色散边"}, [](const Image& in) {
                   Image out = in;
                   const Image left = moved(in, -2, 0), right = moved(in, 2, 0);
                   for (std::size_t k = 0; k < out.rgb.size(); k += 3)
                     out.rgb[k] = left.rgb[k], out.rgb[k + 2] = right.rgb[k + 2];
                   return out;
                 }});
    return e;
  }();
  return all;
}

}  // namespace edit
