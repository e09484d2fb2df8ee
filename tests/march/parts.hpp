// What the two parts offer each other: nothing that names a context.
#pragma once

#include <string>

void check_baseline();
void check_native();
std::string baseline_target();  ///< the name of its instruction set
std::string native_target();
