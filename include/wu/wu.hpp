// Everything of wu that needs no GPU.
#pragma once

// First what most messages come out of, so that a compiler tells a short way from there to the file it was included from.
#include "wu/core/fits.hpp"
#include "wu/core/view.hpp"
#include "wu/ops/reference.hpp"

#include "wu/ops/linear.hpp"
#include "wu/ops/lora.hpp"

#include "wu/backbone/backbone.hpp"
#include "wu/condition/condition.hpp"
#include "wu/core/core.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/diffusion/diffusion.hpp"
#include "wu/generator/generator.hpp"
#include "wu/generator/stream.hpp"
#include "wu/io/io.hpp"
#include "wu/nn/nn.hpp"
#include "wu/ops/ops.hpp"
#include "wu/train/train.hpp"
