#include "march/check.hpp"
#include "march/parts.hpp"

void check_baseline() { check_against_reference(); }
std::string baseline_target() { return target(); }
