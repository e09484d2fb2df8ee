// Adapters as other programs keep them: in memory, composed, and in the files of PEFT, diffusers, kohya and HY-WU; and the
// configuration of a published generator. Apart from io.hpp, for few files of a program need them and each would take the time
// to compile them.
#pragma once

#include "wu/io/adapter.hpp"
#include "wu/io/adapter_format.hpp"
#include "wu/io/adapter_key.hpp"
#include "wu/io/compose.hpp"
#include "wu/io/expert_parameters.hpp"
#include "wu/io/experts.hpp"
#include "wu/io/generated.hpp"
#include "wu/io/generator_config.hpp"
#include "wu/io/load_adapters.hpp"
#include "wu/io/name_pattern.hpp"
#include "wu/io/peft_config.hpp"
#include "wu/io/peft_scales.hpp"
#include "wu/io/save_adapters.hpp"
