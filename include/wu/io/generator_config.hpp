// A generator's config.json: the sizes of its network, and the adapted modules in the order of the file, which is the order of
// their tokens. The file may come from anywhere: what this reader hands out has been checked, products of sizes included.
//     const auto [config, sizes, notes] = read_generator_config("checkpoint/config.json");
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/core/error.hpp"
#include "wu/io/json.hpp"
#include "wu/io/mapped_file.hpp"
#include "wu/io/printable.hpp"

namespace wu::io {

/// The two sets of choices that no field of a config.json names.
enum class GeneratorVariant : std::uint8_t {
  released,  ///< flat tokens, attention over layers first, two rotary axes in the cross attention
  paper,     ///< rank-anchored tokens, attention within a layer first, three rotary axes in the cross attention
};

/// One adapted linear layer in -> out.
struct GeneratorModule {
  std::string name;  ///< of a sub-weight; empty for an entry that is one layer itself
  std::int64_t in = 0, out = 0;
};

/// An entry of pg_mapping: one linear layer, or one for each sub-weight of a group of experts.
struct GeneratorEntry {
  std::string name;
  bool grouped = false;
  std::int64_t experts = 1;
  std::vector<GeneratorModule> modules;

  /// What files of adapters call one of `modules`: the entry's name, or "entry.sub".
  std::string name_of(const GeneratorModule& module) const { return grouped ? name + "." + module.name : name; }
};

/// The fields of a config.json that say what a generator is. Every size is at least 1.
struct GeneratorConfig {
  std::int64_t token_dim = 0, output_dim = 0, rank = 0, input_dim = 0, dim_accumulation = 0, d_model = 0, head_dim = 0;
  std::int64_t num_base_model_layers = 0, num_pg_layers = 0;
  double alpha = 0;    ///< an adapter's product is scaled by alpha / rank
  std::string prefix;  ///< of adapters' names, before the layer's number
  std::vector<GeneratorEntry> pg_mapping;
};

/// What follows from a configuration.
struct GeneratorSizes {
  std::int64_t tokens_A = 0, tokens_B = 0;  ///< of one backbone layer
  std::int64_t values = 0;                  ///< of all tokens of a request, padding counted
  std::int64_t parameters = 0;              ///< of the generator
  std::int64_t gcd_width = 0;               ///< the largest number that divides every adapted width
};

/// A configuration, what follows from it, and a sentence for each field that was ignored because nobody here knows it.
struct ReadGeneratorConfig {
  GeneratorConfig config;
  GeneratorSizes sizes;
  std::vector<std::string> notes;
};

/// The largest file that is read as a configuration, in bytes.
inline constexpr std::size_t generator_config_limit = std::size_t{1} << 20;
/// The most adapted modules: a type that lists more takes compilers too long.
inline constexpr std::int64_t generator_module_limit = 256;
/// The most blocks, for the same reason.
inline constexpr std::int64_t generator_block_limit = 1024;

namespace detail {

/// A count that remembers whether it went beyond 2^59, which leaves room for 8 bytes of each and for rounding up.
class CheckedCount {
 public:
  static constexpr std::int64_t most = std::int64_t{1} << 59;

  constexpr CheckedCount(std::int64_t value) : value_(value), fits_(value >= 0 && value <= most) {}
  constexpr bool fits() const { return fits_; }
  constexpr std::int64_t value() const { return value_; }

  friend constexpr CheckedCount operator+(CheckedCount a, CheckedCount b) {
    return a.fits_ && b.fits_ ? CheckedCount(a.value_ + b.value_) : too_large();
  }
  friend constexpr CheckedCount operator*(CheckedCount a, CheckedCount b) {
    if (!a.fits_ || !b.fits_ || (b.value_ > 0 && a.value_ > most / b.value_)) return too_large();
    return {a.value_ * b.value_};
  }
  /// How many groups of `size` hold this many.
  constexpr CheckedCount in_groups_of(CheckedCount size) const {
    return fits_ && size.fits_ ? CheckedCount((value_ + size.value_ - 1) / size.value_) : too_large();
  }

 private:
  static constexpr CheckedCount too_large() { return {-1}; }

  std::int64_t value_;
  bool fits_;
};

class GeneratorConfigReader {
 public:
  GeneratorConfigReader(const std::string& file, GeneratorVariant variant) : file_(file), variant_(variant) {}

  ReadGeneratorConfig read(std::string_view text) {
    if (text.size() > generator_config_limit)
      throw FileError(message(printable_path(file_), ": expected a configuration of at most ", generator_config_limit,
                              " bytes, found ", text.size()));
    const Json json = parse_json(text, file_);
    if (!json.is(Json::Kind::object))
      throw FileError(message(printable_path(file_), ": expected an object, found ", json.describe()));
    GeneratorConfig& c = all_.config;
    c.token_dim = size(json, "", "token_dim");
    c.output_dim = size(json, "", "output_dim");
    c.rank = size(json, "", "rank");
    c.input_dim = size(json, "", "input_dim");
    c.dim_accumulation = size(json, "", "dim_accumulation");
    c.d_model = size(json, "", "d_model");
    c.head_dim = size(json, "", "head_dim");
    c.num_base_model_layers = size(json, "", "num_base_model_layers");
    c.num_pg_layers = size(json, "", "num_pg_layers", generator_block_limit);
    c.alpha = alpha(json);
    c.prefix = prefix(json);
    mapping(field(json, "", "pg_mapping"));
    note_others(json, "",
                {"token_dim", "output_dim", "rank", "input_dim", "dim_accumulation", "d_model", "head_dim",
                 "num_base_model_layers", "num_pg_layers", "alpha", "prefix", "pg_mapping",
                 // written by the library that published checkpoints are saved with; they say nothing about the shape
                 "model_type", "architectures", "torch_dtype", "dtype", "transformers_version"});
    check_sizes();
    count_all();
    return std::move(all_);
  }

 private:
  /// `where` is empty, or where the field stands, with a colon and a space at the end.
  template <class... What>
  [[noreturn]] void fail(const std::string& where, const What&... what) const {
    throw FileError(message(printable_path(file_), ": ", where, what...));
  }

  const Json& field(const Json& object, const std::string& where, std::string_view name) const {
    const Json* found = object.find(name);
    if (found == nullptr) fail(where, "expected the field ", name, ", found none");
    return *found;
  }

  /// Sizes stay below 2^31, so that a product of two is exact.
  std::int64_t size(const Json& object, const std::string& where, std::string_view name,
                    std::int64_t most = (std::int64_t{1} << 31) - 1) const {
    const Json& json = field(object, where, name);
    const auto value = json.whole();
    if (!value || *value < 1 || *value > most)
      fail(where, name, ": expected a whole number from 1 to ", most, ", found ", json.describe());
    return *value;
  }

  double alpha(const Json& object) const {
    const Json& json = field(object, "", "alpha");
    const auto value = json.number();
    if (!value || !(*value > 0) || *value > 1e9)
      fail("", "alpha: expected a number above 0 and up to 1e9, found ", json.describe());
    return *value;
  }

  /// Names become parts of tensors' names and of a C++ program's text.
  static bool is_name(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    });
  }
  static constexpr std::size_t longest_name = 100;
  static constexpr std::string_view name_rule = "letters, digits, '_', '-' and '.'";

  std::string prefix(const Json& object) const {
    const Json& json = field(object, "", "prefix");
    if (!json.is(Json::Kind::string) || json.text.size() > longest_name || !is_name(json.text))
      fail("", "prefix: expected a text of at most ", longest_name, " ", name_rule, ", found ", json.describe());
    return json.text;
  }

  void check_name(const std::string& where, const std::string& name) const {
    if (name.empty() || name.size() > longest_name || !is_name(name))
      fail(where, "expected a name of 1 to ", longest_name, " ", name_rule, ", found ", printable(name));
  }

  void mapping(const Json& json) {
    if (!json.is(Json::Kind::object)) fail("", "pg_mapping: expected an object, found ", json.describe());
    std::vector<std::string> names;
    for (const JsonMember& member : json.members) {
      check_name("pg_mapping: ", member.name);
      const std::string where = "pg_mapping: " + printable(member.name) + ": ";
      if (!member.value.is(Json::Kind::object)) fail(where, "expected an object, found ", member.value.describe());
      GeneratorEntry read = entry(member.name, member.value, where);
      for (const GeneratorModule& module : read.modules) names.push_back(read.name_of(module));
      if (names.size() > static_cast<std::size_t>(generator_module_limit))
        fail("", "pg_mapping: expected at most ", generator_module_limit, " modules, found more");
      all_.config.pg_mapping.push_back(std::move(read));
    }
    if (names.empty()) fail("", "pg_mapping: expected at least one module, found none");
    std::sort(names.begin(), names.end());
    if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
      fail("", "pg_mapping: expected each module once, found ", printable(*twice),
           " as an entry and as a sub-weight of a group");
  }

  GeneratorEntry entry(const std::string& name, const Json& json, const std::string& where) {
    GeneratorEntry read;
    read.name = name;
    const Json* type = json.find("type");
    if (type == nullptr) {
      for (const char* of_groups : {"num_experts", "sub_weights"})
        if (json.find(of_groups) != nullptr)
          fail(where, of_groups, ": expected none beside an entry without \"type\": \"grouped\", found one");
      read.modules.push_back(module("", json, where));
      return read;
    }
    if (!type->is(Json::Kind::string) || type->text != "grouped")
      fail(where, "type: expected \"grouped\" or none, found ", type->describe());
    for (const char* of_layers : {"lora_A_dim", "lora_B_dim"})
      if (json.find(of_layers) != nullptr)
        fail(where, of_layers, ": expected none in a group, whose sub_weights have their own, found one");
    read.grouped = true;
    read.experts = size(json, where, "num_experts");
    const Json& subs = field(json, where, "sub_weights");
    if (!subs.is(Json::Kind::object) || subs.members.empty())
      fail(where, "sub_weights: expected an object of at least one layer, found ",
           subs.is(Json::Kind::object) ? std::string("an empty one") : subs.describe());
    note_others(json, where, {"type", "num_experts", "sub_weights"});
    for (const JsonMember& sub : subs.members) {
      check_name(where + "sub_weights: ", sub.name);
      const std::string inside = where + "sub_weights: " + printable(sub.name) + ": ";
      if (!sub.value.is(Json::Kind::object)) fail(inside, "expected an object, found ", sub.value.describe());
      read.modules.push_back(module(sub.name, sub.value, inside));
    }
    return read;
  }

  GeneratorModule module(const std::string& name, const Json& json, const std::string& where) {
    const GeneratorModule read{name, size(json, where, "lora_A_dim"), size(json, where, "lora_B_dim")};
    note_others(json, where, {"lora_A_dim", "lora_B_dim"});
    return read;
  }

  void note_others(const Json& object, const std::string& where, std::initializer_list<std::string_view> known) {
    for (const JsonMember& member : object.members)
      if (std::find(known.begin(), known.end(), member.name) == known.end())
        all_.notes.push_back(message(printable_path(file_), ": ", where, "the field ", printable(member.name),
                                     " is not known here and was ignored"));
  }

  /// What the sizes must be to one another.
  void check_sizes() const {
    const GeneratorConfig& c = all_.config;
    if (c.output_dim != c.token_dim)
      fail("", "output_dim: expected ", c.token_dim, ", the same as token_dim, found ", c.output_dim);
    if (c.rank % c.dim_accumulation != 0)
      fail("", "dim_accumulation: expected a divisor of the rank, ", c.rank, ", found ", c.dim_accumulation);
    if (c.d_model % c.dim_accumulation != 0)
      fail("", "dim_accumulation: expected a divisor of d_model, ", c.d_model, ", found ", c.dim_accumulation);
    if (c.d_model % c.head_dim != 0)
      fail("", "head_dim: expected a divisor of d_model, ", c.d_model, ", found ", c.head_dim);
    const int parts = variant_ == GeneratorVariant::paper ? 8 : 4;
    if (c.head_dim % parts != 0)
      fail("", "head_dim: expected a multiple of ", parts, ", so that every axis gets rotary pairs, found ", c.head_dim);
  }

  /// Fills in sizes. Throws where a count is beyond what anything can hold.
  void count_all() {
    const GeneratorConfig& c = all_.config;
    using Count = CheckedCount;
    const Count per_token = Count(c.rank) * c.token_dim;
    Count tokens_A = 0, tokens_B = 0;
    for (const GeneratorEntry& entry : c.pg_mapping)
      for (const GeneratorModule& module : entry.modules) {
        const Count rows = Count(entry.experts) * c.rank;
        tokens_A = tokens_A + (rows * module.in).in_groups_of(per_token);
        tokens_B = tokens_B + (rows * module.out).in_groups_of(per_token);
        for (const std::int64_t width : {module.in, module.out}) {
          all_.sizes.gcd_width = std::gcd(all_.sizes.gcd_width, width);
          if (variant_ == GeneratorVariant::paper && width % c.token_dim != 0)
            fail("", "token_dim: expected a divisor of every adapted width, as rank-anchored tokens need, found ",
                 c.token_dim, ", which does not divide the ", width, " of ", printable(entry.name_of(module)));
        }
      }
    const Count tokens = tokens_A + tokens_B;
    const Count values = tokens * c.num_base_model_layers * per_token;
    if (!values.fits()) fail("", "pg_mapping: expected adapters of at most 2^59 values for a request, found more");

    const Count C = c.d_model, d = c.token_dim, row = c.d_model / c.dim_accumulation;
    if (!(tokens * c.num_base_model_layers * (c.rank / c.dim_accumulation) * C).fits())
      fail("", "d_model: expected activations of at most 2^59 values for a request, found more");
    const Count square = C * C + C;  // a linear layer C -> C
    const Count block = C * 4 + square * 12 + C * C * 8 + C * 5;
    const Count parameters = C * c.input_dim + C * 4 + (tokens * c.rank + c.num_base_model_layers) * row +
                             block * c.num_pg_layers + (row * d + d) * 2;
    if (!parameters.fits()) fail("", "d_model: expected a generator of at most 2^59 parameters, found more");
    all_.sizes.tokens_A = tokens_A.value();
    all_.sizes.tokens_B = tokens_B.value();
    all_.sizes.values = values.value();
    all_.sizes.parameters = parameters.value();
  }

  const std::string& file_;
  GeneratorVariant variant_;
  ReadGeneratorConfig all_;
};

}  // namespace detail

/// Reads a configuration. `file` is named in messages. Fields that are not known are ignored, with a note for each. Throws
/// FileError naming the field for one that is missing, of the wrong type, out of range or at odds with another.
inline ReadGeneratorConfig parse_generator_config(std::string_view text, const std::string& file,
                                                  GeneratorVariant variant = GeneratorVariant::released) {
  return detail::GeneratorConfigReader(file, variant).read(text);
}

/// The same of a file. Throws FileError where it cannot be read, too.
inline ReadGeneratorConfig read_generator_config(const std::string& path,
                                                 GeneratorVariant variant = GeneratorVariant::released) {
  const MappedFile mapped(path);  // sees the size before anything is read
  if (mapped.bytes().size() > generator_config_limit) return parse_generator_config(mapped.text(), path, variant);
  return parse_generator_config(MappedFile(path, Access::copy).text(), path, variant);
}

/// Throws FileError where a configuration is not that of Generator (a wu::Generator), saying which field differs. alpha and
/// prefix are no part of the type: take them from the configuration.
template <class Generator>
void check_config(const GeneratorConfig& config, const std::string& file) {
  using Tokens = typename Generator::Tokens;
  const auto same = [&](const char* field, std::int64_t compiled, std::int64_t found) {
    if (compiled != found)
      throw FileError(message(printable_path(file), ": ", field, ": expected ", compiled,
                              ", for which this program is compiled, found ", found));
  };
  same("token_dim", Generator::d, config.token_dim);
  same("output_dim", Generator::d, config.output_dim);
  same("rank", Generator::r, config.rank);
  same("input_dim", Generator::input, config.input_dim);
  same("dim_accumulation", Generator::a, config.dim_accumulation);
  same("d_model", Generator::C, config.d_model);
  same("head_dim", Generator::D, config.head_dim);
  same("num_base_model_layers", Generator::n, config.num_base_model_layers);
  same("num_pg_layers", Generator::N, config.num_pg_layers);

  const auto described = [](const std::string& name, std::int64_t in, std::int64_t out, std::int64_t experts, bool grouped) {
    return message(printable(name), ", ", in, " to ", out,
                   grouped ? message(", ", experts, experts == 1 ? " expert" : " experts") : message(""));
  };
  std::size_t place = 0;
  for (const GeneratorEntry& entry : config.pg_mapping)
    for (const GeneratorModule& module : entry.modules) {
      const auto found = described(entry.name_of(module), module.in, module.out, entry.experts, entry.grouped);
      if (place >= Tokens::module_count)
        throw FileError(message(printable_path(file), ": pg_mapping: expected no module beyond the first ",
                                Tokens::module_count, ", for which this program is compiled, found ", found));
      const auto& compiled = Tokens::modules[place];
      const auto expected = described(compiled.name(), compiled.in, compiled.out, compiled.experts, !compiled.sub.empty());
      if (found.view() != expected.view() || entry.name != compiled.group || entry.experts != compiled.experts)
        throw FileError(message(printable_path(file), ": pg_mapping: expected as module ", place, " ", expected,
                                ", for which this program is compiled, found ", found));
      ++place;
    }
  same("pg_mapping", static_cast<std::int64_t>(Tokens::module_count), static_cast<std::int64_t>(place));
}

}  // namespace wu::io
