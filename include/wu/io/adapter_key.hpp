// How files of adapters spell the names of their tensors: module, matrix, and what stands around them.
//     base_model.model.  transformer.  diffusion_model.  model.diffusion_model.  unet.  lora_unet_      one in front, or none
//     .lora_A.weight .lora_B.weight                 PEFT, diffusers; an adapter's name may stand before .weight
//     .lora_down.weight .lora_up.weight .alpha      kohya; .lora_down.0.weight is a part of a layer that was split
//     .lora.down.weight .lora_linear_layer.down.weight .processor.to_q_lora.down.weight                 older diffusers
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "wu/io/json_scanner.hpp"

namespace wu::io {

/// What a tensor of a file is to its module.
enum class AdapterRole { A, B, alpha };

/// A tensor's name, taken apart.
struct AdapterKey {
  std::string prefix;  ///< "transformer.", "lora_unet_", ...; may be empty
  std::string module;  ///< the rest of the module's name, which is flattened if the prefix is "lora_unet_"
  AdapterRole role = AdapterRole::A;
  int part = -1;         ///< of a split layer; -1: the whole
  bool down_up = false;  ///< whether it says down and up, not A and B
};

namespace detail {

struct KeyMarker {
  std::string_view text;
  AdapterRole role;
  bool down_up;
  std::string_view replacement = "";  ///< what stays of it in the module's name
};
// The older spellings come first: theirs end like the newer ones.
inline constexpr std::array<KeyMarker, 17> key_markers{{
    {".to_q_lora.down", AdapterRole::A, false, ".to_q"},
    {".to_q_lora.up", AdapterRole::B, false, ".to_q"},
    {".to_k_lora.down", AdapterRole::A, false, ".to_k"},
    {".to_k_lora.up", AdapterRole::B, false, ".to_k"},
    {".to_v_lora.down", AdapterRole::A, false, ".to_v"},
    {".to_v_lora.up", AdapterRole::B, false, ".to_v"},
    {".to_out_lora.down", AdapterRole::A, false, ".to_out.0"},
    {".to_out_lora.up", AdapterRole::B, false, ".to_out.0"},
    {".lora_linear_layer.down", AdapterRole::A, false},
    {".lora_linear_layer.up", AdapterRole::B, false},
    {".lora.down", AdapterRole::A, false},
    {".lora.up", AdapterRole::B, false},
    {".lora_A", AdapterRole::A, false},
    {".lora_B", AdapterRole::B, false},
    {".lora_down", AdapterRole::A, true},
    {".lora_up", AdapterRole::B, true},
    {".alpha", AdapterRole::alpha, false},
}};
inline constexpr std::array<std::string_view, 6> key_prefixes{
    "base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.", "unet.", "lora_unet_"};

struct UnsupportedKey {
  std::string_view part, kind;
  bool at_end = false;
};
inline constexpr std::array<UnsupportedKey, 17> unsupported_keys{{
    {".lora_magnitude_vector", "DoRA"},
    {".dora_scale", "DoRA"},
    {".hada_", "LoHa"},
    {".lokr_", "LoKr"},
    {".boft_", "BOFT"},
    {".oft_", "OFT"},
    {".ia3_l", "IA3"},
    {".vera_lambda_", "VeRA"},
    {".lora_mid", "Tucker decomposition"},
    {".lora_embedding_", "an adapter of an embedding"},
    {".lora_B.bias", "a bias of the adapter"},
    {".diff", "a full difference", true},
    {".diff_b", "a full difference of a bias", true},
    {".w_norm", "a full difference of a norm", true},
    {".b_norm", "a full difference of a norm", true},
    {".reshape_weight", "a layer of another shape", true},
    {".set_weight", "a weight that replaces the model's", true},
}};
inline constexpr std::array<std::string_view, 6> text_encoder_prefixes{"text_encoder.", "text_encoder_2.", "text_encoders.",
                                                                       "lora_te_",      "lora_te1_",       "lora_te2_"};

}  // namespace detail

/// The kind of adapter, in words, that a tensor of this name belongs to and wu does not apply; empty for every other name.
inline std::string_view unsupported_adapter_kind(std::string_view name) {
  for (const auto& known : detail::unsupported_keys)
    if (known.at_end ? name.ends_with(known.part) : name.find(known.part) != std::string_view::npos) return known.kind;
  if (name.find(".lora_B.") != std::string_view::npos && name.ends_with(".bias")) return "a bias of the adapter";
  for (const std::string_view prefix : detail::text_encoder_prefixes)
    if (name.starts_with(prefix)) return "an adapter of a text encoder";
  return {};
}

/// A tensor's name taken apart; nothing where it is not spelled in one of the ways above.
inline std::optional<AdapterKey> parse_adapter_key(std::string_view name) {
  // Split at the marker that ends last.
  const detail::KeyMarker* found = nullptr;
  std::size_t begin = 0;
  for (const detail::KeyMarker& marker : detail::key_markers) {
    const std::size_t at = name.rfind(marker.text);
    if (at == std::string_view::npos) continue;
    const std::size_t end = at + marker.text.size();
    if (end < name.size() && name[end] != '.') continue;
    if (found == nullptr || end > begin + found->text.size()) found = &marker, begin = at;
  }
  if (found == nullptr) return std::nullopt;
  AdapterKey key{"", std::string(name.substr(0, begin)) + std::string(found->replacement), found->role, -1, found->down_up};

  std::string_view rest = name.substr(begin + found->text.size());
  if (key.role == AdapterRole::alpha) {
    if (!rest.empty()) return std::nullopt;
  } else {
    if (rest.ends_with(".weight")) rest.remove_suffix(7);
    if (!rest.empty()) rest.remove_prefix(1);  // the point before an adapter's name or the number of a part
    if (rest.find('.') != std::string_view::npos || rest == "weight" || rest == "bias") return std::nullopt;
    const bool number = !rest.empty() && rest.find_first_not_of("0123456789") == std::string_view::npos;
    if (key.down_up && number) {
      if (rest.size() > 1) return std::nullopt;  // no layer is split into more than ten
      key.part = rest[0] - '0';
    }
  }
  for (const std::string_view prefix : detail::key_prefixes)
    if (key.module.starts_with(prefix)) {
      key.prefix = prefix;
      key.module.erase(0, prefix.size());
      break;
    }
  if (const std::size_t at = key.module.find(".processor."); at != std::string::npos) key.module.erase(at, 10);
  if (key.module.empty()) return std::nullopt;
  return key;
}

}  // namespace wu::io
