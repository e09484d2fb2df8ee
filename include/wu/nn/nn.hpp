// Modules: parameters and calls of operations.
#pragma once

#include "wu/nn/attention.hpp"
#include "wu/nn/encoder_block.hpp"
#include "wu/nn/feed_forward.hpp"
#include "wu/nn/initialise.hpp"
#include "wu/nn/linear.hpp"
#include "wu/nn/norm.hpp"
#include "wu/nn/recompute.hpp"
