// wu with its CUDA device. No CUDA header and no nvcc is needed to compile it: link wu::cuda.
#pragma once

#include "wu/cuda/cuda.hpp"
#include "wu/wu.hpp"
