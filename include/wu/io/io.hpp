// The room io/: files of tensors, read with suspicion and written whole or not at all.
#pragma once

#include "wu/io/atomic_file.hpp"
#include "wu/io/json_header.hpp"
#include "wu/io/mapped_file.hpp"
#include "wu/io/parameters.hpp"
#include "wu/io/printable.hpp"
#include "wu/io/safetensors.hpp"
