// Every operation, on the reference device.
#pragma once

#include "wu/ops/activations.hpp"
#include "wu/ops/adamw.hpp"
#include "wu/ops/attention.hpp"
#include "wu/ops/clip.hpp"
#include "wu/ops/depthwise.hpp"
#include "wu/ops/elementwise.hpp"
#include "wu/ops/embedding.hpp"
#include "wu/ops/layer_norm.hpp"
#include "wu/ops/linear.hpp"
#include "wu/ops/lora.hpp"
#include "wu/ops/losses.hpp"
#include "wu/ops/modulate.hpp"
#include "wu/ops/patches.hpp"
#include "wu/ops/resample.hpp"
#include "wu/ops/rms_norm.hpp"
#include "wu/ops/rope.hpp"
