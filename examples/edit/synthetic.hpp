// Pictures drawn from random numbers whose statistics resemble those of photographs: enough of them to train on without
// shipping a single photograph.
#pragma once

#include <cstdint>

#include "edit/image.hpp"

namespace edit {

/// Picture number `index` of `seed`, size x size pixels: opaque leaves that hide each other, their radii spread by a power
/// law, as in the dead leaves model (Lee, Mumford and Huang 2001), each with a colour of the picture's palette, texture,
/// shading and a shadow, under one light and in front of a backdrop. It depends on (seed, index, size) alone. Contrast,
/// gradients, flat areas, saturation and the fall of the spectrum are spread about as they are in photographs. 256 x 256
/// pixels take about 20 ms. Throws wu::ShapeError unless size is positive.
Image draw_dead_leaves(std::uint64_t seed, std::uint64_t index, int size);

}  // namespace edit
