#include "edit/tasks.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

namespace edit {

namespace {

constexpr double blur_sigma = 1.5, age_softness = 0.8;

Image darkened(const Image& image) {
  return each_pixel(image, [](float& r, float& g, float& b) {
    for (float* v : {&r, &g, &b}) *v = 0.4f * std::pow(*v, 1.2f);
  });
}

/// How a print has lost its colour: part of the saturation gone, tones drawn together, each channel tinted.
struct Fading {
  float desaturate, contrast, black;
  std::array<float, 3> tint;
};

Image faded(const Image& image, const Fading& f) {
  return each_pixel(image, [&](float& r, float& g, float& b) {
    const float grey = luma(r, g, b);
    float* const channels[] = {&r, &g, &b};
    for (std::size_t c = 0; c < 3; ++c) {
      const float dull = *channels[c] + (grey - *channels[c]) * f.desaturate;
      *channels[c] = (f.black + f.contrast * dull) * f.tint[c];
    }
  });
}

Image aged(const Image& image) {
  return gaussian_blur(faded(image, {0.5f, 0.62f, 0.24f, {1.10f, 0.97f, 0.74f}}), age_softness);
}

/// Soft-edged round stains that darken, as if a liquid had dried there.
void stain(Image& image, wu::Random& random) {
  const double size = std::min(image.width, image.height);
  const double x0 = random.uniform(0, image.width), y0 = random.uniform(0, image.height);
  const double radius = random.uniform(0.04, 0.15) * size, depth = random.uniform(0.12, 0.35),
               phase = random.uniform(0, 2 * std::numbers::pi);
  const float hue[] = {static_cast<float>(random.uniform(0.2, 0.6)), static_cast<float>(random.uniform(0.5, 0.9)), 1.0f};
  for (int y = std::max(0, static_cast<int>(y0 - 1.5 * radius));
       y < std::min(image.height, static_cast<int>(y0 + 1.5 * radius)); ++y)
    for (int x = std::max(0, static_cast<int>(x0 - 1.5 * radius));
         x < std::min(image.width, static_cast<int>(x0 + 1.5 * radius)); ++x) {
      const double angle = std::atan2(y - y0, x - x0);
      const double d = std::hypot(x - x0, y - y0) / (radius * (1 + 0.2 * std::sin(3 * angle + phase)));
      const double rim = std::exp(-40 * (d - 0.93) * (d - 0.93)), inside = d < 1 ? 0.55 : 0;
      const auto amount = static_cast<float>(depth * std::max(inside, rim));
      for (int c = 0; c < 3; ++c) image.rgb[image.at(x, y, c)] *= 1 - amount * hue[c];
    }
}

/// A thin bright or dark line, slightly bent, mostly along the print's height.
void scratch(Image& image, wu::Random& random) {
  const float tone = random.uniform() < 0.7 ? 0.92f : 0.08f;
  const double x0 = random.uniform(0, image.width), slope = random.uniform(-0.25, 0.25),
               bend = random.uniform(-0.02, 0.02) * image.width;
  const double width = random.uniform(0.4, 1.0), strength = random.uniform(0.4, 0.9);
  const int from = static_cast<int>(random.uniform(0, 0.6) * image.height),
            to = from + static_cast<int>(random.uniform(0.2, 0.6) * image.height);
  for (int y = from; y < std::min(to, image.height); ++y) {
    const double x = x0 + slope * (y - from) + bend * std::sin(y * 0.05);
    for (int column = std::max(0, static_cast<int>(x - 3)); column < std::min(image.width, static_cast<int>(x + 4));
         ++column) {
      const auto amount = static_cast<float>(strength * std::exp(-(column - x) * (column - x) / (2 * width * width)));
      for (int c = 0; c < 3; ++c) {
        float& v = image.rgb[image.at(column, y, c)];
        v += (tone - v) * amount;
      }
    }
  }
}

/// A print that has aged in its own way. Fading is one process that has gone far on one print and hardly begun on another:
/// the further, the greyer, flatter, lighter and warmer. Its cast lies somewhere between yellow and magenta, and every number
/// is a few per cent off. How far it went and which way it leans, only the picture tells.
Image damaged(const Image& image, wu::Random& random) {
  const auto draw = [&](double from, double to) { return static_cast<float>(random.uniform(from, to)); };
  const float age = draw(0.1, 1), magenta = draw(-0.18, 0.18) * age;
  const auto about = [&](float v) { return v * draw(0.96, 1.04); };
  Fading fading{0.15f + 0.5f * age, about(0.9f - 0.5f * age), about(0.04f + 0.42f * age), {}};
  fading.tint = {about(1 + 0.1f * age), about(1 - 0.05f * age - magenta), about(1 - 0.45f * age + magenta)};
  Image out = gaussian_blur(faded(image, fading), age_softness);
  const double area = static_cast<double>(image.width) * image.height / (160.0 * 160.0);
  const auto some = [&](int most) {
    return static_cast<int>(
        std::lround(std::min(8.0, std::max(1.0, area)) * random.below(static_cast<std::uint32_t>(most + 1))));
  };
  for (int n = some(2); n > 0; --n) stain(out, random);
  for (int n = some(2); n > 0; --n) scratch(out, random);
  const double grain = random.uniform(0.005, 0.025);
  for (float& v : out.rgb) v += static_cast<float>(grain * random.normal());
  return out;
}

}  // namespace

std::string_view name(Task task) {
  constexpr std::string_view names[] = {"blur", "deblur", "age", "restore", "darken", "brighten"};
  return names[static_cast<std::size_t>(task)];
}

Pair make_pair(Task task, const Image& photograph, wu::Random& random) {
  Pair pair;
  switch (task) {
    case Task::blur: pair = {photograph, gaussian_blur(photograph, blur_sigma)}; break;
    case Task::deblur: pair = {gaussian_blur(photograph, blur_sigma), photograph}; break;
    case Task::age: pair = {photograph, aged(photograph)}; break;
    case Task::restore: pair = {damaged(photograph, random), photograph}; break;
    case Task::darken: pair = {photograph, darkened(photograph)}; break;
    case Task::brighten: pair = {darkened(photograph), photograph}; break;
  }
  quantize8(pair.source);
  quantize8(pair.target);
  return pair;
}

const Phrasings& phrasings(Task task) {
  static const std::array<Phrasings, 6> all{{
      {{"blur this", "blur the picture", "make it blurry", "soften the photo", "make the image soft and blurred",
        "add a gentle blur", "take it out of focus", "smooth away the detail", "blur it softly", "a soft and blurry image",
        "give the picture a soft focus", "defocus the photo", "please blur this photo softly",
        "make this image blurry and soft"},
       {"模糊这张照片", "让画面变模糊", "把图片虚化", "柔化图像", "加一点模糊", "让照片失焦", "变得柔和", "让图像模糊柔和",
        "请把这张图片模糊一下", "让图像变得柔和模糊"}},
      {{"deblur this", "sharpen the picture", "make it sharp", "remove the blur", "bring the photo back into focus",
        "make the image crisp", "sharpen the details", "undo the blur", "sharpen it", "a crisp and sharp photo",
        "make the picture clear and sharp", "fix the blurry photo", "please sharpen this photo",
        "remove the blur and make it crisp"},
       {"去除模糊", "让照片变清晰", "锐化图片", "把图像变锐利", "消除模糊", "变得更清晰", "让画面清晰锐利", "请锐化这张照片",
        "把图片变清晰，去除模糊"}},
      {{"make it look old", "age this photo", "make it look like an old photograph", "give it a vintage look",
        "turn it into an antique print", "make it look aged and faded", "fade the picture like an old print",
        "add a nostalgic sepia tone", "make this a vintage photograph", "let the photo grow old",
        "make this picture look very old", "make the photo look aged", "give it an aged tone", "vintage tone",
        "please make this photo look old", "give the picture an aged vintage tone"},
       {"做旧这张照片", "让它看起来很旧", "变成老照片", "加上复古效果", "让图片泛黄变旧", "把照片做旧", "做成复古的老照片",
        "做成怀旧照片", "请把这张照片做旧", "让图片变成复古老照片"}},
      {{"restore the old photo", "restore this", "repair the damaged photo", "fix the faded colors",
        "bring the old picture back to life", "remove the scratches and stains", "renew this worn print",
        "restore the original colors", "repair the old print", "clean up the damaged picture",
        "please restore this damaged photo", "repair the faded picture and restore its colors"},
       {"修复老照片", "修复这张照片", "还原褪色的颜色", "去除划痕和污渍", "修补受损的照片", "修复受损的图片", "修复褪色照片",
        "恢复原来的颜色", "请修复这张受损的老照片", "修复褪色的图片，还原颜色"}},
      {{"darken this", "make it darker", "darken the picture", "lower the brightness", "make the photo dark",
        "dim the image", "turn the light down", "make it look like night falls", "reduce the exposure",
        "make the picture much darker", "please darken this photo", "make this image darker and dim the light"},
       {"调暗这张照片", "让画面变暗", "降低亮度", "把图片变暗", "减少曝光", "让图像更暗", "请把这张照片调暗",
        "降低亮度，让图片更暗"}},
      {{"brighten this", "make it brighter", "brighten the picture", "raise the brightness", "make the photo bright",
        "light up the image", "turn the light up", "make it look like a sunny day", "brighten it up",
        "brighten the image a lot", "a brighter photo", "increase the exposure", "make the picture much brighter",
        "please brighten this photo", "make this image brighter and turn up the light"},
       {"调亮这张照片", "让画面变亮", "提高亮度", "把图片变亮", "增加曝光", "让图像更亮", "请把这张照片调亮",
        "提高亮度，让图片更亮"}},
  }};
  return all[static_cast<std::size_t>(task)];
}

namespace {

/// Every occurrence of one of `words` becomes a random one of them.
void exchange(std::string& text, std::span<const std::string_view> words, wu::Random& random) {
  for (std::size_t at = 0; at < text.size();) {
    const auto found =
        std::ranges::find_if(words, [&](std::string_view w) { return std::string_view(text).substr(at).starts_with(w); });
    if (found == words.end()) {
      ++at;
      continue;
    }
    const std::string_view other = words[random.below(static_cast<std::uint32_t>(words.size()))];
    text.replace(at, found->size(), other);
    at += other.size();
  }
}

}  // namespace

std::string training_phrase(Task task, wu::Random& random) {
  static constexpr std::array<std::string_view, 4> pictures{"photograph", "photo", "picture", "image"};
  static constexpr std::array<std::string_view, 4> chinese_pictures{"照片", "图片", "图像", "画面"};
  static constexpr std::array<std::string_view, 6> before{"please ",        "can you ", "now ",
                                                          "I want you to ", "just ",    "could you please "};
  static constexpr std::array<std::string_view, 5> after{" please", " for me", " now", " here", " thank you"};
  static constexpr std::array<std::string_view, 4> chinese_before{"请", "请帮我", "麻烦你", "现在"};
  static constexpr std::array<std::string_view, 3> chinese_after{"，谢谢", "一下", "吧"};
  const Phrasings& all = phrasings(task);
  const bool english = random.below(3) < 2;
  const auto& language = english ? all.english : all.chinese;
  std::string text(language[random.below(static_cast<std::uint32_t>(language.size() - held_out_phrasings))]);
  const auto any = [&](const auto& of) { return std::string(of[random.below(static_cast<std::uint32_t>(of.size()))]); };
  exchange(text, english ? std::span(pictures) : std::span(chinese_pictures), random);
  if (random.below(3) == 0) text = (english ? any(before) : any(chinese_before)) + text;
  if (random.below(5) == 0) text += english ? any(after) : any(chinese_after);
  return text;
}

Task training_task(wu::Random& random) {
  static constexpr std::array<Task, 12> often{Task::blur,    Task::deblur,  Task::deblur,  Task::deblur,
                                              Task::deblur,  Task::age,     Task::restore, Task::restore,
                                              Task::restore, Task::restore, Task::darken,  Task::brighten};
  return often[random.below(static_cast<std::uint32_t>(often.size()))];
}

std::vector<std::string_view> held_out_phrases(Task task) {
  const Phrasings& all = phrasings(task);
  std::vector<std::string_view> held_out(all.english.end() - held_out_phrasings, all.english.end());
  held_out.insert(held_out.end(), all.chinese.end() - held_out_phrasings, all.chinese.end());
  return held_out;
}

}  // namespace edit
