#include "inspect/adapters.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "inspect/text.hpp"
#include "inspect/values.hpp"
#include "wu/io/adapter_key.hpp"
#include "wu/io/peft_scales.hpp"
#include "wu/io/safetensors.hpp"

namespace inspect {
namespace {

using wu::io::AdapterKey;
using wu::io::AdapterRole;
using wu::io::Json;
using wu::io::PeftConfig;
using wu::io::shape_text;
using wu::io::StoredTensor;
using Shape = std::vector<std::int64_t>;

constexpr std::int64_t largest_rank = 4096;  // beyond, it is hardly an adapter, and the (rank, rank) problem takes minutes

// ---- scale ----------------------------------------------------------------------------------------------------------

/// A tensor of one number.
std::optional<double> scalar(const StoredTensor& tensor) {
  if (tensor.count() != 1 || !wu::io::is_number(tensor.dtype)) return std::nullopt;
  double value = 0;
  wu::io::read_into(tensor, std::span(&value, 1));
  return value;
}

/// What the file as a whole says about scale, as wu::io::load_adapters() would understand it.
class Scales {
 public:
  explicit Scales(const Source& source) {
    const auto& metadata = source.checkpoint.metadata();
    const std::string key = "lora_adapter_metadata";
    if (source.adapter_config) {
      configs_.emplace("", PeftConfig(*source.adapter_config, "", "adapter_config.json"));
      where_ = "what adapter_config.json says";
    } else if (const auto text = metadata.find(key); text != metadata.end()) {
      json_ = wu::io::parse_json(text->second, key);
      where_ = "what the metadata \"" + key + "\" says";
    } else if (const StoredTensor* whole = source.checkpoint.find("scale")) {
      whole_ = scalar(*whole);
      if (whole_) where_ = "the tensor \"scale\"";
    }
  }

  /// Throws wu::FileError where a configuration contradicts the file.
  double of(const AdapterKey& key, std::int64_t rank, std::optional<double> alpha) {
    if (json_ && !configs_.contains(key.prefix))
      configs_.emplace(key.prefix, PeftConfig(*json_, key.prefix, "lora_adapter_metadata"));
    const auto config = configs_.find(json_ ? key.prefix : "");
    if (config != configs_.end()) {
      if (alpha) throw wu::FileError("expected scales from the configuration only, found an alpha too");
      return config->second.scale_of(key.module, rank);
    }
    if (alpha) {
      some_alpha_ = true;
      return *alpha == 0 ? 1 : *alpha / static_cast<double>(rank);  // 0 is how some programs write that there is none
    }
    return whole_.value_or(1);
  }

  std::string where() const { return some_alpha_ ? "alpha / rank, alpha from the file" : where_; }

 private:
  std::map<std::string, PeftConfig> configs_;  ///< by the prefix of names
  std::optional<Json> json_;
  std::optional<double> whole_;
  bool some_alpha_ = false;
  std::string where_ = "1, for the file says nothing about it";
};

// ---- factors --------------------------------------------------------------------------------------------------------

/// What the shapes of two factors agree on. `lead` are axes that count pairs.
struct Factors {
  Shape lead;
  std::int64_t rank = 0, in = 0, out = 0;
};

std::int64_t product(std::span<const std::int64_t> extents) {
  std::int64_t n = 1;
  for (const std::int64_t extent : extents) n *= extent;  // of a shape whose bytes are in the file
  return n;
}

/// Throws wu::FileError unless both are there, once, and are numbers.
void check_pair(const StoredTensor* down, const StoredTensor* up, bool twice) {
  const auto fail = [](const auto&... what) { throw wu::FileError(wu::message(what...)); };
  if (twice) fail("expected one A and one B, found two of a kind");
  if (up == nullptr) fail("expected A and B, found A alone");
  if (down == nullptr) fail("expected A and B, found B alone");
  if (!wu::io::is_number(down->dtype) || !wu::io::is_number(up->dtype))
    fail("expected types that can be read as numbers, found A of ", name_of(down->dtype), " and B of ", name_of(up->dtype));
}

/// Throws wu::FileError for what is no alpha.
double alpha_of(const StoredTensor& tensor) {
  const std::optional<double> value = scalar(tensor);
  if (!value || !std::isfinite(*value) || *value < 0)
    throw wu::FileError("expected one number from 0 on as alpha, found another");
  return *value;
}

/// Names with ".weight" are layers' own, A (rank, in, ...) and B (out, rank, 1 ...), the further axes a convolution's; names
/// without may have axes in front, batch and experts. Throws wu::FileError where the shapes do not go together.
Factors factors_of(const Shape& a, const Shape& b, bool weight) {
  const auto fail = [&] {
    throw wu::FileError(
        wu::message("expected A (rank, in) and B (out, rank), found ", shape_text(a), " and ", shape_text(b)));
  };
  if (a.size() < 2 || b.size() < 2) fail();
  Factors f;
  std::int64_t rank_of_b = 0;
  if (weight) {
    f = {{}, a[0], product(std::span(a).subspan(1)), b[0]};
    rank_of_b = b[1];
    if (product(std::span(b).subspan(2)) != 1) fail();
  } else {
    f = {Shape(a.begin(), a.end() - 2), a[a.size() - 2], a.back(), b[b.size() - 2]};
    rank_of_b = b.back();
    if (f.lead != Shape(b.begin(), b.end() - 2)) fail();
  }
  if (rank_of_b != f.rank || f.rank < 1 || f.in < 1 || f.out < 1) fail();
  if (f.rank > largest_rank)
    throw wu::FileError(wu::message("expected a rank of at most ", largest_rank, ", found ", f.rank));
  return f;
}

/// Matrix k of `rows` x `columns` in a tensor that holds several.
std::vector<double> matrix(const StoredTensor& tensor, std::int64_t k, std::int64_t rows, std::int64_t columns) {
  std::vector<double> values(static_cast<std::size_t>(rows * columns));
  const std::size_t size = values.size() * static_cast<std::size_t>(wu::io::bits_of(tensor.dtype)) / 8;
  const auto bytes = tensor.bytes.subspan(static_cast<std::size_t>(k) * size, size);
  wu::io::read_into({tensor.name, tensor.dtype, {rows * columns}, bytes, tensor.file}, values);
  hand_back(bytes);
  return values;
}

bool all_finite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

/// "[0, 3]", the k-th place in these extents; "" where there is only one.
std::string place(const Shape& extents, std::int64_t k) {
  return product(extents) == 1 ? "" : " " + wu::io::place_text(extents, static_cast<std::size_t>(k));
}

}  // namespace

AdapterReport measure_adapters(const Source& source) {
  struct Pair {
    AdapterKey key;
    const StoredTensor *down = nullptr, *up = nullptr;
    bool weight = false, twice = false;
  };
  struct ByNumber {
    bool operator()(const std::string& a, const std::string& b) const { return comes_before(a, b); }
  };
  std::map<std::string, Pair, ByNumber> pairs;
  std::map<std::string, const StoredTensor*> alphas;
  std::map<std::string_view, std::vector<std::string>> unsupported;
  for (const StoredTensor& tensor : source.checkpoint.tensors()) {
    const std::optional<AdapterKey> key = wu::io::parse_adapter_key(tensor.name);
    if (!key) {
      const std::string_view kind = wu::io::unsupported_adapter_kind(tensor.name);
      if (!kind.empty()) unsupported[kind].push_back(tensor.name);
      continue;
    }
    const std::string name = key->prefix + key->module;
    if (key->role == AdapterRole::alpha) {
      alphas[name] = &tensor;
      continue;
    }
    Pair& pair = pairs[name + (key->part < 0 ? "" : " (part " + std::to_string(key->part) + ")")];
    pair.key = *key;
    const StoredTensor*& slot = key->role == AdapterRole::A ? pair.down : pair.up;
    pair.twice = pair.twice || slot != nullptr;
    pair.weight = pair.weight || tensor.name.ends_with(".weight");
    slot = &tensor;
  }

  AdapterReport report;
  if (pairs.empty()) return report;
  try {
    Scales scales(source);
    for (const auto& [name, pair] : pairs) {
      const auto alpha = alphas.find(pair.key.prefix + pair.key.module);
      try {
        check_pair(pair.down, pair.up, pair.twice);
        const Factors factors = factors_of(pair.down->shape, pair.up->shape, pair.weight);
        const auto value = alpha == alphas.end() ? std::nullopt : std::optional(alpha_of(*alpha->second));
        const double scale = scales.of(pair.key, factors.rank, value);
        for (std::int64_t k = 0; k < product(factors.lead); ++k) {
          Module module{name + place(factors.lead, k), factors.rank, factors.in, factors.out, scale, {}, true};
          const auto a = matrix(*pair.down, k, factors.rank, factors.in);
          const auto b = matrix(*pair.up, k, factors.out, factors.rank);
          module.finite = all_finite(a) && all_finite(b) && std::isfinite(scale);
          if (module.finite) module.update = update_of(a, b, factors.rank, scale);
          report.modules.push_back(std::move(module));
        }
      } catch (const wu::Error& e) { report.not_measured.push_back({name, e.what()}); }
    }
    report.scale_from = scales.where();
  } catch (const wu::Error& e) { report.not_measured.push_back({"all of them", e.what()}); }
  for (const auto& [kind, names] : unsupported)
    report.not_measured.push_back(
        {names.front() + (names.size() == 1 ? "" : " and " + grouped(names.size() - 1) + " more"), std::string(kind)});
  return report;
}

}  // namespace inspect
