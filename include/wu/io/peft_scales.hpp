// What a configuration of PEFT says about adapters that come with it: the scale of each, and which modules there should be.
//     scale = alpha / r, or alpha / sqrt(r) with use_rslora        r, alpha: of the module, where a pattern names it
// huggingface/peft, tuners/lora/config.py, tuners/tuners_utils.py (check_target_module_exists), utils/other.py
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/core/error.hpp"
#include "wu/core/view.hpp"
#include "wu/io/json.hpp"
#include "wu/io/name_pattern.hpp"

namespace wu::io {

/// A configuration, read and checked.
class PeftConfig {
 public:
  /// Members of `config` whose names begin with `prefix` ("transformer." in diffusers' metadata). `where` begins messages.
  /// Throws FileError for another kind of adapter than LoRA, a variant of it that changes what is computed, a pattern that
  /// NamePattern does not take, and values of the wrong type.
  PeftConfig(const Json& config, std::string_view prefix, const std::string& where) : where_(where + ": ") {
    if (!config.is(Json::Kind::object)) refuse("expected an object, found ", config.describe());
    for (const JsonMember& member : config.members)
      if (std::string_view(member.name).starts_with(prefix))
        read(std::string_view(member.name).substr(prefix.size()), member.value);
    if (!seen_) refuse("expected members that begin with ", printable(prefix), ", found none");
    if (!typed_ && prefix.empty()) refuse("expected the member \"peft_type\", found none");
  }

  /// The scale of a module whose A has so many rows. Throws FileError where the configuration says another rank.
  double scale_of(const std::string& module, Index rank) const {
    const std::optional<double> wanted = value_of(rank_pattern_, module, rank_);
    if (wanted && *wanted != static_cast<double>(rank))
      refuse("expected rank ", *wanted, " of ", printable(module), ", as the configuration says, found ", rank);
    const double alpha = *value_of(alpha_pattern_, module, alpha_), r = static_cast<double>(rank);
    return alpha / (rslora_ ? std::sqrt(r) : r);
  }

  /// Whether the configuration adapts a module; nothing where it says so in a pattern that NamePattern does not take.
  std::optional<bool> targets(const std::string& module) const {
    if (!understood_) return std::nullopt;
    if (exclude_.names(module)) return false;
    for (const std::string& saved : saved_)
      if (module == saved || module.ends_with("." + saved) || module.starts_with(saved + ".") ||
          module.find("." + saved + ".") != std::string::npos)
        return false;
    if (!targets_.given()) return std::nullopt;
    if (targets_.lists(module)) return true;
    if (!targets_.names(module)) return false;
    if (targets_.pattern || layers_.empty()) return true;
    const std::optional<Index> layer = layer_of(module);
    return layer && std::find(layers_.begin(), layers_.end(), *layer) != layers_.end();
  }

  /// Whether it adapts a parameter of a module, by the parameter's full name.
  bool targets_parameter(const std::string& name) const { return parameters_.names(name); }
  /// Whether it adapts any parameters.
  bool has_parameters() const { return parameters_.given(); }

  /// What was not understood and changes nothing that is known.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  struct Value {
    NamePattern pattern;
    double value;
  };
  /// A list of names or ends of names, or one pattern for whole names.
  struct Selection {
    std::vector<std::string> ends;
    std::optional<NamePattern> pattern;
    bool given() const { return pattern || !ends.empty(); }
    bool lists(const std::string& module) const { return std::find(ends.begin(), ends.end(), module) != ends.end(); }
    bool names(std::string_view module) const {
      if (pattern) return pattern->matches(module);
      return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) {
        return module.ends_with(end) && (module.size() == end.size() || module[module.size() - end.size() - 1] == '.');
      });
    }
  };

  template <class... What>
  [[noreturn]] void refuse(const What&... what) const {
    throw FileError(message(where_, what...));
  }

  static bool is_set(const Json& value) {
    switch (value.kind) {
      case Json::Kind::null: return false;
      case Json::Kind::boolean: return value.boolean;
      case Json::Kind::number: return value.number() != 0.;
      case Json::Kind::string: return !value.text.empty();
      case Json::Kind::array: return !value.elements.empty();
      case Json::Kind::object: return !value.members.empty();
    }
    return false;
  }

  void read(std::string_view name, const Json& value) {
    seen_ = true;
    const auto flag = [&] {
      if (!value.is(Json::Kind::boolean) && !value.is(Json::Kind::null))
        refuse("expected true or false as ", printable(name), ", found ", value.describe());
      return value.boolean;
    };
    if (name == "peft_type") {
      typed_ = true;
      if (value.text != "LORA") refuse("expected the peft_type \"LORA\", found ", value.describe());
    } else if (name == "r") rank_ = rank(name, value);
    else if (name == "lora_alpha") alpha_ = alpha(name, value);
    else if (name == "use_rslora") rslora_ = flag();
    else if (name == "use_dora") {
      if (flag()) refuse("DoRA is not supported (use_dora)");
    } else if (name == "rank_pattern")
      each_pattern(name, value, rank_pattern_, [&](const Json& v) { return rank(name, v); });
    else if (name == "alpha_pattern")
      each_pattern(name, value, alpha_pattern_, [&](const Json& v) { return alpha(name, v); });
    else if (name == "target_modules") targets_ = selection(name, value);
    else if (name == "exclude_modules") exclude_ = selection(name, value);
    else if (name == "modules_to_save") saved_ = strings(name, value);
    else if (name == "layers_pattern") layer_names_ = strings(name, value);
    else if (name == "layers_to_transform") layers(name, value);
    else if (name == "target_parameters") parameters_.ends = strings(name, value);
    else if (name == "trainable_token_indices" || name == "use_qalora" || name == "alora_invocation_tokens" ||
             name == "layer_replication" || name == "lora_bias" || name == "use_bdlora" || name == "arrow_config") {
      if (is_set(value))
        refuse("expected adapters of linear layers only, found ", printable(name), ", which is not supported");
    } else if (name == "init_lora_weights") {
      if (value.is(Json::Kind::string) && value.text != "gaussian")
        note("\"init_lora_weights\" is " + value.describe() + "; it may have changed the weights of the model too");
    } else if (name == "megatron_config" || name == "loftq_config" || name == "eva_config" || name == "corda_config") {
      if (is_set(value)) note(printable(name) + " is set and was ignored");
    } else {
      constexpr std::array<std::string_view, 13> harmless{"auto_mapping",
                                                          "base_model_name_or_path",
                                                          "bias",
                                                          "ensure_weight_tying",
                                                          "fan_in_fan_out",
                                                          "inference_mode",
                                                          "lora_dropout",
                                                          "megatron_core",
                                                          "peft_version",
                                                          "revision",
                                                          "qalora_group_size",
                                                          "runtime_config",
                                                          "task_type"};
      if (std::find(harmless.begin(), harmless.end(), name) == harmless.end() && is_set(value))
        note(printable(name) + " is not known and was ignored");
    }
  }

  void note(const std::string& what) { notes_.push_back(where_ + what); }

  double rank(std::string_view name, const Json& value) const {
    const auto whole = value.whole();
    if (!whole || *whole < 1) refuse("expected a rank of at least 1 as ", printable(name), ", found ", value.describe());
    return static_cast<double>(*whole);
  }
  double alpha(std::string_view name, const Json& value) const {
    const auto number = value.number();
    if (!number || *number < 0) refuse("expected a number of at least 0 as ", printable(name), ", found ", value.describe());
    return *number;
  }

  template <class F>
  void each_pattern(std::string_view name, const Json& value, std::vector<Value>& patterns, F&& read_value) {
    if (value.is(Json::Kind::null)) return;
    if (!value.is(Json::Kind::object)) refuse("expected an object as ", printable(name), ", found ", value.describe());
    for (const JsonMember& member : value.members)
      patterns.push_back({NamePattern(member.name, where_ + std::string(name) + ": "), read_value(member.value)});
  }

  /// The value of the first pattern that matches.
  static std::optional<double> value_of(const std::vector<Value>& patterns, const std::string& module,
                                        std::optional<double> otherwise) {
    for (const Value& value : patterns)
      if (value.pattern.matches_end(module)) return value.value;
    return otherwise;
  }

  std::vector<std::string> strings(std::string_view name, const Json& value) const {
    if (value.is(Json::Kind::null)) return {};
    if (value.is(Json::Kind::string)) return {value.text};
    std::vector<std::string> list;
    for (const Json& element : value.elements) {
      if (!element.is(Json::Kind::string)) refuse("expected names as ", printable(name), ", found ", element.describe());
      list.push_back(element.text);
    }
    if (!value.is(Json::Kind::array)) refuse("expected names as ", printable(name), ", found ", value.describe());
    return list;
  }

  Selection selection(std::string_view name, const Json& value) {
    Selection selected;
    if (!value.is(Json::Kind::string)) {
      selected.ends = strings(name, value);
      return selected;
    }
    if (value.text == "all-linear") return selected;
    try {
      selected.pattern.emplace(value.text, where_ + std::string(name) + ": ");
    } catch (const FileError& error) {
      understood_ = false;
      notes_.push_back(std::string(error.what()) + "; which modules it names was not checked");
    }
    return selected;
  }

  void layers(std::string_view name, const Json& value) {
    const auto one = [&](const Json& layer) {
      if (!layer.whole()) refuse("expected numbers of layers as ", printable(name), ", found ", layer.describe());
      layers_.push_back(static_cast<Index>(*layer.whole()));
    };
    if (value.is(Json::Kind::null)) return;
    if (value.is(Json::Kind::array))
      for (const Json& layer : value.elements) one(layer);
    else one(value);
  }

  /// The number in the first ".name.number." of a module's name; with layers_pattern, name must be one of those and may begin
  /// the module's name.
  std::optional<Index> layer_of(const std::string& module) const {
    std::string_view rest = module, before;
    bool first = true;  // whether `before` begins the name
    for (std::size_t at = rest.find('.'); at != std::string_view::npos; at = rest.find('.')) {
      const std::string_view part = rest.substr(0, at);
      const bool number =
          !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string_view::npos;
      const bool named = layer_names_.empty()
                             ? before.data() != nullptr && !first
                             : std::find(layer_names_.begin(), layer_names_.end(), before) != layer_names_.end();
      if (number && named) {
        Index layer = 0;
        for (const char digit : part) layer = layer * 10 + (digit - '0');
        return layer;
      }
      first = before.data() == nullptr;
      before = part;
      rest.remove_prefix(at + 1);
    }
    return std::nullopt;
  }

  std::string where_;
  bool seen_ = false, typed_ = false, rslora_ = false, understood_ = true;
  std::optional<double> rank_, alpha_ = 8;
  std::vector<Value> rank_pattern_, alpha_pattern_;
  Selection targets_, exclude_, parameters_;
  std::vector<std::string> saved_, layer_names_, notes_;
  std::vector<Index> layers_;
};

}  // namespace wu::io
