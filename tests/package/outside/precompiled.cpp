// wu::precompiled: the same as cpu.cpp, the kernels from a library.
#include "lora.hpp"
#include "wu/cpu/cpu.hpp"

int main() {
  wu::cpu::Context cpu({.threads = 2});
  return lora_linear_is_right(cpu) ? 0 : 1;
}
