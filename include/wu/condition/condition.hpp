// Image and text encoders and the hybrid condition.
#pragma once

#include "wu/condition/hybrid.hpp"
#include "wu/condition/image_encoder.hpp"
#include "wu/condition/text_encoder.hpp"
#include "wu/condition/word_pieces.hpp"
