// What the backbone learns before anybody asks it for the six tasks: edits that are none of them, nor steps towards them. None
// blurs or sharpens, fades or tints, darkens or brightens, or repairs anything; colours are exchanged, pictures are moved by
// pixels, lines are drawn from edges. And phrases it does not know mean: leave the picture alone.
#pragma once

#include <string_view>
#include <vector>

#include "edit/filters.hpp"

namespace edit {

struct NeutralEdit {
  std::string_view name;
  std::vector<std::string_view> phrases;
  std::function<Image(const Image&)> apply;
};

const std::vector<NeutralEdit>& neutral_edits();

}  // namespace edit
