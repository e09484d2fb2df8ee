// The training step, its schedule and its state; a trained module with its file; a check of hand-written gradients.
#pragma once

#include "wu/train/gradient_check.hpp"
#include "wu/train/model.hpp"
#include "wu/train/schedule.hpp"
#include "wu/train/training.hpp"
