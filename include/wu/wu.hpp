// Everything of wu that needs no GPU.
#pragma once

#include "wu/backbone/backbone.hpp"
#include "wu/condition/condition.hpp"
#include "wu/core/core.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/diffusion/diffusion.hpp"
#include "wu/generator/generator.hpp"
#include "wu/io/io.hpp"
#include "wu/nn/nn.hpp"
#include "wu/ops/ops.hpp"
#include "wu/train/train.hpp"
