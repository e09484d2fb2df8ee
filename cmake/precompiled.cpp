// The kernels of wu/cpu for float, double and bfloat16, compiled once: the whole of wu::precompiled.
#include "wu/cpu/instances.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {
WU_CPU_INSTANCES(, float)
WU_CPU_INSTANCES(, double)
WU_CPU_INSTANCES(, bfloat16)
WU_CPU_OTHER_INSTANCES()
}  // namespace wu::cpu::inline WU_CPU_TARGET
