#include "edit/synthetic.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <vector>

#include "wu/core/random.hpp"

namespace edit {
namespace {

constexpr float pi = std::numbers::pi_v<float>;

// ---- colours: linear light, so that shading multiplies and edges mix as light does ----------------------------------

struct Colour {
  float r, g, b;
  friend Colour operator*(Colour c, float f) { return {c.r * f, c.g * f, c.b * f}; }
  friend Colour operator*(Colour c, Colour d) { return {c.r * d.r, c.g * d.g, c.b * d.b}; }
  friend Colour operator+(Colour c, Colour d) { return {c.r + d.r, c.g + d.g, c.b + d.b}; }
};

Colour mix(Colour from, Colour to, float t) { return from * (1 - t) + to * t; }
float luminance(Colour c) { return 0.2126f * c.r + 0.7152f * c.g + 0.0722f * c.b; }

// Hue in turns, saturation and brightness in [0, 1], as painters' programs have them.
Colour from_hsv(float hue, float saturation, float value) {
  const auto channel = [&](float offset) {
    const float k = std::fmod(offset + 6 * (hue - std::floor(hue)), 6.0f);
    const float s = value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0f, 1.0f));
    return std::pow(s, 2.2f);
  };
  return {channel(5), channel(3), channel(1)};
}

// A kind of matter: where its colours lie, how far they spread, and how often it is met.
struct Matter {
  float hue, saturation, value;
  float hue_spread, saturation_spread, value_spread;
  float weight;
};
constexpr std::array<Matter, 17> matters{{
    {.27f, .50f, .38f, .035f, .15f, .16f, 3.0f},  // leaves
    {.22f, .45f, .58f, .030f, .15f, .14f, 1.5f},  // grass in the sun
    {.36f, .35f, .22f, .040f, .12f, .08f, 1.2f},  // conifers, shade
    {.08f, .45f, .34f, .025f, .15f, .15f, 2.5f},  // soil, bark
    {.09f, .33f, .62f, .020f, .10f, .12f, 2.0f},  // wood, straw, sand
    {.10f, .16f, .72f, .030f, .07f, .12f, 1.6f},  // plaster, limestone
    {.08f, .05f, .45f, .200f, .04f, .20f, 2.5f},  // stone, concrete
    {.60f, .06f, .80f, .100f, .05f, .10f, 1.5f},  // clouds, white walls
    {.58f, .40f, .74f, .020f, .14f, .12f, 1.6f},  // sky
    {.57f, .55f, .36f, .040f, .15f, .13f, 1.2f},  // water
    {.62f, .22f, .20f, .040f, .10f, .09f, 1.2f},  // dusk, slate
    {.05f, .42f, .74f, .015f, .09f, .12f, 1.2f},  // skin
    {.02f, .62f, .48f, .015f, .13f, .13f, 1.0f},  // brick, rust
    {.99f, .78f, .66f, .025f, .12f, .16f, 0.7f},  // red paint, flowers
    {.14f, .72f, .84f, .025f, .14f, .10f, 0.7f},  // yellow
    {.50f, .55f, .55f, .080f, .20f, .20f, 0.6f},  // paint and cloth, green to blue
    {.83f, .42f, .58f, .070f, .16f, .18f, 0.5f},  // violet and pink
}};

// ---- noise ----------------------------------------------------------------------------------------------------------

// Smoothly interpolated random numbers on a lattice that repeats every 64 steps: one octave of band-limited noise.
class Noise {
 public:
  explicit Noise(wu::Random& random) {
    for (float& v : values_) v = static_cast<float>(random()) * 0x1p-31f - 1;
  }

  // In [-1, 1], one feature per unit.
  float operator()(float x, float y) const {
    const int ix = below(x), iy = below(y);
    const float u = fade(x - static_cast<float>(ix)), v = fade(y - static_cast<float>(iy));
    const float* row = &values_[static_cast<std::size_t>((iy & 63) * 64)];
    const float* next = &values_[static_cast<std::size_t>(((iy + 1) & 63) * 64)];
    const int left = ix & 63, right = (ix + 1) & 63;
    return blend(blend(row[left], row[right], u), blend(next[left], next[right], u), v);
  }

  // Octaves from one feature per unit up, each `gain` times as strong as the one before; the last is faded in by the
  // fraction of `octaves`. About unit variance at any gain.
  float fractal(float x, float y, float octaves, float gain) const {
    float sum = 0, weight = 1, power = 0;
    for (; octaves > 0; --octaves) {
      const float w = weight * std::min(octaves, 1.0f);
      sum += w * (*this)(x, y);
      power += w * w;
      weight *= gain;
      const float turned = 1.6f * x - 1.2f * y + 17.3f;  // turned by 37 degrees: the lattices' axes never line up
      y = 1.2f * x + 1.6f * y + 41.7f;
      x = turned;
    }
    return power > 0 ? 2.6f * sum / std::sqrt(power) : 0;
  }

  float cell(int x, int y) const { return values_[static_cast<std::size_t>((y & 63) * 64 + (x & 63))]; }

 private:
  static int below(float v) {  // std::floor is a call where the processor has no instruction for it
    const int i = static_cast<int>(v);
    return i - (static_cast<float>(i) > v ? 1 : 0);
  }
  static float fade(float t) { return t * t * (3 - 2 * t); }
  static float blend(float from, float to, float t) { return from + (to - from) * t; }
  std::array<float, 4096> values_{};
};

// ---- a leaf ---------------------------------------------------------------------------------------------------------

enum class Shape { ellipse, box, polygon, blob };
enum class Pattern { plain, cloudy, fibres, stripes, tiles, speckle };

struct Point {
  float x, y;
};

struct Leaf {
  Shape shape = Shape::ellipse;
  Point centre{};
  float radius = 1;            // of the circle around it
  float cosine = 1, sine = 0;  // its turn
  float a = 1, b = 1;          // half axes; for a box half sides
  float rounding = 0;          // of a box's corners
  int corners = 0;
  std::array<Point, 7> edges{};  // of a polygon: outward normals; all edges touch the circle of radius a
  float ragged = 0;              // how far noise pushes the outline, and over how many pixels
  float ragged_scale = 1;
  float softness = 1;  // pixels from inside to outside

  Colour colour{}, other{};  // ground and figure of the pattern
  Pattern pattern = Pattern::plain;
  float scale = 8, stretch = 1;  // pixels per feature, and how much longer than wide a feature is
  float octaves = 0, gain = .6f;
  float contrast = 0;
  Point pattern_offset{};
  float slope_x = 0, slope_y = 0;  // shading across the leaf, in log light per radius
  float roundness = 0;             // shading towards the rim

  Point local(float x, float y) const {
    const float dx = x - centre.x, dy = y - centre.y;
    return {cosine * dx + sine * dy, cosine * dy - sine * dx};
  }

  // Signed distance from the outline in pixels, negative inside; exact near the outline, which is where it matters.
  float distance(Point p, const Noise& noise) const {
    float d = 0;
    switch (shape) {
      case Shape::ellipse:
      case Shape::blob: {
        const float u = p.x / a, v = p.y / b, f = std::sqrt(u * u + v * v);
        const float gradient = std::sqrt(u * u / (a * a) + v * v / (b * b));
        d = gradient > 0 ? f * (f - 1) / gradient : -std::min(a, b);
        break;
      }
      case Shape::box: {
        const float u = std::abs(p.x) - a + rounding, v = std::abs(p.y) - b + rounding;
        const float out_u = std::max(u, 0.0f), out_v = std::max(v, 0.0f);
        d = std::sqrt(out_u * out_u + out_v * out_v) + std::min(std::max(u, v), 0.0f) - rounding;
        break;
      }
      case Shape::polygon: {
        d = -a;
        for (int e = 0; e < corners; ++e) {
          const Point n = edges[static_cast<std::size_t>(e)];
          d = std::max(d, n.x * p.x + n.y * p.y - a);
        }
        break;
      }
    }
    if (ragged > 0 && std::abs(d) < 3 * ragged + softness)  // farther in or out the noise could not matter
      d += ragged * noise.fractal((p.x + pattern_offset.x) / ragged_scale, (p.y + pattern_offset.y) / ragged_scale, 3, .45f);
    return d;
  }

  Colour at(Point p, const Noise& noise) const {
    float light = 0;
    const float inverse = 1 / radius;
    light += (slope_x * p.x + slope_y * p.y) * inverse;
    if (roundness > 0) {
      const float q = (p.x * p.x / (a * a) + p.y * p.y / (b * b));
      light -= roundness * std::min(q, 1.5f);
    }
    const float x = (p.x + pattern_offset.x) / (scale * stretch), y = (p.y + pattern_offset.y) / scale;
    Colour c = colour;
    switch (pattern) {
      case Pattern::plain: break;
      case Pattern::cloudy:
      case Pattern::fibres: {
        const float n = noise.fractal(x, y, octaves, gain);
        light += contrast * n;
        c = mix(colour, other, std::clamp(.25f + .25f * n, 0.0f, 1.0f));
        break;
      }
      case Pattern::stripes: {
        const float bent = y + .35f * noise(.23f * x, .23f * y);
        const float wave = std::clamp(.5f + 1.2f * std::sin(2 * pi * .5f * bent), 0.0f, 1.0f);
        c = mix(colour, other, wave);
        light += contrast * .5f * noise.fractal(3 * x, 3 * y, octaves, gain);
        break;
      }
      case Pattern::tiles: {  // bricks, windows, scales: cells with a colour each, with joints between them
        const float row = std::floor(y), shift = .5f * (static_cast<int>(row) & 1 ? 1.0f : 0.0f);
        const float column = std::floor(x + shift), u = x + shift - column, v = y - row;
        const float n = noise.cell(static_cast<int>(column), static_cast<int>(row));
        light += contrast * n + .4f * contrast * noise.fractal(2 * x, 2 * y, octaves, gain);
        const float edge = std::min(std::min(u, 1 - u) * scale * stretch, std::min(v, 1 - v) * scale);
        c = mix(other, colour, std::clamp(edge - .03f * scale, 0.0f, 1.0f));
        break;
      }
      case Pattern::speckle: {
        const float n = noise.fractal(x, y, octaves, gain);
        c = mix(colour, other, std::clamp(.5f + 2.2f * (n - .55f), 0.0f, 1.0f));
        light += .6f * contrast * n;
        break;
      }
    }
    return c * std::exp(light);
  }
};

// ---- the scene ------------------------------------------------------------------------------------------------------

// What all leaves of one picture have in common.
struct Scene {
  Scene(wu::Random& random, float side) : size(side) {
    const auto draw = [&](double from, double to) { return static_cast<float>(random.uniform(from, to)); };

    kinds = 2 + static_cast<int>(random.below(4));
    float total = 0;
    for (const Matter& m : matters) total += m.weight;
    for (int k = 0; k < kinds; ++k) {
      float t = draw(0, total);
      std::size_t m = 0;
      while (m + 1 < matters.size() && t >= matters[m].weight) t -= matters[m++].weight;
      palette[static_cast<std::size_t>(k)] = matters[m];
    }
    saturation = random.below(12) == 0 ? 0 : draw(.7, 1.3);
    spread = draw(.6, 1.7);

    // Radii: density proportional to r^-exponent between smallest and largest; 3 makes the picture look alike at any scale.
    exponent = draw(2.3, 3.3);
    smallest = std::max(1.2f, size * std::exp(draw(std::log(.006), std::log(.05))));
    largest = size * draw(.2, .6);

    // An angular, a round or a mixed world, mostly upright or turned at will, more or less textured.
    boxes = draw(0, 1) * draw(0, 1.2);
    polygons = draw(0, .5);
    blobs = draw(0, 1);
    thin = draw(0, .12) * draw(0, 1);
    upright = random.below(2) == 0 ? 0 : draw(.3, 1);
    texture = std::exp(draw(std::log(.5), std::log(2.2)));
    const std::array<float, 6> usual{.6f, 3.0f, 2.2f, .6f, .8f, 1.4f};  // in the order of Pattern
    for (std::size_t k = 0; k < usual.size(); ++k) patterns[k] = usual[k] * draw(0, 1) * draw(0, 1);
    calm = random.below(3) == 0 ? 0 : draw(.4, 1.8);
    gain = draw(.6, .95);
    blurred = random.below(3) == 0 ? draw(.2, .8) : draw(0, .08);
    shadow = random.below(3) == 0 ? 0 : draw(.2, .7);
    const float from = draw(0, 2 * std::numbers::pi), length = draw(.01, .05) * size;
    shadow_offset = {length * std::cos(from), length * std::abs(std::sin(from))};  // the sun stands above
    haze = random.below(4) == 0 ? draw(.2, .85) : 0;
    const bool outdoors = random.below(3) == 0;
    horizon = outdoors ? draw(.15, .7) : draw(-.5, 1.2);
    open = outdoors ? horizon * draw(.6, 1.1) : 0;
  }

  float size;
  std::array<Matter, 5> palette{};
  int kinds = 0;
  float saturation = 1, spread = 1;
  float exponent = 3, smallest = 2, largest = 100;
  float boxes = 0, polygons = 0, blobs = 0, thin = 0, upright = 0;
  std::array<float, 6> patterns{};  // how often each occurs
  float calm = 0;                   // how much small leaves keep away from some places
  float texture = 1, gain = .6f, blurred = 0;
  float shadow = 0;
  Point shadow_offset{};
  float haze = 0;     // how much of the light the air between swallows at the far end
  float open = 0;     // share of the picture that no leaf needs to cover
  float horizon = 0;  // in heights from the top

  Colour colour_of(const Matter& m, wu::Random& random) const {
    const auto around = [&](float mean, float deviation) { return mean + deviation * static_cast<float>(random.normal()); };
    const float s = std::clamp(around(m.saturation, m.saturation_spread), 0.0f, .95f) * saturation;
    return from_hsv(around(m.hue, m.hue_spread), std::min(s, .97f),
                    std::clamp(around(m.value, m.value_spread * spread), .03f, .98f));
  }
};

class Painter {
 public:
  Painter(std::uint64_t seed, std::uint64_t index, int size)
      : random_(seed, "dead leaves", index),
        noise_(random_),
        scene_(random_, static_cast<float>(size)),
        size_(size),
        seen_(static_cast<std::size_t>(size) * static_cast<std::size_t>(size)),
        through_(seen_.size(), 1.0f),
        lit_(seen_.size(), 1.0f),
        left_(static_cast<double>(seen_.size())) {}

  Image picture() {
    // The nearest leaf first: what it hides need never be computed.
    const double enough = left_ * std::max(.003, static_cast<double>(scene_.open));
    constexpr int most = 8000, pause = 200;
    double before = left_;
    veil_ = scene_.colour_of({.58f, .12f, .8f, .05f, .08f, .08f, 0}, random_);
    for (int n = 0; n < most && left_ > enough; ++n) {
      depth_ = static_cast<float>(1 - left_ / static_cast<double>(seen_.size()));
      paint(next_leaf());
      if (n % pause == pause - 1) {  // where leaves hardly reach, the backdrop shows
        if (before - left_ < .002 * static_cast<double>(seen_.size())) break;
        before = left_;
      }
    }
    depth_ = 1;
    backdrop();
    return develop();
  }

 private:
  float draw(double from, double to) { return static_cast<float>(random_.uniform(from, to)); }
  bool chance(float p) { return draw(0, 1) < p; }

  // Neighbours tend to be of one kind: which one, a slow field over the picture decides, with some dice.
  const Matter& matter_at(Point p) {
    const float field = noise_.fractal(2.1f * p.x / scene_.size + 7, 2.1f * p.y / scene_.size + 3, 2, .5f);
    const float t = .5f + .32f * field + .22f * static_cast<float>(random_.normal());
    const int k = static_cast<int>(std::floor(std::clamp(t, 0.0f, .999f) * static_cast<float>(scene_.kinds)));
    return scene_.palette[static_cast<std::size_t>(k)];
  }

  Leaf next_leaf() {
    Leaf leaf;
    const float size = scene_.size;
    // Inverse of the cumulative distribution of r^-exponent on [smallest, largest].
    const float e = 1 - scene_.exponent;
    const float low = std::pow(scene_.smallest, e), high = std::pow(std::max(scene_.largest, 2 * scene_.smallest), e);
    float r = std::pow(low + draw(0, 1) * (high - low), 1 / e);

    leaf.centre = {draw(-.15, 1.15) * size, draw(-.15, 1.15) * size};
    if (scene_.open > 0) leaf.centre.y = (scene_.horizon + (1.15f - scene_.horizon) * draw(-.12, 1)) * size;
    if (scene_.calm > 0) {
      const float x = 2.6f * leaf.centre.x / size + 31, y = 2.6f * leaf.centre.y / size + 13;
      r = std::max(r, scene_.smallest * std::exp(scene_.calm * (noise_.fractal(x, y, 2, .5f) + .3f)));
      r = std::min(r, scene_.largest);
    }
    const float kind = draw(0, .6f + scene_.boxes + scene_.polygons + scene_.blobs);
    const float turn =
        chance(scene_.upright) ? .04f * draw(-1, 1) + (chance(.3f) ? pi / 2 : 0.0f) : draw(0, 2 * std::numbers::pi);
    leaf.cosine = std::cos(turn);
    leaf.sine = std::sin(turn);
    const float aspect = std::exp(draw(0, 1) * draw(0, 1.3));
    leaf.a = r * std::sqrt(aspect);
    leaf.b = r / std::sqrt(aspect);
    if (chance(scene_.thin) && r > 4) {  // twigs, poles, wires
      leaf.shape = Shape::box;
      leaf.a = r * draw(2, 5);
      leaf.b = std::max(.5f, size * draw(.002, .012));
      leaf.ragged = chance(.5f) ? .6f * leaf.b : 0;
      leaf.ragged_scale = 6 * leaf.b;
    } else if (kind < scene_.boxes) {
      leaf.shape = Shape::box;
      leaf.rounding = chance(.3f) ? leaf.b * draw(.05, .5) : 0;
    } else if (kind < scene_.boxes + scene_.polygons) {
      leaf.shape = Shape::polygon;
      leaf.corners = 3 + static_cast<int>(random_.below(5));
      leaf.a = leaf.b = .7f * r;
      for (int c = 0; c < leaf.corners; ++c) {
        const float angle = 2 * pi * (static_cast<float>(c) + draw(-.3, .3)) / static_cast<float>(leaf.corners);
        leaf.edges[static_cast<std::size_t>(c)] = {std::cos(angle), std::sin(angle)};
      }
    } else if (kind < scene_.boxes + scene_.polygons + scene_.blobs) {
      leaf.shape = Shape::blob;
      leaf.ragged = std::min(leaf.b * draw(.05, .25), .06f * size);
      leaf.ragged_scale = std::max(leaf.b * draw(.4, 1.2), 3 * leaf.ragged);
    }
    const float reach = leaf.shape == Shape::polygon ? 2.2f * leaf.a : std::sqrt(leaf.a * leaf.a + leaf.b * leaf.b);
    leaf.radius = leaf.shape == Shape::ellipse || leaf.shape == Shape::blob ? std::max(leaf.a, leaf.b) : reach;
    leaf.softness = chance(scene_.blurred) ? draw(1.5, .03 * static_cast<double>(size) + 1.6) : draw(.6, 1.1);
    dress(leaf, std::min(leaf.a, leaf.b));
    return leaf;
  }

  // Colours, texture and shading of a leaf whose shape is known; `narrow` is its smaller half axis.
  void dress(Leaf& leaf, float narrow) {
    const Matter& matter = matter_at(leaf.centre);
    const float exposure = std::exp(.18f * static_cast<float>(random_.normal()));
    leaf.colour = scene_.colour_of(matter, random_) * exposure;
    leaf.other = chance(.75f) ? mix(leaf.colour, scene_.colour_of(matter, random_), .7f)
                              : scene_.colour_of(matter_at(leaf.centre), random_);
    leaf.pattern_offset = {draw(0, 2000), draw(0, 2000)};
    leaf.slope_x = .35f * static_cast<float>(random_.normal());
    leaf.slope_y = .35f * static_cast<float>(random_.normal());
    if (chance(.4f) && leaf.shape != Shape::polygon) leaf.roundness = draw(.1, .9);
    if (narrow < 2.5f) return;  // too small to show more

    leaf.contrast = scene_.texture * std::exp(draw(std::log(.06), std::log(.45)));
    leaf.gain = scene_.gain;
    leaf.pattern = pattern_for(leaf);
    switch (leaf.pattern) {
      case Pattern::plain: break;
      case Pattern::cloudy: leaf.scale = narrow * std::exp(draw(std::log(.08), std::log(1.2))); break;
      case Pattern::fibres:
        leaf.stretch = draw(3, 12);
        leaf.scale = std::max(1.6f, narrow * draw(.05, .3));
        break;
      case Pattern::stripes:
        leaf.scale = std::max(2.0f, narrow * draw(.06, .35));
        leaf.other = mix(leaf.colour, leaf.other, draw(.1, .8));
        break;
      case Pattern::tiles:
        leaf.stretch = draw(.7, 2.5);
        leaf.scale = std::max(3.5f, narrow * draw(.08, .4));
        leaf.other = leaf.other * draw(.3, 1);
        break;
      case Pattern::speckle:
        leaf.scale = std::max(1.5f, narrow * draw(.08, .4));
        leaf.other = leaf.other * draw(.6, 1.6);
        break;
    }
    // Nothing finer than the leaf's own sharpness: a leaf out of focus has no crisp grain.
    leaf.octaves = std::clamp(std::log2(std::max(leaf.scale, 1.0f) / std::max(.7f, leaf.softness)) + 1, 1.0f, 6.0f);
    if (leaf.softness > 2 && (leaf.pattern == Pattern::stripes || leaf.pattern == Pattern::tiles))
      leaf.scale = std::max(leaf.scale, 3 * leaf.softness);
  }

  Pattern pattern_for(const Leaf& leaf) {
    std::array<float, 6> weights = scene_.patterns;
    const bool grown = leaf.shape == Shape::ellipse || leaf.shape == Shape::blob;
    if (grown) weights[static_cast<std::size_t>(Pattern::tiles)] *= .1f;  // what is built has straight edges
    if (grown) weights[static_cast<std::size_t>(Pattern::stripes)] *= .4f;
    float total = 0;
    for (const float w : weights) total += w;
    float t = draw(0, 1) * total;
    std::size_t k = 0;
    while (k + 1 < weights.size() && t >= weights[k]) t -= weights[k++];
    return static_cast<Pattern>(k);
  }

  Colour through_air(Colour c) const {
    const float t = scene_.haze * depth_;
    return mix(c, veil_ * (.75f + .25f * luminance(c)), t);
  }

  void paint(const Leaf& leaf) {
    const float margin = leaf.softness + 3 * leaf.ragged + 1;
    each_pixel(leaf.centre, leaf.radius + margin, [&](float x, float y, std::size_t i) {
      if (through_[i] < .004f) return;
      const Point p = leaf.local(x, y);
      const float cover = coverage(leaf.distance(p, noise_), leaf.softness);
      if (cover > 0) add(i, leaf.at(p, noise_), cover);
    });
    if (scene_.shadow <= 0 || leaf.radius < .015f * scene_.size) return;
    const float soft = std::max(2.0f, .02f * scene_.size);
    const Point centre{leaf.centre.x + scene_.shadow_offset.x, leaf.centre.y + scene_.shadow_offset.y};
    Leaf dark = leaf;
    dark.centre = centre;
    dark.ragged = 0;
    each_pixel(centre, leaf.radius + soft, [&](float x, float y, std::size_t i) {
      if (through_[i] < .004f || lit_[i] < .3f) return;
      lit_[i] *= 1 - scene_.shadow * coverage(dark.distance(dark.local(x, y), noise_), soft);
    });
  }

  // Sky above the horizon, ground below it.
  void backdrop() {
    const Colour sky = scene_.colour_of(chance(.6f) ? matters[8] : scene_.palette[0], random_);
    const Colour low = mix(sky, scene_.colour_of(matters[7], random_), draw(.2, 1));
    const float clouds = chance(.5f) ? draw(.05, .4) : 0, softness = draw(.9, 3);
    Leaf ground;
    ground.centre = {.5f * scene_.size, scene_.size};
    ground.radius = scene_.size;
    dress(ground, .3f * scene_.size);
    ground.softness = softness;
    const float rough = draw(0, .06) * scene_.size;
    each_pixel({0, 0}, 2 * scene_.size, [&](float x, float y, std::size_t i) {
      if (through_[i] < .004f) return;
      const float u = x / scene_.size, v = y / scene_.size;
      const float ridge = scene_.horizon * scene_.size + rough * noise_.fractal(3 * u + 5, 11, 4, .5f);
      const float cover = coverage(ridge - y, softness);
      Colour c = mix(sky, low, std::clamp(v / std::max(scene_.horizon, .3f), 0.0f, 1.0f));
      if (clouds > 0) {
        const float n = noise_.fractal(1.5f * u + 20, 4 * v + 9, 4, .55f);
        c = c * std::exp(.25f * clouds * n);
        c = mix(c, {.85f, .85f, .87f}, std::clamp(clouds * n, 0.0f, 1.0f));
      }
      if (cover > 0) c = mix(c, ground.at(ground.local(x, y), noise_), cover);
      const float light = lit_[i];
      lit_[i] = std::lerp(1.0f, light, cover);  // no shadows fall on the sky
      add(i, c, 1);
    });
  }

  static float coverage(float distance, float softness) {
    const float t = std::clamp(.5f - distance / softness, 0.0f, 1.0f);
    return softness > 1.6f ? t * t * (3 - 2 * t) : t;
  }

  void add(std::size_t i, Colour c, float cover) {
    const float share = through_[i] * cover;
    seen_[i] = seen_[i] + through_air(c * lit_[i]) * share;
    through_[i] -= share;
    left_ -= static_cast<double>(share);
  }

  // Calls visit(x, y, position) for the centres of all pixels in the square around a point.
  template <class Visit>
  void each_pixel(Point centre, float reach, Visit visit) const {
    const auto from = [&](float c) { return std::max(0, static_cast<int>(std::floor(c - reach))); };
    const auto to = [&](float c) { return std::min(size_ - 1, static_cast<int>(std::ceil(c + reach))); };
    for (int y = from(centre.y); y <= to(centre.y); ++y)
      for (int x = from(centre.x); x <= to(centre.x); ++x)
        visit(static_cast<float>(x) + .5f, static_cast<float>(y) + .5f,
              static_cast<std::size_t>(y) * static_cast<std::size_t>(size_) + static_cast<std::size_t>(x));
  }

  // Light to sRGB: a light of some colour and direction, the lens's fall-off, exposure, the film's curve, sensor noise.
  Image develop() {
    const float angle = draw(0, 2 * std::numbers::pi), slope = draw(0, .7);
    const float warm = .12f * static_cast<float>(random_.normal()), vignette = chance(.4f) ? draw(0, .8) : 0;
    const Colour tint{std::exp(warm), 1, std::exp(-warm)};
    double sum = 0;
    for (const Colour& c : seen_) sum += std::log(1e-3 + static_cast<double>(luminance(c)));
    const float mean = static_cast<float>(std::exp(sum / static_cast<double>(seen_.size())));
    // The middle of a camera's exposure with the spread of dark and bright subjects around it.
    const float exposure = std::pow(.13f / mean, .7f) * std::exp(.55f * static_cast<float>(random_.normal()));
    const float grain = chance(.3f) ? draw(.002, .012) : 0, contrast = draw(-.6, 1.6), black = draw(-.03, .03);

    Image image = blank(size_, size_);
    for (int y = 0; y < size_; ++y)
      for (int x = 0; x < size_; ++x) {
        const float u = (static_cast<float>(x) + .5f) / scene_.size - .5f,
                    v = (static_cast<float>(y) + .5f) / scene_.size - .5f;
        const float light =
            exposure * std::exp(slope * (u * std::cos(angle) + v * std::sin(angle)) - vignette * (u * u + v * v) * 1.5f);
        const Colour c = seen_[static_cast<std::size_t>(y) * static_cast<std::size_t>(size_) + static_cast<std::size_t>(x)] *
                         tint * light;
        const float g = grain > 0 ? grain * 1.7f * (static_cast<float>(random_()) * 0x1p-31f - 1) : 0;
        float* rgb = &image.rgb[image.at(x, y)];
        const float channels[] = {c.r, c.g, c.b};
        for (int k = 0; k < 3; ++k) {
          // Highlights roll off, and contrast bends the curve around a middle grey without clipping.
          const float bright = channels[k] < .6f ? channels[k] : 1 - .4f * std::exp((.6f - channels[k]) / .4f);
          const float value = std::pow(bright, 1 / 2.2f);
          const float curved = value + contrast * value * (1 - value) * (value - .4f);
          rgb[k] = std::clamp(black + (1 - black) * curved + g, 0.0f, 1.0f);
        }
      }
    return image;
  }

  wu::Random random_;
  Noise noise_;
  Scene scene_;
  int size_;
  std::vector<Colour> seen_;    // the light gathered so far
  std::vector<float> through_;  // how much of what lies behind is still seen
  std::vector<float> lit_;      // how much light the leaves in front let fall on what lies behind
  double left_;                 // sum of through_
  float depth_ = 0;
  Colour veil_{};
};

}  // namespace

Image draw_dead_leaves(std::uint64_t seed, std::uint64_t index, int size) {
  if (size <= 0) return blank(size, size);  // throws, with the sizes
  return Painter(seed, index, size).picture();
}

}  // namespace edit
