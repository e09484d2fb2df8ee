// The training step, its schedule and its state; a check of hand-written gradients.
#pragma once

#include "wu/train/gradient_check.hpp"
#include "wu/train/schedule.hpp"
#include "wu/train/training.hpp"
