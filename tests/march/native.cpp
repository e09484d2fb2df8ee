#include "march/check.hpp"
#include "march/parts.hpp"

void check_native() { check_against_reference(); }
std::string native_target() { return target(); }
