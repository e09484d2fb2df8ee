// Views, owned memory, parameter layouts, scalars, random numbers, workspace, errors. Not core/describe.hpp and core/text.hpp, which
// need std::string: all that is included here together costs what <string> alone would add.
#pragma once

#include "wu/core/buffer.hpp"
#include "wu/core/dtype.hpp"
#include "wu/core/error.hpp"
#include "wu/core/message.hpp"
#include "wu/core/name.hpp"
#include "wu/core/parameters.hpp"
#include "wu/core/random.hpp"
#include "wu/core/version.hpp"
#include "wu/core/view.hpp"
#include "wu/core/workspace.hpp"
