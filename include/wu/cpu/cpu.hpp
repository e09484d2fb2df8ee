// The CPU device: its context, and every operation that it answers faster than the reference.
#pragma once

#include "wu/cpu/activations.hpp"
#include "wu/cpu/attention.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/depthwise.hpp"
#include "wu/cpu/elementwise.hpp"
#include "wu/cpu/instances.hpp"
#include "wu/cpu/layer_norm.hpp"
#include "wu/cpu/linear.hpp"
#include "wu/cpu/lora.hpp"
#include "wu/cpu/losses.hpp"
#include "wu/cpu/modulate.hpp"
#include "wu/cpu/optimiser.hpp"
#include "wu/cpu/resample.hpp"
#include "wu/cpu/rms_norm.hpp"
#include "wu/cpu/rope.hpp"
#include "wu/ops/ops.hpp"
