// The training step, its schedule and its state.
#pragma once

#include "wu/train/schedule.hpp"
#include "wu/train/training.hpp"
