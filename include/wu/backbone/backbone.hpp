// Frozen backbones with adapter slots.
#pragma once

#include "wu/backbone/adapters.hpp"
#include "wu/backbone/edit_transformer.hpp"
#include "wu/backbone/pixel_block.hpp"
#include "wu/backbone/token_block.hpp"
