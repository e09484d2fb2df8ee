// The configuration that goes with adapters of PEFT: which modules there are, and rank and alpha of each. Equal for all of them
// they are two numbers; what differs stands in rank_pattern and alpha_pattern, whose keys are regular expressions that must
// match a module's name, or the end of it after a point.      huggingface/peft, tuners/lora/config.py, utils/other.py
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/core/view.hpp"
#include "wu/io/json_scanner.hpp"  // json_string

namespace wu::io {

/// What the configuration says about one module: y += alpha / rank * B (A x).
struct PeftModule {
  std::string module;
  Index rank = 0;
  double alpha = 0;
};

namespace detail {

/// A part of a name as a regular expression that matches it alone.
inline std::string escaped_pattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

/// A name's pattern with \d+ for every part that is a number, and where in it the part after the first of them begins.
struct NumberedPattern {
  std::string pattern;
  std::size_t after_number = 0;
};
inline NumberedPattern numbered_pattern(std::string_view module) {
  NumberedPattern result;
  for (std::size_t at = 0; at <= module.size();) {
    const std::size_t end = std::min(module.find('.', at), module.size());
    const std::string_view part = module.substr(at, end - at);
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    if (at > 0) result.pattern += "\\.";
    result.pattern += number ? "\\d+" : escaped_pattern(part);
    if (number && result.after_number == 0 && end < module.size()) result.after_number = result.pattern.size() + 2;
    at = end + 1;
  }
  return result;
}

/// As JSON writes it, and as short as it can be.
inline std::string json_number(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

using RankAndAlpha = std::pair<Index, double>;

/// The patterns of modules whose rank and alpha are not the usual ones. Where all modules that differ in numbers only agree,
/// they share one, which begins after the first number if no other module ends like that.
inline std::map<std::string, RankAndAlpha> peft_patterns(const std::vector<PeftModule>& modules, const RankAndAlpha& usual) {
  struct Group {
    std::size_t after_number = 0;
    std::set<RankAndAlpha> values;
    std::vector<const PeftModule*> modules;
  };
  std::map<std::string, Group> groups;
  for (const PeftModule& module : modules) {
    const NumberedPattern numbered = numbered_pattern(module.module);
    Group& group = groups[numbered.pattern];
    group.after_number = numbered.after_number;
    group.values.emplace(module.rank, module.alpha);
    group.modules.push_back(&module);
  }
  std::map<std::string, RankAndAlpha> patterns;
  for (const auto& entry : groups) {
    const std::string& pattern = entry.first;
    const Group& group = entry.second;
    if (group.values.size() > 1) {
      for (const PeftModule* module : group.modules)
        if (const RankAndAlpha own{module->rank, module->alpha}; own != usual)
          patterns.emplace("^" + escaped_pattern(module->module), own);
      continue;
    }
    if (*group.values.begin() == usual) continue;
    const std::string ending = pattern.substr(group.after_number);
    const bool alone =
        group.after_number > 0 && std::none_of(groups.begin(), groups.end(), [&](const auto& other) {
          return other.second.values != group.values && (other.first == ending || other.first.ends_with("\\." + ending));
        });
    patterns.emplace(alone ? ending : "^" + pattern, *group.values.begin());
  }
  return patterns;
}

}  // namespace detail

/// The configuration as JSON, members in the order of their names and each with `prefix` before its name; `space` stands before
/// each member: "\n  " makes a text for people. Modules are listed by their full names.
inline std::string format_peft_config(const std::vector<PeftModule>& modules, std::string_view prefix = "",
                                      std::string_view space = "") {
  std::map<detail::RankAndAlpha, std::size_t> counts;
  for (const PeftModule& module : modules) ++counts[{module.rank, module.alpha}];
  detail::RankAndAlpha usual{8, 8.};
  std::size_t most = 0;
  for (const auto& [value, count] : counts)
    if (count > most) usual = value, most = count;
  std::string ranks, alphas, targets;
  const auto add = [](std::string& list, const std::string& element) { list += (list.empty() ? "" : ",") + element; };
  for (const auto& [pattern, value] : detail::peft_patterns(modules, usual)) {
    if (value.first != usual.first) add(ranks, json_string(pattern) + ":" + std::to_string(value.first));
    if (value.second != usual.second) add(alphas, json_string(pattern) + ":" + detail::json_number(value.second));
  }
  std::set<std::string_view> names;
  for (const PeftModule& module : modules) names.insert(module.module);
  for (const std::string_view name : names) add(targets, json_string(name));
  const std::vector<std::pair<std::string_view, std::string>> members{
      {"alpha_pattern", "{" + alphas + "}"},
      {"base_model_name_or_path", "null"},
      {"bias", "\"none\""},
      {"fan_in_fan_out", "false"},
      {"inference_mode", "true"},
      {"init_lora_weights", "true"},
      {"lora_alpha", detail::json_number(usual.second)},
      {"lora_dropout", "0.0"},
      {"modules_to_save", "null"},
      {"peft_type", "\"LORA\""},
      {"r", std::to_string(usual.first)},
      {"rank_pattern", "{" + ranks + "}"},
      {"target_modules", "[" + targets + "]"},
      {"task_type", "null"},
      {"use_dora", "false"},
      {"use_rslora", "false"},
  };
  std::string text = "{";
  for (const auto& [name, value] : members) {
    if (text.size() > 1) text += ',';
    text += std::string(space) + json_string(std::string(prefix) + std::string(name)) + (space.empty() ? ":" : ": ") + value;
  }
  return text += space.empty() ? "}" : "\n}\n";
}

}  // namespace wu::io
