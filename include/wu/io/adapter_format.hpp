// The formats in which adapters travel, by name.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "wu/core/error.hpp"
#include "wu/io/printable.hpp"

namespace wu::io {

/// What docs/adapters.md describes.
enum class AdapterFormat {
  hy_wu,      ///< as HY-WU generates them: a batch of one, experts in groups, one scale for all
  peft,       ///< a folder with adapter_config.json and adapter_model.safetensors
  diffusers,  ///< one file, names under the pipeline's component, no scale; PEFT's configuration in the metadata
  kohya,      ///< one file of kohya-ss/sd-scripts and relatives: flattened names, an alpha for each module
};

namespace detail {
inline constexpr std::array<std::string_view, 4> adapter_format_names{"hy-wu", "peft", "diffusers", "kohya"};
}  // namespace detail

/// Its name on a command line: "hy-wu", "peft", "diffusers", "kohya".
constexpr std::string_view name_of(AdapterFormat format) {
  return detail::adapter_format_names[static_cast<std::size_t>(format)];
}

/// The format of that name. Throws Error for another.
inline AdapterFormat adapter_format_named(std::string_view name) {
  for (std::size_t k = 0; k < detail::adapter_format_names.size(); ++k)
    if (detail::adapter_format_names[k] == name) return static_cast<AdapterFormat>(k);
  throw Error(message("expected an adapter format: hy-wu, peft, diffusers or kohya, found ", printable(name)));
}

}  // namespace wu::io
