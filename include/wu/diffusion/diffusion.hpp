// Probability paths, the diffusion step, the sampler.
#pragma once

#include "wu/diffusion/sampler.hpp"
#include "wu/diffusion/step.hpp"
#include "wu/diffusion/times.hpp"
