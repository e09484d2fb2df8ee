// Where a value of a picture lies.
#pragma once

#include "wu/cuda/block.hpp"

namespace wu::cuda::kernel {

/// Value k of pictures (b, height, width, channels): its channel, its column, and its line counted through all pictures.
struct Pixel {
  Index channel, column, line;
  WU_BODY Pixel(Index k, Index width, Index channels)
      : channel(k % channels), column(k / channels % width), line(k / channels / width) {}
};

}  // namespace wu::cuda::kernel
