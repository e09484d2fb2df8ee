// The room io/: files of tensors, read with suspicion and written whole or not at all. Without arrays.hpp, which needs xtensor,
// and adapters.hpp, the formats of other programs' adapters.
#pragma once

#include "wu/io/atomic_file.hpp"
#include "wu/io/checkpoint.hpp"
#include "wu/io/extents.hpp"
#include "wu/io/json.hpp"
#include "wu/io/json_header.hpp"
#include "wu/io/json_scanner.hpp"
#include "wu/io/mapped_file.hpp"
#include "wu/io/mapped_parameters.hpp"
#include "wu/io/npy.hpp"
#include "wu/io/parameters.hpp"
#include "wu/io/printable.hpp"
#include "wu/io/safetensors.hpp"
#include "wu/io/stored_tensors.hpp"
