#include "inspect/adapters.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "inspect/text.hpp"
#include "inspect/values.hpp"
#include "wu/io/safetensors.hpp"

namespace inspect {
namespace {

using wu::io::Json;
using wu::io::shape_text;
using wu::io::StoredTensor;
using Shape = std::vector<std::int64_t>;

constexpr std::int64_t largest_rank = 4096;  // beyond, it is hardly an adapter, and the (rank, rank) problem takes minutes

// ---- names ----------------------------------------------------------------------------------------------------------

enum class Role : std::uint8_t { down, up, alpha };

/// "blk.0.lora_A.default.weight" is module "blk.0", the adapter "default" of it, role down, with ".weight".
struct Name {
  std::string module, variant;
  Role role = Role::down;
  bool weight = false;
};

std::optional<Name> split(std::string_view text) {
  struct Marker {
    std::string_view text;
    Role role;
  };
  constexpr std::array<Marker, 7> markers{{{".lora_A", Role::down},
                                           {".lora_B", Role::up},
                                           {".lora_down", Role::down},
                                           {".lora_up", Role::up},
                                           {".lora_embedding_A", Role::down},
                                           {".lora_embedding_B", Role::up},
                                           {".alpha", Role::alpha}}};
  const Marker* found = nullptr;
  std::size_t at = 0;
  for (const Marker& marker : markers) {
    const std::size_t here = text.rfind(marker.text);
    if (here == text.npos || (found != nullptr && here < at)) continue;
    const std::size_t end = here + marker.text.size();
    if (end == text.size() || text[end] == '.') found = &marker, at = here;
  }
  if (found == nullptr) return std::nullopt;
  std::string_view rest = text.substr(at + found->text.size());
  Name name{std::string(text.substr(0, at)), "", found->role, rest.ends_with(".weight")};
  if (name.weight) rest.remove_suffix(7);
  if (rest.ends_with(".bias") || (name.role == Role::alpha && !rest.empty())) return std::nullopt;
  if (!rest.empty()) name.variant = rest.substr(1);
  return name;
}

// ---- scale ----------------------------------------------------------------------------------------------------------

/// A tensor of one number.
std::optional<double> scalar(const StoredTensor& tensor) {
  if (tensor.count() != 1 || !wu::io::is_number(tensor.dtype)) return std::nullopt;
  double value = 0;
  wu::io::read_into(tensor, std::span(&value, 1));
  return value;
}

/// What the file as a whole says about scale.
class Scales {
 public:
  explicit Scales(const Source& source) {
    if (source.adapter_config) {
      const Json& config = *source.adapter_config;
      const Json* alpha = config.find("lora_alpha");
      const Json* rooted = config.find("use_rslora");
      alpha_ = alpha == nullptr ? 8 : alpha->number().value_or(NAN);
      rooted_ = rooted != nullptr && rooted->boolean;
      if (!std::isfinite(*alpha_))
        throw wu::FileError(
            wu::message("adapter_config.json: expected a number as \"lora_alpha\", found ", alpha->describe()));
      where_ = rooted_ ? "lora_alpha / sqrt(rank), lora_alpha from adapter_config.json"
                       : "lora_alpha / rank, lora_alpha from adapter_config.json";
    } else if (const StoredTensor* whole = source.checkpoint.find("scale")) {
      whole_ = scalar(*whole);
      if (whole_) where_ = "the tensor \"scale\"";
    }
  }

  double of(std::int64_t rank, std::optional<double> alpha) {
    const auto r = static_cast<double>(rank);
    if (alpha) {
      some_alpha_ = true;
      return *alpha == 0 ? 1 : *alpha / r;  // 0 is how some programs write that there is none
    }
    if (whole_) return *whole_;
    if (alpha_) return *alpha_ / (rooted_ ? std::sqrt(r) : r);
    return 1;
  }

  std::string where() const { return some_alpha_ ? "alpha / rank, alpha from the file" : where_; }

 private:
  std::optional<double> alpha_, whole_;
  bool rooted_ = false, some_alpha_ = false;
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

/// Names with ".weight" are layers' own, A (rank, in, ...) and B (out, rank, 1 ...), the further axes a convolution's; names
/// without may have axes in front, batch and experts.
std::optional<Factors> factors_of(const Shape& a, const Shape& b, bool weight) {
  if (a.size() < 2 || b.size() < 2) return std::nullopt;
  Factors f;
  std::int64_t rank_of_b = 0;
  if (weight) {
    f.rank = a[0];
    f.in = product(std::span(a).subspan(1));
    f.out = b[0];
    rank_of_b = b[1];
    if (product(std::span(b).subspan(2)) != 1) return std::nullopt;
  } else {
    f.lead.assign(a.begin(), a.end() - 2);
    if (f.lead != Shape(b.begin(), b.end() - 2)) return std::nullopt;
    f.rank = a[a.size() - 2];
    f.in = a.back();
    f.out = b[b.size() - 2];
    rank_of_b = b.back();
  }
  return rank_of_b == f.rank && f.rank > 0 && f.in > 0 && f.out > 0 ? std::optional(f) : std::nullopt;
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
  if (product(extents) == 1) return "";
  Shape at(extents.size());
  for (std::size_t axis = at.size(); axis-- > 0; k /= extents[axis]) at[axis] = k % extents[axis];
  return " " + shape_text(at);
}

}  // namespace

AdapterReport measure_adapters(const Source& source) {
  struct Pair {
    const StoredTensor *down = nullptr, *up = nullptr;
    bool weight = false, twice = false;
  };
  const auto by_number = [](const auto& a, const auto& b) {
    if (a.first != b.first) return comes_before(a.first, b.first);
    return comes_before(a.second, b.second);
  };
  std::map<std::pair<std::string, std::string>, Pair, decltype(by_number)> pairs(by_number);
  std::map<std::string, const StoredTensor*> alphas;
  for (const StoredTensor& tensor : source.checkpoint.tensors()) {
    std::optional<Name> name = split(tensor.name);
    if (!name) continue;
    if (name->role == Role::alpha) {
      alphas[name->module] = &tensor;
      continue;
    }
    Pair& pair = pairs[{name->module, name->variant}];
    const StoredTensor*& slot = name->role == Role::down ? pair.down : pair.up;
    pair.twice = pair.twice || slot != nullptr;
    pair.weight = pair.weight || name->weight;
    slot = &tensor;
  }

  AdapterReport report;
  if (pairs.empty()) return report;
  Scales scales(source);
  for (const auto& [key, pair] : pairs) {
    const std::string name = key.first + (key.second.empty() ? "" : " (" + key.second + ")");
    const auto skip = [&](const auto&... why) { report.not_measured.push_back({name, wu::message(why...)}); };
    if (pair.twice) skip("expected one A and one B, found two of a kind");
    else if (pair.up == nullptr) skip("expected A and B, found A alone");
    else if (pair.down == nullptr) skip("expected A and B, found B alone");
    else if (!wu::io::is_number(pair.down->dtype) || !wu::io::is_number(pair.up->dtype)) {
      skip("expected types that can be read as numbers, found A of ", name_of(pair.down->dtype), " and B of ",
           name_of(pair.up->dtype));
    } else {
      const auto factors = factors_of(pair.down->shape, pair.up->shape, pair.weight);
      const auto alpha = alphas.find(key.first);
      const std::optional<double> value = alpha == alphas.end() ? std::nullopt : scalar(*alpha->second);
      if (!factors) {
        skip("expected A (rank, in) and B (out, rank), found ", shape_text(pair.down->shape), " and ",
             shape_text(pair.up->shape));
      } else if (factors->rank > largest_rank) {
        skip("expected a rank of at most ", largest_rank, ", found ", factors->rank);
      } else if (alpha != alphas.end() && !(value && std::isfinite(*value) && *value >= 0)) {
        skip("expected one number from 0 on as alpha, found another");
      } else {
        const double scale = scales.of(factors->rank, value);
        for (std::int64_t k = 0; k < product(factors->lead); ++k) {
          Module module{name + place(factors->lead, k), factors->rank, factors->in, factors->out, scale, {}, true};
          const auto a = matrix(*pair.down, k, factors->rank, factors->in);
          const auto b = matrix(*pair.up, k, factors->out, factors->rank);
          module.finite = all_finite(a) && all_finite(b) && std::isfinite(scale);
          if (module.finite) module.update = update_of(a, b, factors->rank, scale);
          report.modules.push_back(std::move(module));
        }
      }
    }
  }
  report.scale_from = scales.where();
  return report;
}

}  // namespace inspect
