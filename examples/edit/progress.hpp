// What long pieces of work need: to tell how far they are, and to stop when they are asked to.
#pragma once

#include "generate/progress.hpp"

namespace edit {

using examples::Progress;

/// From now on Ctrl-C and a polite kill only raise a flag; interrupted() reads it. A second Ctrl-C ends the program at once.
void catch_interrupts();
bool interrupted();

}  // namespace edit
