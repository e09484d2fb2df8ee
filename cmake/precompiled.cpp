// The kernels of wu/cpu for float and double, compiled once: the whole of wu::precompiled.
#include "wu/cpu/instances.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {
WU_CPU_INSTANCES(, float)
WU_CPU_INSTANCES(, double)
}  // namespace wu::cpu::inline WU_CPU_TARGET
